#pragma once
/// Products of a matrix that is packed once with many tiles: the inner loop of every encoding tile.
///
/// A library's sgemm gives a column of the result different last bits by its position in the product (its kernels
/// treat edge columns differently), and packs the fixed factor anew for every tile. Here the fixed factor is packed
/// once, in an order that does not depend on the instruction set; every column goes through the same operations in
/// the same order wherever it stands, so that a target's result does not depend on its tile or its neighbours.
#include <cstddef>

#include "striate/math/buffer.hpp"

namespace striate {

inline constexpr std::size_t panel_rows = 16;  ///< rows of a packed panel: a vector of AVX-512, two of AVX2
inline constexpr std::size_t sliver = 8;       ///< columns of the other factor that are multiplied at a time

[[nodiscard]] inline std::size_t round_up(std::size_t n, std::size_t step) { return (n + step - 1) / step * step; }
/// Rows that a block of rows takes in a packed matrix.
[[nodiscard]] inline std::size_t panel_round(std::size_t rows) { return round_up(rows, panel_rows); }
/// Rows of the result of panel_product, and its leading dimension: whole groups of three panels.
[[nodiscard]] inline std::size_t padded_rows(std::size_t rows) { return round_up(rows, 3 * panel_rows); }
[[nodiscard]] inline std::size_t padded_cols(std::size_t cols) { return round_up(cols, sliver); }
/// Floats of a packed rows × depth matrix: panels of 16 rows, each depth × 16, in whole groups of three.
[[nodiscard]] inline std::size_t packed_size(std::size_t rows, std::size_t depth) { return padded_rows(rows) * depth; }

/// A matrix to pack: element (r, k) is ((from[r * row_stride + k * depth_stride] - row_shift[r]) * factor + offset) *
/// row_scale[r] * depth_scale[k]; null scales are ones, null shifts zeros.
template <class T>
struct PackSource {
  T const* from = nullptr;
  std::size_t row_stride = 1, depth_stride = 1;
  double factor = 1, offset = 0;
  double const* row_scale = nullptr;
  double const* depth_scale = nullptr;
  double const* row_shift = nullptr;
};

/// How a packed matrix stands in memory: panels of 16 rows, depth after depth within one, as panel_product takes them;
/// or row after row, as other libraries do. A block of rows takes the same floats in both.
enum class Packing { panels, rows };

/// Packs rows × depth elements as panels of 16 rows; rows past the end are zero. out: panel_round(rows) * depth floats.
/// Blocks of rows packed one after the other (each rounded up) make one matrix; what follows the last block up to
/// packed_size must be zero.
template <class T>
void pack_rows(PackSource<T> const& source, std::size_t rows, std::size_t depth, float* out,
               Packing packing = Packing::panels);
extern template void pack_rows(PackSource<float> const&, std::size_t, std::size_t, float*, Packing);
extern template void pack_rows(PackSource<double> const&, std::size_t, std::size_t, float*, Packing);

/// C = A B. A packed (rows × depth), B depth × cols column-major, C padded_rows(rows) × cols with leading dimension
/// padded_rows(rows). cols must be a multiple of `sliver`. `scratch` is kept from call to call. Thread-safe.
void panel_product(float const* packed, std::size_t rows, std::size_t depth, float const* b, std::size_t ldb,
                   std::size_t cols, float* c, Buffer<float>& scratch);

/// "AVX-512", "AVX2" or "generic": what panel_product runs on this CPU.
[[nodiscard]] char const* panel_product_kernel();

}  // namespace striate
