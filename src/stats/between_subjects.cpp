#include <cmath>
#include <limits>
#include <vector>

#include "striate/stats/noise_ceiling.hpp"
#include "striate/stats/scores.hpp"

namespace striate {
namespace {

/// z-scores; false where a value is not finite or none differs.
bool standardised(float const* y, std::size_t n, std::vector<double>& out) {
  double mean = 0, square = 0;
  bool varies = false;
  for (std::size_t i = 0; i < n; ++i) {
    mean += y[i];
    varies = varies || y[i] != y[0];
  }
  mean /= static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = y[i] - mean;
    square += out[i] * out[i];
  }
  double const sd = std::sqrt(square / static_cast<double>(n));
  for (double& value : out) {
    value /= sd;
  }
  return varies && std::isfinite(square) && sd > 0;
}

}  // namespace

void between_subjects(MatrixView<float const> Y, std::size_t subjects, std::span<double> lower,
                      std::span<double> upper) {
  std::size_t const n = Y.rows / subjects;
  std::vector<double> mine(n), other(n), sum(n);
  for (std::size_t t = 0; t < Y.cols; ++t) {
    bool fine = standardised(Y.col(t), n, mine);
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t s = 1; s < subjects; ++s) {
      fine = standardised(Y.col(t) + s * n, n, other) && fine;
      for (std::size_t i = 0; i < n; ++i) {
        sum[i] += other[i];
      }
    }
    Moments without, with;
    for (std::size_t i = 0; i < n; ++i) {
      without.add(mine[i], sum[i]);
      with.add(mine[i], sum[i] + mine[i]);
    }
    double const nan = std::numeric_limits<double>::quiet_NaN();
    lower[t] = fine ? score(Score::pearson, without) : nan;
    upper[t] = fine ? score(Score::pearson, with) : nan;
  }
}

}  // namespace striate
