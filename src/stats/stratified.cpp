// Folds that hold every class in the same share, as scikit-learn's StratifiedKFold.
#include <algorithm>
#include <map>

#include "fold_units.hpp"
#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"

namespace striate {

using namespace detail;

namespace {

struct Classes {
  std::vector<std::size_t> of_unit;  ///< numbered by first appearance, as scikit-learn encodes them
  std::vector<std::size_t> members;
};

Classes classes_of(std::vector<std::string> const& labels) {
  std::map<std::string, std::size_t> seen;
  Classes c;
  for (auto const& l : labels) {
    c.of_unit.push_back(seen.emplace(l, seen.size()).first->second);
  }
  c.members.assign(seen.size(), 0);
  for (auto u : c.of_unit) {
    ++c.members[u];
  }
  return c;
}

/// Members of a class in each fold: the sorted labels are dealt out to the folds in turn.
std::vector<std::vector<std::size_t>> quotas(Classes const& c, std::size_t k) {
  std::vector<std::size_t> sorted(c.of_unit);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::vector<std::size_t>> quota(c.members.size(), std::vector<std::size_t>(k, 0));
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    ++quota[sorted[i]][i % k];
  }
  return quota;
}

/// `order(class, members)` says which of the places of a class each of its members takes.
template <class Order>
std::vector<Split> stratified(std::span<std::string const> label, std::size_t k, Units unit, Order const& order) {
  auto const units = rows_of_units(label.size(), unit);
  auto const classes = classes_of(labels_of(units, label, "class"));
  check_count(k, units.size(), unit.empty() ? "rows" : "distinct stimuli");
  if (std::all_of(classes.members.begin(), classes.members.end(), [&](auto m) { return m < k; })) {
    fail(Exit::data, "{} stratified folds were asked for but no class has as many members; use fewer folds", k);
  }
  auto const quota = quotas(classes, k);
  std::vector<std::vector<int>> places(quota.size());  // of a class: its folds, one entry a member
  std::vector<std::vector<std::size_t>> place_of(quota.size());
  for (std::size_t c = 0; c < quota.size(); ++c) {
    for (std::size_t f = 0; f < k; ++f) {
      places[c].insert(places[c].end(), quota[c][f], static_cast<int>(f));
    }
    place_of[c] = order(c, classes.members[c]);
  }
  std::vector<std::size_t> next(quota.size(), 0);
  std::vector<int> fold;
  for (auto c : classes.of_unit) {
    fold.push_back(places[c][place_of[c][next[c]++]]);
  }
  return from_assignment(label.size(), units, fold, k);
}

}  // namespace

std::vector<Split> stratified_kfold(std::span<std::string const> label, std::size_t k, Units unit) {
  return stratified(label, k, unit, [](std::size_t, std::size_t members) {
    std::vector<std::size_t> order(members);
    for (std::size_t i = 0; i < members; ++i) {
      order[i] = i;
    }
    return order;
  });
}

std::vector<Split> shuffled_stratified_kfold(std::span<std::string const> label, std::size_t k, std::uint64_t seed,
                                             std::uint64_t repeat, Units unit) {
  constexpr std::uint64_t purpose = 0x737472617461;  // "strata"
  return stratified(label, k, unit, [&](std::size_t c, std::size_t members) {
    // Repeats and classes are far below 2^32, so that no two share a stream.
    auto const drawn = permutation(seed, purpose, repeat + (static_cast<std::uint64_t>(c) << 34), members);
    return std::vector<std::size_t>(drawn.begin(), drawn.end());
  });
}

std::size_t smallest_class(std::span<std::string const> label, Units unit) {
  auto const units = rows_of_units(label.size(), unit);
  auto const classes = classes_of(labels_of(units, label, "class"));
  return classes.members.empty() ? 0 : *std::min_element(classes.members.begin(), classes.members.end());
}

}  // namespace striate
