#pragma once
#include <cstddef>

namespace striate::blas {

/// An orthonormal basis of the columns of A (m × n, column-major, m >= n), in its place: Q of A = Q R by Householder's
/// reflections, so that a column counts however small it is beside the others. Columns that depend on earlier ones
/// become arbitrary directions. One unit of work, one BLAS thread. Error(Exit::limit) where the BLAS cannot count so
/// far.
void orthonormal_columns(std::size_t m, std::size_t n, double* a);

}  // namespace striate::blas
