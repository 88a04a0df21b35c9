#pragma once
/// Slow drifts of a run taken out of its time series by least squares.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace striate {

/// What counts as drift. The run's mean always does, but for `none`.
struct Drift {
  enum class Kind { none, polynomial, cosine } kind = Kind::none;
  std::size_t degree = 1;  ///< of polynomials
  double cutoff = 128;     ///< s; of cosines: the shortest period that is drift
};

/// Of one run of `rows` rows.
class RunCleaner {
 public:
  /// cosine: the first ⌊2 rows tr / cutoff + 1⌋ functions of the DCT-II, the constant among them, as spm_filter.
  /// `zscore`: then divides by the standard deviation (ddof 0). Throws Error(Exit::data) where as many functions as
  /// rows would be left out; `tr` in seconds.
  RunCleaner(std::size_t rows, Drift const& drift, double tr, bool zscore);
  [[nodiscard]] std::size_t functions() const { return functions_; }
  /// In place; computed in float64. What is left of a series that has nothing but drift (below the rounding of float32)
  /// becomes 0. A NaN makes the run NaN.
  void clean(std::span<float> series) const;

 private:
  std::size_t rows_, functions_ = 0;
  bool zscore_;
  std::vector<double> basis_;  ///< orthonormal, function by function
};

}  // namespace striate
