#pragma once
/// FeatureSource: a matrix of stimuli × features that is read in panels of columns and need never be held whole.
#include <cstddef>
#include <string>
#include <vector>

#include "striate/math/matrix.hpp"

namespace striate {

class FeatureSource {
 public:
  virtual ~FeatureSource() = default;
  [[nodiscard]] virtual std::size_t rows() const = 0;  ///< stimuli (n)
  [[nodiscard]] virtual std::size_t cols() const = 0;  ///< features (p)
  /// Columns [first, first + count), column-major, rows × count floats into out. Called from the main thread of
  /// each rank only. Throws Error (I/O).
  virtual void read(std::size_t first, std::size_t count, float* out) const = 0;
};

/// A matrix that is in memory (column-major view; must outlive the source).
class MemorySource : public FeatureSource {
 public:
  explicit MemorySource(MatrixView<float const> x) : x_(x) {}
  [[nodiscard]] std::size_t rows() const override { return x_.rows; }
  [[nodiscard]] std::size_t cols() const override { return x_.cols; }
  void read(std::size_t first, std::size_t count, float* out) const override;

 private:
  MatrixView<float const> x_;
};

}  // namespace striate
