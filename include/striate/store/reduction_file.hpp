#pragma once
/// Reductions that were fitted, to be applied to other stimuli: `*.pca.h5`, `*.proj.h5` (layout in docs/formats.md).
/// Serial: one rank writes, any reads.
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/math/layer_stage.hpp"
#include "striate/math/pca.hpp"
#include "striate/math/projection.hpp"

namespace striate {

/// Of one layer.
struct SavedReduction {
  std::string layer;
  LayerShape input;
  std::string method;  ///< pca, incremental_pca, randomized_pca, gaussian, sparse, hist, psd, zscore; none: stays as it is
  LayerAxis axis = LayerAxis::whole;
  bool whiten = false;
  std::vector<Pca> fits = {};                 ///< of the pca methods: one an iteration of the axis
  ProjectionOptions projection = {};          ///< of gaussian and sparse
  std::size_t count = 0;                      ///< bins of hist, coefficients of psd
  std::vector<double> ranges = {};            ///< of hist: {low, high} of each iteration; empty: each stimulus's own
  std::vector<double> mean = {}, scale = {};  ///< of zscore: of each unit; empty: each stimulus's own
  [[nodiscard]] bool is_pca() const { return method.find("pca") != std::string::npos; }
  [[nodiscard]] bool is_projection() const { return method == "gaussian" || method == "sparse"; }
};

/// What is true of all layers of a file.
struct ReductionFile {
  std::map<std::string, std::string> attributes;  ///< of the root: method, network, weights_sha256, stimuli_sha256 …
  nlohmann::ordered_json identity;                ///< settings and inputs of the fit
};

/// Appears under its name only when whole. Error(Exit::io | Exit::cant_create).
void write_reductions(std::filesystem::path const& path, std::vector<SavedReduction> const& layers,
                      ReductionFile const& about);

/// Error(Exit::no_input | Exit::data): missing, not such a file, no such layer (naming the nearest).
[[nodiscard]] ReductionFile read_reduction_file(std::filesystem::path const& path);
[[nodiscard]] std::vector<std::string> reduction_layers(std::filesystem::path const& path);
[[nodiscard]] SavedReduction read_reduction(std::filesystem::path const& path, std::string const& layer);

[[nodiscard]] std::unique_ptr<LayerStage> reduction_stage(SavedReduction const& reduction);
/// The same from a file, for a layer of shape `in`. Error(Exit::data) also where the saved one was fitted on another
/// shape.
[[nodiscard]] std::unique_ptr<LayerStage> saved_stage(std::filesystem::path const& path, std::string const& layer,
                                                      LayerShape const& in);

}  // namespace striate
