#pragma once
/// Order of the axes of a stimulus: channels first, whatever the file has.
#include <cstddef>
#include <string>
#include <vector>

namespace striate::convert {

/// Moves the last axis to the front, or swaps the last two; or nothing.
class Permutation {
 public:
  enum class Kind { none, last_first, swap_last };
  Permutation() = default;
  Permutation(Kind kind, std::vector<std::size_t> in) : kind_(kind), in_(std::move(in)) {}
  [[nodiscard]] std::vector<std::size_t> out(std::vector<std::size_t> const& in) const;
  /// rows × units, row-major, in place.
  void apply(float* values, std::size_t rows) const;

 private:
  Kind kind_ = Kind::none;
  std::vector<std::size_t> in_;  ///< shape of a stimulus as it lies in the file
};

/// Values of an array by columns (the first axis varies fastest), as MATLAB and Fortran have it → row-major.
[[nodiscard]] std::vector<float> by_rows(std::vector<float> const& by_columns, std::vector<std::size_t> const& shape);

/// Of `layout` (auto is channels_first); `shape` of a stimulus as it lies in the file.
[[nodiscard]] Permutation permutation_of(std::string const& layout, std::vector<std::size_t> const& shape);

}  // namespace striate::convert
