#pragma once
/// Products of an n × n matrix with a few vectors, in float64: as fast as the matrix comes from memory, which a
/// library's GEMM, that first copies the matrix, is not. Column-major; x and out: n × columns, n apart. The order of
/// summation depends on n alone. One thread.
#include <cstddef>

namespace striate {

/// out = Gᵀ x; G whole (of a symmetric one: out = G x).
void skinny_transposed(std::size_t n, double const* g, double const* x, std::size_t columns, double* out);
/// out = Lᵀ x, from the lower triangle.
void skinny_lower_transposed(std::size_t n, double const* l, double const* x, std::size_t columns, double* out);
/// out = L x, from the lower triangle. out must not be x.
void skinny_lower(std::size_t n, double const* l, double const* x, std::size_t columns, double* out);

/// out = A x; A rows × depth (`stride` apart), x depth × columns, out rows × columns. A column's bits depend on neither
/// its place nor on what stands beside it.
void skinny_product(std::size_t rows, std::size_t depth, double const* a, std::size_t stride, double const* x,
                    std::size_t columns, double* out);

}  // namespace striate
