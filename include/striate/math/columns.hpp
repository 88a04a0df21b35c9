#pragma once
/// Means and standard deviations of feature columns over several training sets at once.
///
/// Rows are cut into blocks such that every training set is a union of blocks; a column is walked once, block by
/// block in float64, and blocks are merged (Chan et al.), so that a set's statistics never come from a difference.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace striate {

struct RowBlocks {
  std::vector<std::size_t> begin;                ///< first position of each block, and the end: blocks + 1 entries
  std::vector<std::vector<std::uint32_t>> sets;  ///< per training set: its blocks, ascending; the last set holds all
  [[nodiscard]] std::size_t blocks() const { return begin.size() - 1; }
  [[nodiscard]] std::size_t rows(std::size_t set) const;
};

/// Doubles per column that column_stats writes: shift, then (mean − shift, scale) for each set.
[[nodiscard]] inline std::size_t stats_size(std::size_t sets) { return 1 + 2 * sets; }

/// x: values at positions [0, begin.back()). shift is the last set's mean. scale is 1/sd (ddof 0), 0 for a feature
/// that is constant in the set; 1 where `standardize` is off (0 for a constant one).
void column_stats(float const* x, RowBlocks const& blocks, bool standardize, double* out);

}  // namespace striate
