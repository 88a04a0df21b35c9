#pragma once
/// A FoldPlan in positions: training rows of the outer fold first (cut into blocks such that every inner training
/// set is a union of blocks), then its test rows.
#include <cstdint>
#include <vector>

#include "striate/math/columns.hpp"
#include "striate/stats/folds.hpp"

namespace striate::detail {

struct SetRows {
  std::vector<std::uint32_t> train, test;  ///< positions, ascending
};

struct RowPlan {
  std::size_t n = 0;                    ///< rows of X and Y
  std::size_t n_train = 0, n_test = 0;  ///< of the outer fold
  std::vector<std::uint32_t> row;       ///< position → row
  std::vector<SetRows> sets;            ///< inner sets, then the outer one
  RowBlocks blocks;                     ///< one set of blocks for each of `sets`
  [[nodiscard]] std::size_t inner() const { return sets.size() - 1; }
  [[nodiscard]] SetRows const& outer() const { return sets.back(); }
};

/// `with_inner`: whether the inner splits are needed. Throws Error(Exit::data) for splits that make no sense.
[[nodiscard]] RowPlan make_rows(FoldPlan const& plan, std::size_t n, bool with_inner);

}  // namespace striate::detail
