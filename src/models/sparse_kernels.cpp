#include "sparse_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "descent.hpp"
#include "striate/math/clones.hpp"

namespace striate::detail {
namespace {

using Doubles = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(64)));
constexpr std::size_t lanes = 8;

}  // namespace

STRIATE_CLONES double descend(double const* matrix, std::size_t stride, std::size_t count, double l1, double* w,
                              double* q, double const* diagonal, double const* step) {
  double largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double const old = w[i], here = q[i];
    if (old == 0 && std::fabs(here) <= l1) {
      continue;
    }
    double const u = here + diagonal[i] * old, beyond = std::fabs(u) - l1;
    double const now = beyond > 0 ? std::copysign(beyond, u) * step[i] : 0;
    double const change = now - old;
    if (change == 0) {
      continue;
    }
    w[i] = now;
    largest = std::fabs(change) > largest ? std::fabs(change) : largest;
    double const* row = matrix + i * stride;
    Doubles const by = Doubles{} + change;
    for (std::size_t j = 0; j < count; j += lanes) {
      Doubles a, b;
      std::memcpy(&a, q + j, sizeof a);
      std::memcpy(&b, row + j, sizeof b);
      a -= by * b;
      std::memcpy(q + j, &a, sizeof a);
    }
  }
  return largest;
}

STRIATE_CLONES void subtract_rows(double const* matrix, std::size_t stride, std::size_t count,
                                  std::uint32_t const* index, double const* value, std::size_t rows, double* out) {
  for (std::size_t k = 0; k < rows; k += 4) {  // four rows in one pass over `out`
    double const* row[4];
    Doubles by[4];
    for (std::size_t r = 0; r < 4; ++r) {
      row[r] = matrix + index[std::min(k + r, rows - 1)] * stride;
      by[r] = Doubles{} + (k + r < rows ? value[k + r] : 0.0);
    }
    for (std::size_t j = 0; j < count; j += lanes) {
      Doubles sum;
      std::memcpy(&sum, out + j, sizeof sum);
      for (std::size_t r = 0; r < 4; ++r) {
        Doubles x;
        std::memcpy(&x, row[r] + j, sizeof x);
        sum -= by[r] * x;
      }
      std::memcpy(out + j, &sum, sizeof sum);
    }
  }
}

STRIATE_CLONES void panel_gradient(double const* panel, std::uint32_t const* index, double const* value,
                                   std::size_t count, double const* c, double* out) {
  static_assert(gram_rows == 4 * lanes);
  Doubles sum[4];
  std::memcpy(sum, c, sizeof sum);
  for (std::size_t k = 0; k < count; ++k) {
    double const* column = panel + index[k] * gram_rows;
    Doubles const by = Doubles{} + value[k];
    for (std::size_t v = 0; v < 4; ++v) {
      Doubles x;
      std::memcpy(&x, column + v * lanes, sizeof x);
      sum[v] -= by * x;
    }
  }
  std::memcpy(out, sum, sizeof sum);
}

STRIATE_CLONES void panel_predictions(float const* panel, std::uint32_t const* index, float const* value,
                                      std::size_t count, float* out) {
  static_assert(test_rows == 8 * lanes);
  Floats sum[4] = {};
  for (std::size_t k = 0; k < count; ++k) {
    float const* column = panel + index[k] * test_rows;
    Floats const by = Floats{} + value[k];
    for (std::size_t v = 0; v < 4; ++v) {
      Floats x;
      std::memcpy(&x, column + v * 2 * lanes, sizeof x);
      sum[v] += by * x;
    }
  }
  std::memcpy(out, sum, sizeof sum);
}

}  // namespace striate::detail
