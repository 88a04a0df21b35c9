#pragma once
/// Symmetric Gram matrices in float64, as the lower triangle of square blocks: each block is a contiguous slot that
/// one unit of work accumulates, panel by panel in a fixed order.
#include <cstddef>
#include <cstdint>
#include <span>

#include "striate/math/team.hpp"

namespace striate {

/// Features (or rows) a product sums over before its result is added in float64.
inline constexpr std::size_t gram_panel = 1024;

/// Shape of a packed symmetric matrix of order n; blocks (I, J), I >= J, stored one after the other, column-major
/// with leading dimension `block`.
struct PackedShape {
  std::size_t n = 0, block = 0, across = 0;
  explicit PackedShape(std::size_t order = 0)
      : n(order), block(order <= 2048 ? 256 : 512), across((order + block - 1) / (block == 0 ? 1 : block)) {}
  [[nodiscard]] std::size_t blocks() const { return across * (across + 1) / 2; }
  [[nodiscard]] std::size_t doubles() const { return blocks() * block * block; }
  [[nodiscard]] static std::size_t index(std::size_t i, std::size_t j) { return i * (i + 1) / 2 + j; }
  [[nodiscard]] std::size_t size(std::size_t i) const { return (i + 1) * block <= n ? block : n - i * block; }
  [[nodiscard]] Slot slot(std::size_t index) const { return {index * block * block * 8, block * block * 8}; }
  void position(std::size_t index, std::size_t& i, std::size_t& j) const;
  [[nodiscard]] double at(double const* data, std::size_t i, std::size_t j) const {
    if (i < j) {
      std::size_t const k = i;
      i = j;
      j = k;
    }
    return data[index(i / block, j / block) * block * block + i % block + (j % block) * block];
  }
};

/// out(r, c) = factor M(rows[r], cols[c]), added to what is there with `add`; column-major with leading dimension ld;
/// only r >= c with `lower`.
void gather(PackedShape const& shape, double const* data, std::span<std::uint32_t const> rows,
            std::span<std::uint32_t const> cols, double* out, std::size_t ld, bool lower = false, double factor = 1,
            bool add = false);

/// Σ over columns in `cols` of rows [first, last) of the matrix, which must lie in one row of blocks.
void row_sums(PackedShape const& shape, double const* data, std::size_t first, std::size_t last,
              std::span<std::uint32_t const> cols, double* out);

/// Adds X_I diag(weight) X_Jᵀ to block (I, J) of the row Gram for `count` features starting at a multiple of
/// gram_panel. X: n × count, column-major. weight: one a feature, or null. Products in float32 panels or, with
/// `wide`, in float64 throughout, where `shift` (one a feature, or null) is taken from X first. The result does not
/// depend on how features are cut into calls.
void add_row_gram(PackedShape const& shape, std::size_t i, std::size_t j, float const* x, std::size_t ldx,
                  std::size_t count, double const* weight, bool wide, double* block,
                  double const* shift = nullptr);

/// Adds X_Iᵀ X_J over rows [first, last) to block (I, J) of the feature Gram, in float64; shift as above.
void add_column_gram(PackedShape const& shape, std::size_t i, std::size_t j, float const* x, std::size_t ldx,
                     std::size_t first, std::size_t last, double* block, double const* shift = nullptr);

}  // namespace striate
