#include "fold_units.hpp"

#include <algorithm>
#include <map>

#include "striate/base/error.hpp"

namespace striate::detail {

UnitRows rows_of_units(std::size_t n, Units unit) {
  UnitRows rows;
  if (unit.empty()) {
    for (std::uint32_t i = 0; i < n; ++i) {
      rows.push_back({i});
    }
    return rows;
  }
  if (unit.size() != n) {
    fail(Exit::data, "{} stimulus ids were given for {} rows; check the stimuli file", unit.size(), n);
  }
  std::map<std::uint32_t, std::size_t> number;
  for (std::uint32_t i = 0; i < n; ++i) {
    auto const [at, fresh] = number.emplace(unit[i], rows.size());
    if (fresh) {
      rows.emplace_back();
    }
    rows[at->second].push_back(i);
  }
  return rows;
}

std::vector<Split> from_assignment(std::size_t n, UnitRows const& units, std::vector<int> const& fold,
                                   std::size_t folds) {
  std::vector<int> of_row(n, -2);
  for (std::size_t u = 0; u < units.size(); ++u) {
    for (auto r : units[u]) {
      of_row[r] = fold[u];
    }
  }
  std::vector<Split> splits(folds);
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::size_t f = 0; of_row[i] != -2 && f < folds; ++f) {
      (of_row[i] == static_cast<int>(f) ? splits[f].test : splits[f].train).push_back(i);
    }
  }
  return splits;
}

void check_count(std::size_t k, std::size_t units, char const* what) {
  if (k < 2) {
    fail(Exit::data, "{} folds were asked for (at least 2 are needed); raise the number of folds", k);
  }
  if (k > units) {
    fail(Exit::data, "{} folds were asked for but there are only {} {}; use fewer folds", k, units, what);
  }
}

std::vector<int> contiguous(std::size_t units, std::size_t k) {
  std::vector<int> fold(units);
  std::size_t at = 0;
  for (std::size_t f = 0; f < k; ++f) {
    std::size_t const size = units / k + (f < units % k ? 1 : 0);
    std::fill_n(fold.begin() + static_cast<std::ptrdiff_t>(at), size, static_cast<int>(f));
    at += size;
  }
  return fold;
}

std::vector<std::string> labels_of(UnitRows const& units, std::span<std::string const> labels, char const* what) {
  std::vector<std::string> out;
  for (auto const& rows : units) {
    for (auto r : rows) {
      if (labels[r] != labels[rows[0]]) {
        fail(Exit::data,
             "row {} and row {} show the same stimulus but are of {} '{}' and '{}' (repeats must not be split over "
             "folds); give "
             "them one {}",
             rows[0], r, what, labels[rows[0]], labels[r], what);
      }
    }
    out.push_back(labels[rows[0]]);
  }
  return out;
}

}  // namespace striate::detail
