#include "striate/stats/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"

namespace striate {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t purpose = 0x626f6f7473747261;  ///< of the random stream

/// [0, bound) without bias (Lemire 2019).
std::uint32_t draw(Philox& random, std::uint32_t bound) {
  std::uint64_t product = std::uint64_t{random.next()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    std::uint32_t const reject = (0U - bound) % bound;
    while (static_cast<std::uint32_t>(product) < reject) product = std::uint64_t{random.next()} * bound;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

/// P(|T| <= t) for whole degrees of freedom: the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4.
double student_within(double t, std::size_t degrees) {
  auto const v = static_cast<double>(degrees);
  double const angle = std::atan(t / std::sqrt(v)), c = std::cos(angle), s = std::sin(angle);
  bool const odd = degrees % 2 == 1;
  double term = odd ? c : 1, sum = degrees == 1 ? 0 : term;
  for (std::size_t i = odd ? 3 : 2; i + 1 < degrees; i += 2) {
    term *= c * c * static_cast<double>(i - 1) / static_cast<double>(i);
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (angle + s * sum) : s * sum;
}

/// Where `cdf`, which grows, reaches p.
template <class F>
double inverse(F const& cdf, double p, double reach) {
  double low = -reach, high = reach;
  for (int i = 0; i < 200 && low < high; ++i) {
    double const middle = 0.5 * (low + high);
    (cdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

/// Of sorted values, between neighbours linearly.
double quantile(std::span<double const> sorted, double p) {
  double const at = p * static_cast<double>(sorted.size() - 1);
  auto const below = static_cast<std::size_t>(at);
  std::size_t const above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

double student_quantile(double p, std::size_t degrees) {
  if (degrees > 10000) return inverse(normal_cdf, p, 40);
  return inverse(
      [&](double t) { return 0.5 + 0.5 * (t < 0 ? -student_within(-t, degrees) : student_within(t, degrees)); }, p,
      1e6);
}

Resampler::Resampler(std::span<std::uint32_t const> group, std::span<std::int32_t const> fold, std::uint64_t seed)
    : rows_(group.size()), seed_(seed) {
  struct Found {
    Group rows;
    std::int32_t fold = -1;
    bool split = false;
  };
  std::vector<Found> found;
  std::map<std::uint32_t, std::size_t> place;  // groups in order of first appearance
  for (std::uint32_t r = 0; r < rows_; ++r) {
    if (fold[r] < 0) continue;
    auto const [at, fresh] = place.try_emplace(group[r], found.size());
    if (fresh) found.push_back({{}, fold[r], false});
    Found& g = found[at->second];
    g.split = g.split || g.fold != fold[r];
    g.rows.push_back(r);
  }
  if (found.size() < 2)
    fail(Exit::data, "there is {} to draw from; two or more are needed", found.empty() ? "nothing" : "one group only");
  std::map<std::int32_t, std::vector<Group>> by_fold;
  bool inside = true;
  for (Found const& g : found) {
    inside = inside && !g.split;
    by_fold[g.fold].push_back(g.rows);
  }
  for (auto const& [f, groups] : by_fold) inside = inside && groups.size() > 1;
  if (!inside) strata_.emplace_back();
  for (Found& g : found)
    if (!inside) strata_[0].push_back(std::move(g.rows));
  for (auto& [f, groups] : by_fold)
    if (inside) strata_.push_back(std::move(groups));
}

std::size_t Resampler::groups() const {
  std::size_t count = 0;
  for (auto const& stratum : strata_) count += stratum.size();
  return count;
}

void Resampler::make(std::uint64_t index, std::span<float> weight) const {
  std::ranges::fill(weight, 0.0F);
  Philox random(seed_, purpose, index);
  for (auto const& stratum : strata_)
    for (std::size_t i = 0; i < stratum.size(); ++i)
      for (std::uint32_t row : stratum[draw(random, static_cast<std::uint32_t>(stratum.size()))]) weight[row] += 1;
}

double interval_tail(double level, std::size_t groups, std::size_t strata) {
  double const m = static_cast<double>(groups) / static_cast<double>(strata);
  return normal_cdf(student_quantile(0.5 * (1 - level), groups - strata) * std::sqrt(m / (m - 1)));
}

BootstrapInterval bootstrap_interval(std::span<double> draws, double observed, double centre, double tail) {
  auto const missing = std::ranges::remove_if(draws, [](double v) { return std::isnan(v); });
  auto const valid = draws.first(draws.size() - missing.size());
  if (std::isnan(observed) || std::isnan(centre) || 2 * valid.size() < draws.size() || valid.size() < 2)
    return {nan, nan, nan};
  std::ranges::sort(valid);  // sums, too, do not depend on the order of draws
  auto const count = static_cast<double>(valid.size());
  double mean = 0, square = 0;
  for (double v : valid) mean += v / count;
  for (double v : valid) square += (v - mean) * (v - mean);
  double const move = observed + centre - 2 * mean;
  return {quantile(valid, tail) + move, quantile(valid, 1 - tail) + move, std::sqrt(square / (count - 1))};
}

}  // namespace striate
