#pragma once
/// The Fortran BLAS and LAPACK routines that striate uses, behind column-major wrappers that take std::size_t.
///
/// Every call in striate is one unit of work with one BLAS thread: threads and ranks run over units. Dimensions are
/// checked against int (LP64 libraries).
#include <cstddef>
#include <vector>

namespace striate::blas {

/// One BLAS thread from here on, where the library can be told (OpenBLAS). The program calls par::set_threads.
void single_thread();
/// The library's name, version and CPU kernel, e.g. "OpenBLAS 0.3.21 Haswell"; "BLAS" where it does not say.
char const* description();

/// C = alpha op(A) op(B) + beta C; op(A) is m × k, op(B) k × n. trans: 'N' or 'T'.
void gemm(char trans_a, char trans_b, std::size_t m, std::size_t n, std::size_t k, float alpha, float const* a,
          std::size_t lda, float const* b, std::size_t ldb, float beta, float* c, std::size_t ldc);
void gemm(char trans_a, char trans_b, std::size_t m, std::size_t n, std::size_t k, double alpha, double const* a,
          std::size_t lda, double const* b, std::size_t ldb, double beta, double* c, std::size_t ldc);
/// y = alpha op(A) x + beta y; A is m × n.
void gemv(char trans, std::size_t m, std::size_t n, double alpha, double const* a, std::size_t lda, double const* x,
          double beta, double* y);

/// Lower Cholesky factor of A (n × n, lower triangle used) in place; false where A is not positive definite.
[[nodiscard]] bool cholesky(std::size_t n, double* a, std::size_t lda);
/// Full symmetric inverse from the factor, in place.
void cholesky_inverse(std::size_t n, double* a, std::size_t lda);
/// B = A⁻¹ B with the factor of A; B is n × nrhs.
void cholesky_solve(std::size_t n, std::size_t nrhs, double const* a, std::size_t lda, double* b, std::size_t ldb);
/// B = B A⁻¹ with the factor of A; B is m × n.
void cholesky_solve_right(std::size_t m, std::size_t n, double const* a, std::size_t lda, double* b, std::size_t ldb);

/// Factor of a symmetric positive semi-definite matrix (n × n, lower triangle) with pivots: row i of the factor is that of
/// row place[i] of A. Ends before the first pivot that is not above `least`; returns the columns made. What is left of A
/// is not checked.
[[nodiscard]] std::size_t pivoted_cholesky(std::size_t n, double* a, std::size_t lda, double least,
                                           std::vector<std::size_t>& place);

/// The `count` largest eigenvalues (descending) with eigenvectors of a symmetric matrix (lower triangle; destroyed).
/// vectors: n × count. Throws Error(Exit::internal) where LAPACK does not converge.
void eigen_top(std::size_t n, double* a, std::size_t lda, std::size_t count, double* values, double* vectors);

}  // namespace striate::blas
