#pragma once
/// The cross product of permuted responses with predictions: all that a permutation of held-out responses changes in
/// a score.
#include <cstddef>
#include <cstdint>

namespace striate {

inline constexpr std::size_t cross_lanes = 32;  ///< targets at a time: four vectors of AVX-512 in float64

/// out[t] = Σ_i sign[i] · y[source[i]·width + t] · f[i·width + t], in float64, for t in [0, width). y, f: rows × width,
/// row-major; width a multiple of cross_lanes (zeros behind the last target). sign may be null (all 1). A target's sum does not depend on its neighbours.
void permuted_cross(float const* y, float const* f, std::uint32_t const* source, float const* sign, std::size_t rows,
                    std::size_t width, double* out);

/// gram[(i·m + j)·width + t] = Σ over rows r of a block: y[(j·length + r)·width + t] · f[(i·length + r)·width + t]: of m
/// blocks of `length` neighbouring rows each. A permutation of whole blocks then costs m additions a target.
void block_cross(float const* y, float const* f, std::size_t blocks, std::size_t length, std::size_t width, double* gram);
/// out[t] += Σ_i gram[(i·m + order[i])·width + t].
void add_blocks(double const* gram, std::uint32_t const* order, std::size_t blocks, std::size_t width, double* out);

}  // namespace striate
