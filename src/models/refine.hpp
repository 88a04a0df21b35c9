#pragma once
/// Refinement of band weights: each target climbs the mean inner score from the best candidate of the search.
///
/// With δ_b = log(γ_b/α) the dual fit solves (Σ_b e^δ_b K_b + 1) w = y, the primal one (G + Σ_b e^−δ_b 1_b) β = Xᵀy. A
/// target's solutions near its start lie in a small space: it begins with the start's own solution and grows, a round
/// at a time, by the residual at the present δ, divided by the start's matrix (whose eigenvectors all targets of a
/// candidate share). In this space (Galerkin) scores and their derivatives by δ cost next to nothing, so that δ is
/// improved by Gauss-Newton steps between the rounds; the products with kernels are of many targets at once. First
/// come the directions in which the solution turns with each δ_b (Dupré la Tour et al. 2022 descend by gradients; these
/// make them exact at the start). δ moves only where predictions are steady, and is taken where they stand still and
/// the score is above that of the search.
#include <cstddef>
#include <vector>

#include "responses.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {

/// What refinement multiplies by, of one training set; matrices are packed for panel_product.
struct RefineSet {
  std::size_t depth = 0;          ///< unknowns: training rows (dual) or features (primal)
  std::size_t kernels = 1;        ///< dual: bands; primal: 1
  std::size_t blocks = 1;         ///< bands whose test predictions stand apart; 1 where they are not needed (primal)
  float const* kernel = nullptr;  ///< kernels · panel_round(depth) × depth: K_b centred, or G of standardised features
  float const* test = nullptr;    ///< blocks · panel_round(test rows) × depth
  std::vector<float const*> to,
      back;  ///< per candidate: eigenvectors of its matrix, depth × depth, and their transpose
  std::vector<double const*> values;  ///< per candidate: eigenvalues, without alpha
};

struct RefineState {
  std::vector<RefineSet> sets;              ///< as RowPlan::sets; none: no refinement
  std::vector<std::vector<double>> starts;  ///< per candidate: its weights, none of them 0
  std::vector<double> least;                ///< per band: δ below which its kernel is next to nothing
  std::vector<std::size_t> edges;           ///< features where bands begin, and the end
};

/// Memory of products, kept from round to round.
struct RefineBuffers {
  Buffer<float> directions, residuals, turned, products, tests, slivers;
};

/// Rounds at most, and vectors of a target's space; those that turn, of the first bands; those in which δ may move.
inline constexpr std::size_t refine_depth = 32, climbing_rounds = 18;
[[nodiscard]] inline std::size_t turning_rounds(std::size_t bands) { return bands < 6 ? bands : 6; }

/// Floats that the axes of a candidate take: both packed forms, and the eigenvalues as doubles; whole cache lines.
[[nodiscard]] inline std::size_t axes_floats(std::size_t depth) {
  return round_up(2 * packed_size(depth, depth) + 2 * depth, 16);
}
/// Floats of the operators of a set, eigenvalues included.
[[nodiscard]] std::size_t refine_floats(std::size_t depth, std::size_t test, std::size_t kernels, std::size_t blocks,
                                        std::size_t candidates);
/// Bytes of what a target keeps while it is refined.
[[nodiscard]] double refine_bytes(RowPlan const& rows, std::size_t bands, bool dual, std::size_t p);
/// Targets that are refined together, for so many bytes each. No result depends on it.
[[nodiscard]] std::size_t refine_width(double bytes);

/// Weights without zeros: each band gets some of the trace of the kernel. `trace`: of each band's kernel.
[[nodiscard]] std::vector<double> without_zeros(std::vector<double> weights, std::vector<double> const& trace);

}  // namespace striate::detail
