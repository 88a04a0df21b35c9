#include "striate/math/skinny.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "striate/math/clones.hpp"

namespace striate {
namespace {

using Doubles = double __attribute__((vector_size(64)));
constexpr std::size_t lanes = 8;
constexpr std::size_t together = 4;  ///< columns of the matrix in one pass over x

inline __attribute__((always_inline)) void load(double const* from, Doubles& v) { std::memcpy(&v, from, sizeof v); }

/// out[k + j, c] = Σ_{i ≥ from} a[i, k + j] x[i, c] for j < J, c < C; a points at column k.
template <std::size_t J, std::size_t C>
inline __attribute__((always_inline)) void dots(std::size_t n, std::size_t from, double const* a, double const* x,
                                                double* out) {
  Doubles sum[J][C] = {};
  std::size_t i = from;
  for (; i + lanes <= n; i += lanes) {
    Doubles v[C];
    for (std::size_t c = 0; c < C; ++c) load(x + c * n + i, v[c]);
    for (std::size_t j = 0; j < J; ++j) {
      Doubles column;
      load(a + j * n + i, column);
      for (std::size_t c = 0; c < C; ++c) sum[j][c] += column * v[c];
    }
  }
  for (std::size_t j = 0; j < J; ++j)
    for (std::size_t c = 0; c < C; ++c) {
      double total = 0;
      for (std::size_t l = 0; l < lanes; ++l) total += sum[j][c][l];
      for (std::size_t r = i; r < n; ++r) total += a[j * n + r] * x[c * n + r];
      out[c * n + j] = total;
    }
}

template <std::size_t C>
inline __attribute__((always_inline)) void transposed(std::size_t n, bool lower, double const* g, double const* x,
                                                      double* out) {
  std::size_t k = 0;
  for (; k + together <= n; k += together) {
    std::size_t const from = lower ? k + together : 0;
    dots<together, C>(n, from, g + k * n, x, out + k);
    for (std::size_t j = 0; j < together && lower; ++j)  // the triangle at the diagonal
      for (std::size_t c = 0; c < C; ++c)
        for (std::size_t i = k + j; i < from; ++i) out[c * n + k + j] += g[(k + j) * n + i] * x[c * n + i];
  }
  for (; k < n; ++k) dots<1, C>(n, lower ? k : 0, g + k * n, x, out + k);
}

/// out[i, c] += Σ_j a[i, k + j] x[k + j, c] for i ≥ from.
template <std::size_t J, std::size_t C>
inline __attribute__((always_inline)) void columns_times(std::size_t n, std::size_t from, double const* a,
                                                         double const* x, double* out) {
  double factor[J][C];
  for (std::size_t j = 0; j < J; ++j)
    for (std::size_t c = 0; c < C; ++c) factor[j][c] = x[c * n + j];
  std::size_t i = from;
  for (; i + lanes <= n; i += lanes) {
    Doubles column[J];
    for (std::size_t j = 0; j < J; ++j) load(a + j * n + i, column[j]);
    for (std::size_t c = 0; c < C; ++c) {
      Doubles sum;
      load(out + c * n + i, sum);
      for (std::size_t j = 0; j < J; ++j) sum += column[j] * factor[j][c];
      std::memcpy(out + c * n + i, &sum, sizeof sum);
    }
  }
  for (; i < n; ++i)
    for (std::size_t c = 0; c < C; ++c)
      for (std::size_t j = 0; j < J; ++j) out[c * n + i] += a[j * n + i] * factor[j][c];
}

template <std::size_t C>
inline __attribute__((always_inline)) void lower_times(std::size_t n, double const* l, double const* x, double* out) {
  std::fill_n(out, n * C, 0.0);
  std::size_t k = 0;
  for (; k + together <= n; k += together) {
    for (std::size_t j = 0; j < together; ++j)  // the triangle at the diagonal
      for (std::size_t c = 0; c < C; ++c)
        for (std::size_t i = k + j; i < k + together; ++i) out[c * n + i] += l[(k + j) * n + i] * x[c * n + k + j];
    columns_times<together, C>(n, k + together, l + k * n, x + k, out);
  }
  for (; k < n; ++k) columns_times<1, C>(n, k, l + k * n, x + k, out);
}

STRIATE_CLONES void transposed_four(std::size_t n, bool lower, double const* g, double const* x, double* out) {
  transposed<4>(n, lower, g, x, out);
}
STRIATE_CLONES void transposed_one(std::size_t n, bool lower, double const* g, double const* x, double* out) {
  transposed<1>(n, lower, g, x, out);
}
STRIATE_CLONES void lower_four(std::size_t n, double const* l, double const* x, double* out) {
  lower_times<4>(n, l, x, out);
}
STRIATE_CLONES void lower_one(std::size_t n, double const* l, double const* x, double* out) {
  lower_times<1>(n, l, x, out);
}

constexpr std::size_t product_rows = 256;  ///< whose sums stay in the fastest cache
constexpr std::size_t product_columns = 8;

/// sums[i, c] += Σ over J columns k of a[i, k] x[k, c], for product_columns c.
template <std::size_t J>
inline __attribute__((always_inline)) void add_columns(std::size_t rows, std::size_t depth, double const* a,
                                                       std::size_t stride, double const* x, double* sums) {
  std::size_t const whole = rows / lanes * lanes;
  for (std::size_t c = 0; c < product_columns; ++c) {
    double const* const factor = x + c * depth;
    double* const to = sums + c * rows;
    for (std::size_t i = 0; i < whole; i += lanes) {
      Doubles sum;
      load(to + i, sum);
      for (std::size_t j = 0; j < J; ++j) {
        Doubles v;
        load(a + j * stride + i, v);
        sum += v * factor[j];
      }
      std::memcpy(to + i, &sum, sizeof sum);
    }
    for (std::size_t i = whole; i < rows; ++i)
      for (std::size_t j = 0; j < J; ++j) to[i] += a[j * stride + i] * factor[j];
  }
}

STRIATE_CLONES void product_block(std::size_t rows, std::size_t depth, double const* a, std::size_t stride,
                                  double const* x, double* sums) {
  std::size_t k = 0;
  for (; k + together <= depth; k += together) add_columns<together>(rows, depth, a + k * stride, stride, x + k, sums);
  for (; k < depth; ++k) add_columns<1>(rows, depth, a + k * stride, stride, x + k, sums);
}

/// Four columns at a time, then one by one.
template <class Four, class One>
void by_columns(std::size_t n, double const* x, std::size_t columns, double* out, Four const& four, One const& one) {
  std::size_t c = 0;
  for (; c + 4 <= columns; c += 4) four(x + c * n, out + c * n);
  for (; c < columns; ++c) one(x + c * n, out + c * n);
}

}  // namespace

void skinny_transposed(std::size_t n, double const* g, double const* x, std::size_t columns, double* out) {
  by_columns(
      n, x, columns, out, [&](double const* from, double* to) { transposed_four(n, false, g, from, to); },
      [&](double const* from, double* to) { transposed_one(n, false, g, from, to); });
}

void skinny_lower_transposed(std::size_t n, double const* l, double const* x, std::size_t columns, double* out) {
  by_columns(
      n, x, columns, out, [&](double const* from, double* to) { transposed_four(n, true, l, from, to); },
      [&](double const* from, double* to) { transposed_one(n, true, l, from, to); });
}

void skinny_lower(std::size_t n, double const* l, double const* x, std::size_t columns, double* out) {
  by_columns(
      n, x, columns, out, [&](double const* from, double* to) { lower_four(n, l, from, to); },
      [&](double const* from, double* to) { lower_one(n, l, from, to); });
}

/// Columns beyond the last are zeros, so that all of them go through the same operations.
void skinny_product(std::size_t rows, std::size_t depth, double const* a, std::size_t stride, double const* x,
                    std::size_t columns, double* out) {
  std::vector<double> few(depth * product_columns), sums(product_rows * product_columns);
  for (std::size_t c = 0; c < columns; c += product_columns) {
    std::size_t const count = std::min(product_columns, columns - c);
    std::fill(std::copy_n(x + c * depth, count * depth, few.begin()), few.end(), 0.0);
    for (std::size_t first = 0; first < rows; first += product_rows) {
      std::size_t const block = std::min(product_rows, rows - first);
      std::fill(sums.begin(), sums.end(), 0.0);
      product_block(block, depth, a + first, stride, few.data(), sums.data());
      for (std::size_t j = 0; j < count; ++j)
        std::copy_n(sums.begin() + static_cast<std::ptrdiff_t>(j * block), block, out + (c + j) * rows + first);
    }
  }
}

}  // namespace striate
