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

inline constexpr std::size_t panel_rows = 48;  ///< rows of a packed panel: three vectors of AVX-512, six of AVX2
inline constexpr std::size_t sliver = 8;       ///< columns of the other factor that are multiplied at a time

[[nodiscard]] inline std::size_t padded_rows(std::size_t rows) { return (rows + panel_rows - 1) / panel_rows * panel_rows; }
[[nodiscard]] inline std::size_t padded_cols(std::size_t cols) { return (cols + sliver - 1) / sliver * sliver; }
/// Floats of a packed rows × depth matrix: panels of 48 rows, each depth × 48.
[[nodiscard]] inline std::size_t packed_size(std::size_t rows, std::size_t depth) { return padded_rows(rows) * depth; }

/// Packs panel number `panel` of A (rows × depth), whose element (r, k) is a[r * row_stride + k * depth_stride]. Rows
/// past the end are zero. out: depth × 48.
void pack_panel(float const* a, std::size_t row_stride, std::size_t depth_stride, std::size_t rows, std::size_t depth,
                std::size_t panel, float* out);

/// C = A B. A packed (rows × depth), B depth × cols column-major, C padded_rows(rows) × cols with leading dimension
/// padded_rows(rows). cols must be a multiple of `sliver`. `scratch` is kept from call to call. Thread-safe.
void panel_product(float const* packed, std::size_t rows, std::size_t depth, float const* b, std::size_t ldb, std::size_t cols, float* c,
                   Buffer<float>& scratch);

/// "AVX-512", "AVX2" or "generic": what panel_product runs on this CPU.
[[nodiscard]] char const* panel_product_kernel();

}  // namespace striate
