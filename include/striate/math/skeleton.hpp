#pragma once
/// The alpha skeleton: ridge solutions at many alphas from those at a few.
///
/// In every eigendirection λ of the Gram matrix, ridge multiplies by 1/(λ + α). These functions of λ are numerically
/// low-rank over a grid of alphas, so the solution at any alpha of the grid is a fixed linear combination of those at
/// a few skeleton alphas, to a relative accuracy `tol` in every direction.
#include <cstddef>
#include <span>
#include <vector>

namespace striate {

struct Skeleton {
  std::vector<std::size_t> chosen;  ///< indices into alphas, ascending
  std::vector<double> weight;  ///< alphas × chosen, row-major: solution(a) = Σ_j weight[a][j] solution(chosen[j])
  [[nodiscard]] bool exact() const { return exact_; }  ///< every alpha is computed
  bool exact_ = false;
};

/// alphas ascending, positive. Eigenvalues are assumed in [0, lambda_max]. Where fewer than a fifth would be saved,
/// every alpha is chosen.
[[nodiscard]] Skeleton alpha_skeleton(std::span<double const> alphas, double lambda_max, double tol = 1e-6);
/// Every alpha computed.
[[nodiscard]] Skeleton full_skeleton(std::size_t alphas);

}  // namespace striate
