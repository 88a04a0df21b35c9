#pragma once
/// `reduce` by clusters: of stimuli or of units, a layer at a time, into one HDF5 file and a table of labels.
#include "reduce_inputs.hpp"
#include "striate/commands/command.hpp"

namespace striate::reduce {

/// Bytes on a node that the clusters of a layer take, and flops.
struct ClusterCost {
  double node = 0, rank = 0, flops = 0;
};
[[nodiscard]] ClusterCost cluster_cost(Config const& config, Inputs const& inputs, InputLayer const& layer);

/// The labels' .tsv beside the output.
[[nodiscard]] std::filesystem::path table_of(std::filesystem::path const& output);

/// What is written before it gets the output's name.
[[nodiscard]] std::filesystem::path draft_of(std::filesystem::path const& output);

/// Collective. False where a stop signal came; layers begun are then lost, those before are on disk.
bool cluster(Context& context, Config const& config, Inputs const& inputs, nlohmann::ordered_json const& identity,
             double panel_bytes);

}  // namespace striate::reduce
