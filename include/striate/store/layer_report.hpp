#pragma once
/// Is a layer alive: what its activations look like over all stimuli.
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace striate {

struct LayerReport {
  std::string layer;
  std::vector<std::size_t> shape;
  std::size_t units = 0, stimuli = 0;
  std::uint64_t skipped = 0;               ///< rows of NaN alone
  std::uint64_t nans = 0, infinities = 0;  ///< values, in the other rows
  double zeros = 0;                        ///< share of the values of rows that were not skipped
  double mean = 0, sd = 0;                 ///< over the rows without a NaN
  double least = 0, most = 0;              ///< NaN left out
  std::uint64_t dead = 0, constant = 0;    ///< units never above 0; units of one value only (rows without a NaN)
  std::vector<std::pair<std::size_t, double>> top_units;  ///< greatest means: C-order index from 0, mean
  std::vector<std::pair<std::size_t, std::uint64_t>>
      top_channels;  ///< most often a stimulus's top one: from 0, stimuli
};

/// Of a store of striate from what it keeps beside the activations; of any other (DNNBrain's) by one pass over it, in
/// blocks of rows. Serial. Throws Error.
[[nodiscard]] std::vector<LayerReport> layer_reports(std::string const& store);
/// A line a layer, tab-separated; units and channels count from 1, as in .dmask.csv.
[[nodiscard]] std::string report_table(std::vector<LayerReport> const& reports);
/// `act.h5` → `act.report.tsv`.
[[nodiscard]] std::filesystem::path report_file(std::filesystem::path const& store);

}  // namespace striate
