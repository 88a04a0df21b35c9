#pragma once
/// What follows from finished units: means over folds, best layers, maps, summary.tsv, warnings. First rank alone.
#include <filesystem>
#include <vector>

#include "encode_inputs.hpp"
#include "encode_layout.hpp"
#include "striate/math/team.hpp"

namespace striate::encode {

/// Everything that `finish` reads and writes.
struct Finish {
  Config const& config;
  Inputs const& inputs;
  Layout const& layout;
  ResultFile& result;
  Team& team;
};

/// Writes the derived datasets: /L/score/S, /best/*.
void derive(Finish const& f);
/// Writes maps/ and summary.tsv from the derived datasets.
void write_outputs(Finish const& f);
/// The files that write_outputs makes.
[[nodiscard]] std::vector<std::filesystem::path> output_files(Finish const& f);
/// Removes what an earlier result of ours left in maps/, and its summary.tsv.
void remove_outputs(std::filesystem::path const& output);
/// Counts what users should know: alphas at the grid's edges, constant predictions, targets without a score …
void warn(Finish const& f);

}  // namespace striate::encode
