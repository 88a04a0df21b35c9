#pragma once
/// Samples at another rate, by a windowed sinc: the filter of resampy's "kaiser_best", which VGGish's and DNNBrain's
/// front ends use, evaluated exactly (resampy interpolates a table of it). Pure.
///   y[j] = Σ_n x[n] s ρ sinc(ρ s t) w(s t / 64), t = j M / L − n, s = min(1, L / M), ρ = 0.9476, w: Kaiser, β = 14.77
/// where L / M is the ratio of the rates.
#include <cstdint>
#include <span>
#include <vector>

namespace striate {

class Resampler {
 public:
  Resampler(int from_rate, int to_rate);
  /// Samples of the source that output samples [first, first + count) are made of: [begin, end), begin may be below 0.
  struct Range {
    std::int64_t begin = 0, end = 0;
  };
  [[nodiscard]] Range needs(std::int64_t first, std::size_t count) const;
  /// `source` holds the samples of needs(first, out.size()).
  void run(std::int64_t first, std::span<float const> source, std::span<float> out) const;
  /// Samples that come of `count` ones: floor(count × L / M).
  [[nodiscard]] std::int64_t length(std::int64_t count) const { return count * up_ / down_; }

 private:
  void fill_phase(std::int64_t phase, double* taps) const;
  std::int64_t up_ = 1, down_ = 1;
  std::int64_t reach_ = 0;  ///< taps on either side
  double cut_ = 1;
  std::vector<double> table_;  ///< [phase][tap], where it is not too large
};

}  // namespace striate
