#pragma once
/// Banded ridge regression: one joint model of several feature spaces, each with a penalty of its own, chosen per
/// target (Nunez-Elizalde et al. 2019; the search over weights as in Dupré la Tour et al. 2022).
///
/// K_γ = Σ_b γ_b K_b with γ on the simplex, ridge at α: the penalty of band b is α/γ_b, and γ_b = 0 leaves it out. Each
/// target takes the (γ, α) of the highest mean inner score. Kernels (or the Gram matrix of all features) are summed
/// over features once per training set; a candidate γ costs a weighted sum of them and Cholesky factorisations at the
/// skeleton alphas. Forms are those of ridge.hpp, without the spectral ones.
///
/// Extras per target: gamma/BAND and, of outer test rows, split/r2/BAND and split/pearson/BAND: shares that sum to the
/// score.
#include <memory>
#include <vector>

#include "striate/models/model.hpp"

namespace striate {

/// Candidate weights of `bands` bands, each summing to 1: equal ones; for 4 bands or fewer the vertices and the middles
/// of the edges of the simplex; then Dirichlet draws of concentration 0.1 and 1 in turns. Draw i depends on (seed, i)
/// alone. `n_iter` in all, 1 for a single band.
[[nodiscard]] std::vector<std::vector<double>> band_weights(std::size_t bands, std::size_t n_iter, std::uint64_t seed);

/// Throws Error(Exit::config) for alphas that are missing or not positive and finite, and for no candidate.
[[nodiscard]] std::unique_ptr<EncodingModel> make_banded_ridge(ModelOptions const& options);

}  // namespace striate
