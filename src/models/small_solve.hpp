#pragma once
/// Symmetric systems of a few unknowns, for which a LAPACK call is too long a way. Matrices are row-major, n × n.
#include <cmath>
#include <cstddef>

namespace striate::detail {

/// Lower Cholesky factor in place of the lower triangle; false where the matrix is not positive definite.
[[nodiscard]] inline bool factor_small(double* m, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double x = m[i * n + j];
      for (std::size_t k = 0; k < j; ++k) x -= m[i * n + k] * m[j * n + k];
      if (i == j && !(x > 0)) return false;
      m[i * n + j] = i == j ? std::sqrt(x) : x / m[j * n + j];
    }
  }
  return true;
}

/// x = A⁻¹ x with the factor of A.
inline void solve_small(double const* factor, std::size_t n, double* x) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) x[i] -= factor[i * n + k] * x[k];
    x[i] /= factor[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) x[i] -= factor[k * n + i] * x[k];
    x[i] /= factor[i * n + i];
  }
}

}  // namespace striate::detail
