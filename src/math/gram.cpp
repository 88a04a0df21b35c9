#include "striate/math/gram.hpp"

#include <algorithm>
#include <vector>

#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"

namespace striate {
namespace {

void widen(float const* x, std::size_t ldx, std::size_t rows, std::size_t cols, double const* weight,
           double const* shift, double* out) {
  for (std::size_t c = 0; c < cols; ++c) {
    double const w = weight == nullptr ? 1.0 : weight[c], s = shift == nullptr ? 0.0 : shift[c];
    for (std::size_t r = 0; r < rows; ++r) {
      out[r + c * rows] = w * (static_cast<double>(x[r + c * ldx]) - s);
    }
  }
}

}  // namespace

void PackedShape::position(std::size_t index, std::size_t& i, std::size_t& j) const {
  for (i = 0; (i + 1) * (i + 2) / 2 <= index;) {
    ++i;
  }
  j = index - i * (i + 1) / 2;
}

void gather(PackedShape const& shape, double const* data, std::span<std::uint32_t const> rows,
            std::span<std::uint32_t const> cols, double* out, std::size_t ld, bool lower, double factor, bool add) {
  // Element (i, j) of a block at or below the diagonal lies at row_at(i) + col_at(j).
  std::size_t const b = shape.block;
  auto row_at = [b](std::size_t i) { return PackedShape::index(i / b, 0) * b * b + i % b; };
  auto col_at = [b](std::size_t j) { return j / b * b * b + j % b * b; };
  std::vector<std::size_t> row(rows.size()), swapped(rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    row[r] = row_at(rows[r]);
    swapped[r] = col_at(rows[r]);
  }
  for (std::size_t c = 0; c < cols.size(); ++c) {
    double* column = out + c * ld;
    std::size_t const start = cols[c] / b * b, down = col_at(cols[c]), across = row_at(cols[c]);
    for (std::size_t r = lower ? c : 0; r < rows.size(); ++r) {
      double const value = factor * data[rows[r] >= start ? row[r] + down : across + swapped[r]];
      column[r] = add ? column[r] + value : value;
    }
  }
}

void row_sums(PackedShape const& shape, double const* data, std::size_t first, std::size_t last,
              std::span<std::uint32_t const> cols, double* out) {
  std::size_t const b = shape.block, i = first / b;
  std::fill_n(out, last - first, 0.0);
  for (auto c : cols) {
    std::size_t const j = c / b;
    bool const below = i >= j;
    double const* from = data + (below ? PackedShape::index(i, j) * b * b + first % b + c % b * b
                                       : PackedShape::index(j, i) * b * b + first % b * b + c % b);
    std::size_t const step = below ? 1 : b;
    for (std::size_t r = 0; r < last - first; ++r) {
      out[r] += from[r * step];
    }
  }
}

void add_row_gram(PackedShape const& shape, std::size_t i, std::size_t j, float const* x, std::size_t ldx,
                  std::size_t count, double const* weight, bool wide, double* block,
                  double const* shift) {
  thread_local Buffer<double> left, right;
  thread_local Buffer<float> scaled, product;
  std::size_t const ni = shape.size(i), nj = shape.size(j), b = shape.block;
  float const* xi = x + i * b;
  float const* xj = x + j * b;
  for (std::size_t first = 0; first < count; first += gram_panel) {
    std::size_t const width = std::min(gram_panel, count - first);
    double const* w = weight == nullptr ? nullptr : weight + first;
    if (wide) {
      double const* s = shift == nullptr ? nullptr : shift + first;
      widen(xi + first * ldx, ldx, ni, width, nullptr, s, left.grow(b * gram_panel));
      widen(xj + first * ldx, ldx, nj, width, w, s, right.grow(b * gram_panel));
      blas::gemm('N', 'T', ni, nj, width, 1.0, left.data(), ni, right.data(), nj, 1.0, block, b);
      continue;
    }
    float const* y = xj + first * ldx;
    std::size_t ldy = ldx;
    if (w != nullptr) {
      float* s = scaled.grow(b * gram_panel);
      for (std::size_t c = 0; c < width; ++c) {
        auto const factor = static_cast<float>(w[c]);
        for (std::size_t r = 0; r < nj; ++r) {
          s[r + c * nj] = factor * y[r + c * ldy];
        }
      }
      y = s;
      ldy = nj;
    }
    float* p = product.grow(b * b);
    blas::gemm('N', 'T', ni, nj, width, 1.0F, xi + first * ldx, ldx, y, ldy, 0.0F, p, ni);
    for (std::size_t c = 0; c < nj; ++c) {
      for (std::size_t r = 0; r < ni; ++r) {
        block[r + c * b] += static_cast<double>(p[r + c * ni]);
      }
    }
  }
}

void add_column_gram(PackedShape const& shape, std::size_t i, std::size_t j, float const* x, std::size_t ldx,
                     std::size_t first, std::size_t last, double* block, double const* shift) {
  thread_local Buffer<double> left, right;
  std::size_t const ni = shape.size(i), nj = shape.size(j), b = shape.block;
  for (std::size_t row = first; row < last; row += gram_panel) {
    std::size_t const rows = std::min(gram_panel, last - row);
    auto from = [&](std::size_t at) { return shift == nullptr ? nullptr : shift + at * b; };
    widen(x + row + i * b * ldx, ldx, rows, ni, nullptr, from(i), left.grow(b * gram_panel));
    double const* other = left.data();
    if (i != j) {
      widen(x + row + j * b * ldx, ldx, rows, nj, nullptr, from(j), right.grow(b * gram_panel));
      other = right.data();
    }
    blas::gemm('T', 'N', ni, nj, rows, 1.0, left.data(), rows, other, rows, 1.0, block, b);
  }
}

}  // namespace striate
