#include "striate/stats/multiple.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace striate {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Step-up: q_(i) = min over j >= i of p_(j) m factor / j.
std::vector<double> step_up(std::span<double const> p, bool any_dependence) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isnan(p[i])) order.push_back(i);
  std::ranges::sort(order, [&](auto a, auto b) { return p[a] < p[b]; });
  auto const m = static_cast<double>(order.size());
  double factor = 1;
  for (std::size_t i = 2; any_dependence && i <= order.size(); ++i) factor += 1 / static_cast<double>(i);
  std::vector<double> q(p.size(), nan);
  double least = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    least = std::min(least, p[order[i]] * m * factor / static_cast<double>(i + 1));
    q[order[i]] = least;
  }
  return q;
}

}  // namespace

std::vector<double> permutation_p(std::span<double const> observed, std::span<std::uint64_t const> exceed,
                                  std::size_t permutations) {
  std::vector<double> p(observed.size(), nan);
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isnan(observed[i]))
      p[i] = static_cast<double>(exceed[i] + 1) / static_cast<double>(permutations + 1);
  return p;
}

std::vector<double> sequential_p(std::span<double const> observed, std::span<std::uint64_t const> exceed,
                                 std::span<std::uint64_t const> stop, std::size_t permutations) {
  auto p = permutation_p(observed, exceed, permutations);
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isnan(p[i]) && stop[i] > 0) p[i] = static_cast<double>(exceed[i]) / static_cast<double>(stop[i]);
  return p;
}

std::vector<double> maximum_p(std::span<double const> observed, std::span<double const> null_max) {
  std::vector<double> sorted(null_max.begin(), null_max.end()), p(observed.size(), nan);
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (std::isnan(observed[i])) continue;
    auto const below = std::ranges::partition_point(sorted, [&](double v) { return !reaches(v, observed[i]); });
    p[i] = static_cast<double>(sorted.end() - below + 1) / static_cast<double>(sorted.size() + 1);
  }
  return p;
}

std::vector<double> fdr_bh(std::span<double const> p) { return step_up(p, false); }
std::vector<double> fdr_by(std::span<double const> p) { return step_up(p, true); }

}  // namespace striate
