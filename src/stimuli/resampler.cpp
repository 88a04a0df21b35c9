#include "resampler.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace striate {
namespace {

constexpr double crossings = 64, rolloff = 0.9475937167399596, beta = 14.769656459379492;
constexpr std::int64_t largest_table = 4'000'000;

double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > sum * 1e-17; ++k) {
    term *= x / (2 * k) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

/// At t, in zero crossings of the sinc before the roll-off.
double filter(double t) {
  double const u = t / crossings;
  if (std::abs(u) >= 1) return 0;
  double const x = std::numbers::pi * rolloff * t;
  double const sinc = std::abs(x) < 1e-12 ? 1 : std::sin(x) / x;
  static double const whole = bessel_i0(beta);
  return rolloff * sinc * bessel_i0(beta * std::sqrt(1 - u * u)) / whole;
}

/// In eight sums side by side, which a compiler may keep in vectors without changing a bit.
double dot(double const* a, double const* b, std::int64_t count) {
  double sums[8] = {};
  std::int64_t k = 0;
  for (; k + 8 <= count; k += 8)
    for (int lane = 0; lane < 8; ++lane) sums[lane] += a[k + lane] * b[k + lane];
  for (; k < count; ++k) sums[k % 8] += a[k] * b[k];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

Resampler::Resampler(int from_rate, int to_rate) {
  int const common = std::gcd(from_rate, to_rate);
  up_ = to_rate / common, down_ = from_rate / common;
  if (up_ == down_) return;
  cut_ = std::min(1.0, static_cast<double>(up_) / static_cast<double>(down_));
  reach_ = static_cast<std::int64_t>(std::ceil(crossings / cut_));
  std::int64_t const taps = 2 * reach_ + 1;
  if (up_ * taps > largest_table) return;
  table_.resize(static_cast<std::size_t>(up_ * taps));
  for (std::int64_t phase = 0; phase < up_; ++phase) fill_phase(phase, table_.data() + phase * taps);
}

/// Taps for source samples −reach … reach around the one at or before phase / up.
void Resampler::fill_phase(std::int64_t phase, double* taps) const {
  double const offset = static_cast<double>(phase) / static_cast<double>(up_);
  for (std::int64_t k = -reach_; k <= reach_; ++k)
    taps[k + reach_] = cut_ * filter(cut_ * (offset - static_cast<double>(k)));
}

Resampler::Range Resampler::needs(std::int64_t first, std::size_t count) const {
  if (count == 0) return {0, 0};
  std::int64_t const last = first + static_cast<std::int64_t>(count) - 1;
  return {first * down_ / up_ - reach_, last * down_ / up_ + reach_ + 1};
}

void Resampler::run(std::int64_t first, std::span<float const> source, std::span<float> out) const {
  if (up_ == down_) {
    std::copy(source.begin(), source.end(), out.begin());
    return;
  }
  std::int64_t const begin = needs(first, out.size()).begin, taps = 2 * reach_ + 1;
  std::vector<double> one(table_.empty() ? static_cast<std::size_t>(taps) : 0), wide(source.begin(), source.end());
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::int64_t const at = (first + static_cast<std::int64_t>(i)) * down_, phase = at % up_;
    if (table_.empty()) fill_phase(phase, one.data());
    double const* const h = table_.empty() ? one.data() : table_.data() + phase * taps;
    out[i] = static_cast<float>(dot(h, wide.data() + (at / up_ - reach_ - begin), taps));
  }
}

}  // namespace striate
