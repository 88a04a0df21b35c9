#pragma once
/// The cross product of permuted responses with predictions: all that a permutation of held-out responses changes in
/// a score. Targets stand in strips: rows × cross_lanes, row-major, zeros behind the last target, so that a strip stays
/// in the cache for many permutations. A target's sum does not depend on its neighbours.
#include <cstddef>
#include <cstdint>

namespace striate {

inline constexpr std::size_t cross_lanes = 32;  ///< targets of a strip

/// out[t] = Σ_i sign[i] · y[source[i]][t] · f[i][t]: float32 products of a few rows, summed in float64. sign may be
/// null (all 1). y, f: strips of `rows` rows.
void permuted_cross(float const* y, float const* f, std::uint32_t const* source, float const* sign, std::size_t rows,
                    double* out);

/// gram[i·m + j][t] = Σ over rows r of a block: y[j·length + r][t] · f[i·length + r][t]: of m blocks of `length`
/// neighbouring rows each. A permutation of whole blocks then costs m additions a target, in float32 as products are.
void block_cross(float const* y, float const* f, std::size_t blocks, std::size_t length, float* gram);
/// out[t] += Σ_i gram[i·m + order[i]][t].
void add_blocks(float const* gram, std::uint32_t const* order, std::size_t blocks, double* out);

}  // namespace striate
