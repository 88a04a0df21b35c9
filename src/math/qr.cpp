#include "striate/math/qr.hpp"

#include <algorithm>
#include <climits>
#include <vector>

#include "striate/base/error.hpp"

extern "C" {
void dgeqrf_(int const*, int const*, double*, int const*, double*, double*, int const*, int*);
void dorgqr_(int const*, int const*, int const*, double*, int const*, double const*, double*, int const*, int*);
}

namespace striate::blas {

void orthonormal_columns(std::size_t m, std::size_t n, double* a) {
  if (n == 0) return;
  if (m > static_cast<std::size_t>(INT_MAX)) fail(Exit::limit, "a matrix of {} rows; use fewer", m);
  int const rows = static_cast<int>(m), columns = static_cast<int>(n), ask = -1;
  int info = 0;
  double of_factor = 1, of_basis = 1;
  std::vector<double> scales(n);
  dgeqrf_(&rows, &columns, a, &rows, scales.data(), &of_factor, &ask, &info);
  dorgqr_(&rows, &columns, &columns, a, &rows, scales.data(), &of_basis, &ask, &info);
  int const size = static_cast<int>(std::max({1.0, of_factor, of_basis}));
  std::vector<double> work(static_cast<std::size_t>(size));
  dgeqrf_(&rows, &columns, a, &rows, scales.data(), work.data(), &size, &info);
  if (info == 0) dorgqr_(&rows, &columns, &columns, a, &rows, scales.data(), work.data(), &size, &info);
  if (info != 0) fail(Exit::internal, "the basis of a {} × {} matrix was not found (LAPACK: info {})", m, n, info);
}

}  // namespace striate::blas
