#include "striate/stats/flips.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/stats/multiple.hpp"

namespace striate {
namespace {

/// d / √Σ d², so that targets of any scale share one maximum. Of nothing but zeros there is no improvement: 0.
void normalise(double* d, std::size_t blocks, std::size_t targets) {
  for (std::size_t t = 0; t < targets; ++t) {
    double square = 0;
    for (std::size_t b = 0; b < blocks; ++b) square += d[b * targets + t] * d[b * targets + t];
    double const scale = square > 0 ? 1 / std::sqrt(square) : square == 0 ? 0 : square;  // NaN stays
    for (std::size_t b = 0; b < blocks; ++b) d[b * targets + t] *= scale;
  }
}

/// Σ over blocks of sign · d, of each target. No signs: 1.
void add_up(double const* d, std::size_t blocks, std::size_t targets, float const* sign, double* out) {
  std::fill_n(out, targets, 0.0);
  for (std::size_t b = 0; b < blocks; ++b) {
    double const s = sign != nullptr ? sign[b] : 1;
    for (std::size_t t = 0; t < targets; ++t) out[t] += s * d[b * targets + t];
  }
}

}  // namespace

FlipCounts flip_improvements(std::vector<double> sums, std::size_t tests, std::size_t blocks, std::size_t targets,
                             Permuter const& flips, std::size_t n) {
  std::size_t const T = targets, size = blocks * T;
  std::vector<double> seen((tests + 1) * T), value((tests + 1) * T);
  for (std::size_t k = 0; k <= tests; ++k) {
    normalise(sums.data() + k * size, blocks, T);
    add_up(sums.data() + k * size, blocks, T, nullptr, seen.data() + k * T);
  }
  double const* const mean_seen = seen.data() + tests * T;
  FlipCounts out{std::vector<double>(tests * T), std::vector<std::uint64_t>(tests * T, 0),
                 std::vector<double>(tests * n, -std::numeric_limits<double>::infinity())};
  for (std::size_t k = 0; k < tests; ++k)
    for (std::size_t t = 0; t < T; ++t) {
      double const a = seen[k * T + t], b = mean_seen[t];
      out.statistic[k * T + t] = std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b);
    }
  std::vector<std::uint64_t> mean_exceed(T, 0);
  std::vector<std::uint32_t> source;
  std::vector<float> sign;
  for (std::size_t i = 0; i < n; ++i) {
    flips.make(i, source, sign);
    for (std::size_t k = 0; k <= tests; ++k)
      add_up(sums.data() + k * size, blocks, T, sign.data(), value.data() + k * T);
    double const* const mean = value.data() + tests * T;
    for (std::size_t t = 0; t < T; ++t) mean_exceed[t] += reaches(mean[t], mean_seen[t]) ? 1 : 0;
    for (std::size_t k = 0; k < tests; ++k)
      for (std::size_t t = 0; t < T; ++t) {
        if (std::isnan(out.statistic[k * T + t])) continue;
        double const v = value[k * T + t];
        out.exceed[k * T + t] += reaches(v, seen[k * T + t]) ? 1 : 0;
        out.max[k * n + i] = std::max({out.max[k * n + i], v, mean[t]});
      }
  }
  for (std::size_t k = 0; k < tests; ++k)
    for (std::size_t t = 0; t < T; ++t)
      if (!std::isnan(out.statistic[k * T + t]))
        out.exceed[k * T + t] = std::max(out.exceed[k * T + t], mean_exceed[t]);
  return out;
}

}  // namespace striate
