#pragma once
/// Products of a large square matrix with a few vectors, one pass over memory. A library's gemm copies the matrix into its
/// own order first, which is worth it for many vectors only.
#include <cstddef>

namespace striate {

/// Most vectors of one product.
inline constexpr std::size_t skinny_columns = 4;

enum class Part { all, lower, upper };  ///< what of a column counts: all rows, those from the diagonal on, or up to it

/// Out = AᵀX, where of column j of A (n × n, column-major, lda apart) only a part counts. X and Out are n × count, count at
/// most skinny_columns, and do not overlap. The order of summation depends on n and the part alone.
void skinny_product(Part part, std::size_t n, double const* a, std::size_t lda, double const* x, std::size_t ldx,
                    std::size_t count, double* out, std::size_t ldo);

}  // namespace striate
