#include "striate/math/blas.hpp"

#include <algorithm>
#include <climits>
#include <string>
#include <vector>

#include "striate/base/error.hpp"
#include "striate/math/buffer.hpp"

extern "C" {
void sgemm_(char const*, char const*, int const*, int const*, int const*, float const*, float const*, int const*,
            float const*, int const*, float const*, float*, int const*);
void dgemm_(char const*, char const*, int const*, int const*, int const*, double const*, double const*, int const*,
            double const*, int const*, double const*, double*, int const*);
void dgemv_(char const*, int const*, int const*, double const*, double const*, int const*, double const*, int const*,
            double const*, double*, int const*);
void dtrsm_(char const*, char const*, char const*, char const*, int const*, int const*, double const*, double const*,
            int const*, double*, int const*);
void dtrmm_(char const*, char const*, char const*, char const*, int const*, int const*, double const*, double const*,
            int const*, double*, int const*);
void dpotrf_(char const*, int const*, double*, int const*, int*);
void dpstrf_(char const*, int const*, double*, int const*, int*, int*, double const*, double*, int*);
void dpotri_(char const*, int const*, double*, int const*, int*);
void dpotrs_(char const*, int const*, int const*, double const*, int const*, double*, int const*, int*);
void dsyevd_(char const*, char const*, int const*, double*, int const*, double*, double*, int const*, int*, int const*,
             int*);
void dsyevr_(char const*, char const*, char const*, int const*, double*, int const*, double const*, double const*,
             int const*, int const*, double const*, int*, double*, double*, int const*, int*, double*, int const*, int*,
             int const*, int*);
#ifdef STRIATE_HAVE_OPENBLAS
void openblas_set_num_threads(int);
char* openblas_get_config(void);
char* openblas_get_corename(void);
#endif
}

namespace striate::blas {
namespace {

int as_int(std::size_t n) {
  if (n > static_cast<std::size_t>(INT_MAX)) {
    fail(Exit::limit,
         "a matrix of {} rows or columns (the BLAS counts with 32-bit integers); use fewer rows or features", n);
  }
  return static_cast<int>(n);
}

double at_least_one(double x) { return std::max(1.0, x); }

}  // namespace

void single_thread() {
#ifdef STRIATE_HAVE_OPENBLAS
  openblas_set_num_threads(1);
#endif
}

char const* description() {
#ifdef STRIATE_HAVE_OPENBLAS
  static std::string const text = [] {
    std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_AFFINITY … Haswell MAX_THREADS=64"
    return config.substr(0, config.find(' ', config.find(' ') + 1)) + " " + openblas_get_corename();
  }();
  return text.c_str();
#else
  return "BLAS";
#endif
}

void gemm(char trans_a, char trans_b, std::size_t m, std::size_t n, std::size_t k, float alpha, float const* a,
          std::size_t lda, float const* b, std::size_t ldb, float beta, float* c, std::size_t ldc) {
  int const im = as_int(m), in = as_int(n), ik = as_int(k), ia = as_int(lda), ib = as_int(ldb), ic = as_int(ldc);
  sgemm_(&trans_a, &trans_b, &im, &in, &ik, &alpha, a, &ia, b, &ib, &beta, c, &ic);
}

void gemm(char trans_a, char trans_b, std::size_t m, std::size_t n, std::size_t k, double alpha, double const* a,
          std::size_t lda, double const* b, std::size_t ldb, double beta, double* c, std::size_t ldc) {
  int const im = as_int(m), in = as_int(n), ik = as_int(k), ia = as_int(lda), ib = as_int(ldb), ic = as_int(ldc);
  dgemm_(&trans_a, &trans_b, &im, &in, &ik, &alpha, a, &ia, b, &ib, &beta, c, &ic);
}

void gemv(char trans, std::size_t m, std::size_t n, double alpha, double const* a, std::size_t lda, double const* x,
          double beta, double* y) {
  int const im = as_int(m), in = as_int(n), ia = as_int(lda), one = 1;
  dgemv_(&trans, &im, &in, &alpha, a, &ia, x, &one, &beta, y, &one);
}

bool cholesky(std::size_t n, double* a, std::size_t lda) {
  int const in = as_int(n), ia = as_int(lda);
  int info = 0;
  dpotrf_("L", &in, a, &ia, &info);
  return info == 0;
}

std::size_t pivoted_cholesky(std::size_t n, double* a, std::size_t lda, double least, std::vector<std::size_t>& place) {
  int const in = as_int(n), ia = as_int(lda);
  int info = 0, rank = 0;
  std::vector<int> pivot(n);
  std::vector<double> work(2 * n);
  dpstrf_("L", &in, a, &ia, pivot.data(), &rank, &least, work.data(), &info);
  place.assign(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    place[i] = static_cast<std::size_t>(pivot[i] - 1);
  }
  return static_cast<std::size_t>(rank);
}

void cholesky_inverse(std::size_t n, double* a, std::size_t lda) {
  int const in = as_int(n), ia = as_int(lda);
  int info = 0;
  dpotri_("L", &in, a, &ia, &info);
  constexpr std::size_t block = 64;  // mirrored in blocks: a plain transpose walks across pages
  for (std::size_t jb = 0; jb < n; jb += block) {
    for (std::size_t ib = jb; ib < n; ib += block) {
      for (std::size_t j = jb; j < std::min(n, jb + block); ++j) {
        for (std::size_t i = std::max(ib, j + 1); i < std::min(n, ib + block); ++i) {
          a[j + i * lda] = a[i + j * lda];
        }
      }
    }
  }
}

void cholesky_solve(std::size_t n, std::size_t nrhs, double const* a, std::size_t lda, double* b, std::size_t ldb) {
  int const in = as_int(n), ir = as_int(nrhs), ia = as_int(lda), ib = as_int(ldb);
  int info = 0;
  dpotrs_("L", &in, &ir, a, &ia, b, &ib, &info);
}

void cholesky_solve_right(std::size_t m, std::size_t n, double const* a, std::size_t lda, double* b, std::size_t ldb) {
  int const im = as_int(m), in = as_int(n), ia = as_int(lda), ib = as_int(ldb);
  double const one = 1;
  dtrsm_("R", "L", "T", "N", &im, &in, &one, a, &ia, b, &ib);
  dtrsm_("R", "L", "N", "N", &im, &in, &one, a, &ia, b, &ib);
}

void eigen_top(std::size_t n, double* a, std::size_t lda, std::size_t count, double* values, double* vectors) {
  int const in = as_int(n), ia = as_int(lda);
  int info = 0;
  std::vector<double> w(n);
  if (count * 2 < n) {  // few: reduction to tridiagonal form and `count` vectors only
    int const il = as_int(n - count + 1), minus = -1;
    int found = 0, isize = 0;
    double const zero = 0;
    double size = 0;
    std::vector<int> support(2 * count + 2);
    dsyevr_("V", "I", "L", &in, a, &ia, &zero, &zero, &il, &in, &zero, &found, w.data(), vectors, &in, support.data(),
            &size, &minus, &isize, &minus, &info);
    int const lwork = static_cast<int>(at_least_one(size));
    std::vector<double> work(static_cast<std::size_t>(lwork));
    std::vector<int> iwork(static_cast<std::size_t>(isize));
    dsyevr_("V", "I", "L", &in, a, &ia, &zero, &zero, &il, &in, &zero, &found, w.data(), vectors, &in, support.data(),
            work.data(), &lwork, iwork.data(), &isize, &info);
    if (info == 0 && static_cast<std::size_t>(found) == count) {
      for (std::size_t j = 0; j < count; ++j) {
        values[j] = w[count - 1 - j];
      }
      for (std::size_t j = 0; j < count / 2; ++j) {
        std::swap_ranges(vectors + j * n, vectors + (j + 1) * n, vectors + (count - 1 - j) * n);
      }
      return;
    }
    fail(Exit::internal, "the eigenvalues of a {0}×{0} matrix were not found (LAPACK dsyevr: info {1})", n, info);
  }
  int const minus = -1;
  int isize = 0;
  double size = 0;
  dsyevd_("V", "L", &in, a, &ia, w.data(), &size, &minus, &isize, &minus, &info);
  int const lwork = static_cast<int>(at_least_one(size));
  Buffer<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(isize));
  dsyevd_("V", "L", &in, a, &ia, w.data(), work.data(), &lwork, iwork.data(), &isize, &info);
  if (info != 0) {
    fail(Exit::internal, "the eigenvalues of a {0}×{0} matrix were not found (LAPACK dsyevd: info {1})", n, info);
  }
  for (std::size_t j = 0; j < count; ++j) {
    values[j] = w[n - 1 - j];
    std::copy_n(a + (n - 1 - j) * lda, n, vectors + j * n);
  }
}

}  // namespace striate::blas
