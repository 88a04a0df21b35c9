#include "striate/math/detrend.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "striate/base/error.hpp"

namespace striate {
namespace {

/// In four sums, so that no addition waits for the one before it.
double dot(double const* a, double const* b, std::size_t n) {
  double sum[4] = {0, 0, 0, 0};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (std::size_t k = 0; k < 4; ++k) sum[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void take_out(double const* q, std::size_t n, double* y) {
  double const share = dot(q, y, n);
  for (std::size_t i = 0; i < n; ++i) y[i] -= share * q[i];
}

/// Function k before it is made orthogonal to those before it.
double function(Drift const& drift, std::size_t k, std::size_t row, std::size_t rows, double const* before) {
  auto const n = static_cast<double>(rows);
  if (drift.kind == Drift::Kind::cosine)
    return std::cos(std::numbers::pi * static_cast<double>(k) * (2 * static_cast<double>(row) + 1) / (2 * n));
  // One degree more than the polynomial before: powers of time itself would be nearly parallel.
  return before == nullptr ? 1 : before[row] * (2 * static_cast<double>(row) + 1 - n) / n;
}

std::size_t functions_of(Drift const& drift, std::size_t rows, double tr) {
  if (drift.kind == Drift::Kind::none) return 0;
  if (drift.kind == Drift::Kind::polynomial) return drift.degree + 1;
  return static_cast<std::size_t>(std::floor(2 * static_cast<double>(rows) * tr / drift.cutoff + 1));
}

}  // namespace

RunCleaner::RunCleaner(std::size_t rows, Drift const& drift, double tr, bool zscore)
    : rows_(rows), functions_(functions_of(drift, rows, tr)), zscore_(zscore) {
  if (functions_ == 0 && zscore) functions_ = 1;  // a z-score needs the mean out, too
  if (functions_ >= rows)
    fail(Exit::data, "a run of {} volumes would lose {} drift functions, so nothing would be left; take out fewer", rows,
         functions_);
  basis_.resize(functions_ * rows);
  for (std::size_t k = 0; k < functions_; ++k) {
    double* const q = basis_.data() + k * rows;
    for (std::size_t i = 0; i < rows; ++i) q[i] = function(drift, k, i, rows, k == 0 ? nullptr : q - rows);
    for (int pass = 0; pass < 2; ++pass)  // twice is enough (Giraud et al. 2005)
      for (std::size_t j = 0; j < k; ++j) take_out(basis_.data() + j * rows, rows, q);
    double const length = std::sqrt(dot(q, q, rows));
    for (std::size_t i = 0; i < rows; ++i) q[i] /= length;
  }
}

void RunCleaner::clean(std::span<float> series) const {
  if (functions_ == 0) return;
  constexpr double rounding = 1e-7;  // of float32, relative
  std::vector<double> y(series.begin(), series.end());
  double greatest = 0;
  for (double v : y) greatest = std::max(greatest, std::abs(v));
  for (std::size_t k = 0; k < functions_; ++k) take_out(basis_.data() + k * rows_, rows_, y.data());
  double const deviation = std::sqrt(dot(y.data(), y.data(), rows_) / static_cast<double>(rows_));
  if (deviation <= rounding * greatest) {
    std::ranges::fill(series, 0.0F);
    return;
  }
  double const scale = zscore_ ? 1 / deviation : 1;
  for (std::size_t i = 0; i < rows_; ++i) series[i] = static_cast<float>(scale * y[i]);
}

}  // namespace striate
