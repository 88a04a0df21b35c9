#pragma once
/// The inner loops of the elastic net. Which instructions run depends on the CPU alone, and no result on a neighbour.
#include <cstddef>
#include <cstdint>

namespace striate::detail {

/// Rows of a panel of test rows, in float32: [panel][feature][row].
inline constexpr std::size_t test_rows = 64;

/// One pass of coordinate descent over `count` coordinates. matrix: rows of `stride` doubles, a multiple of 8, to which
/// w, q = c − G w, diagonal and step = 1 / (diagonal + l2) are padded. Returns the largest change of a coordinate.
double descend(double const* matrix, std::size_t stride, std::size_t count, double l1, double* w, double* q,
               double const* diagonal, double const* step);

/// out −= Σ value[k] · row index[k] of a matrix with rows of `stride` doubles, over `count` columns rounded up to 8.
void subtract_rows(double const* matrix, std::size_t stride, std::size_t count, std::uint32_t const* index,
                   double const* value, std::size_t rows, double* out);

/// out[0..32) = c − Σ value[k] · panel[index[k]]: a panel of the gradient.
void panel_gradient(double const* panel, std::uint32_t const* index, double const* value, std::size_t count,
                    double const* c, double* out);

/// out[0..64) = Σ value[k] · panel[index[k]]: predictions of a panel of test rows.
void panel_predictions(float const* panel, std::uint32_t const* index, float const* value, std::size_t count,
                       float* out);

}  // namespace striate::detail
