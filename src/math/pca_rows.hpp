#pragma once
/// Parts that the methods share. All collective.
#include <memory>
#include <span>
#include <vector>

#include "striate/math/gram.hpp"
#include "striate/math/pca.hpp"

namespace striate::pca {

/// Calls f(first, count) for panels of `width` units.
template <class F>
void each_panel(std::size_t units, std::size_t width, F const& f) {
  for (std::size_t first = 0; first < units; first += width) f(first, std::min(width, units - first));
}

/// Blocks of gram_panel units, of a matrix of `floats` values a unit that blocks lie behind one another in.
[[nodiscard]] std::vector<Slot> unit_slots(std::size_t first, std::size_t count, std::size_t bytes_per_unit);

/// Largest eigenvalues and vectors (n × count) of the packed symmetric matrix, made once; on all ranks.
struct Eigen {
  std::vector<double> values;
  std::shared_ptr<std::byte> memory;  ///< of vectors
  double const* vectors = nullptr;
};
[[nodiscard]] Eigen eigen_of(PackedShape const& shape, double const* data, std::size_t count, Team& team);

/// Values above the noise of their making, and how many of them are wanted.
struct Wanted {
  std::size_t rank = 0, count = 0;
};
[[nodiscard]] Wanted wanted(std::span<double const> values, double total, Components const& components, double noise);

/// Gram matrix of the rows (of what `source` gives), whole; `wide`: in float64 throughout.
[[nodiscard]] std::shared_ptr<std::byte> gram_of_rows(PanelSource& source, PackedShape const& shape, bool wide,
                                                      Team& team);
[[nodiscard]] bool small_enough(double rows, double units);

/// out (count × l, column-major) = x (rows × count)ᵀ q (rows × l), in float64; count <= gram_panel.
void project_units(float const* x, std::size_t rows, std::size_t count, double const* q, std::size_t l, double* out);

/// Principal components of the rows within the space of q's columns (rows × l, orthonormal): Z = Xᵀ Q, eigenvectors of
/// ZᵀZ. Variances are sums of squares, not yet divided; also fills mean and total. Keeps `count`, zero beyond the rank.
[[nodiscard]] Pca within(PanelSource& source, double const* q, std::size_t l, std::size_t count, double noise,
                         Team& team);

/// The entry of greatest magnitude becomes positive.
void fix_signs(Pca& pca);
void divide_by_samples(Pca& pca);  ///< sums of squares become variances
void check_rows(std::size_t rows, std::size_t units, std::size_t count);
/// Error(Exit::data) naming the first unit with a value that is not finite.
void check_finite(std::size_t first, std::size_t count, double const* squares);

}  // namespace striate::pca
