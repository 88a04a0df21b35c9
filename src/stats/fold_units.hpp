#pragma once
/// What all splitters share: units (the rows of one stimulus), fold numbers per unit, checks.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "striate/stats/folds.hpp"

namespace striate::detail {

using UnitRows = std::vector<std::vector<std::uint32_t>>;

/// Rows of each unit, in order of first appearance.
[[nodiscard]] UnitRows rows_of_units(std::size_t n, Units unit);
/// A Split for each fold from a fold number per unit; -1 is always training, -2 in neither.
[[nodiscard]] std::vector<Split> from_assignment(std::size_t n, UnitRows const& units, std::vector<int> const& fold,
                                                 std::size_t folds);
/// Throws Error(Exit::data) unless 2 ≤ k ≤ units.
void check_count(std::size_t k, std::size_t units, char const* what);
/// KFold's sizes: the first n % k folds have one more.
[[nodiscard]] std::vector<int> contiguous(std::size_t units, std::size_t k);
/// Labels of units; a unit whose rows differ is an error.
[[nodiscard]] std::vector<std::string> labels_of(UnitRows const& units, std::span<std::string const> labels,
                                                 char const* what);

}  // namespace striate::detail
