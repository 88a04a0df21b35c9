#pragma once
/// Ridge regression with an alpha per target, and ordinary least squares, for many targets at once.
///
/// Forms (chosen from shapes, never from the machine):
///  - dual block-inverse: without standardisation one Cholesky an alpha serves all folds, inner and outer:
///    B = G⁻¹ − g gᵀ/(1ᵀg), G = K + αI, g = G⁻¹1; held-out predictions of any set f are −B_ff⁻¹ B_f,tr y_tr;
///  - dual: one Gram per training set (features scaled by that set's sd), one Cholesky per (set, alpha);
///  - primal: Gram of features per block of rows in float64, summed per training set and rescaled;
///  - spectral (dual or primal): eigendecomposition per training set, for pca and ols.
/// In each, a tile costs a product per fold with the stacked hat rows of all (skeleton) alphas, and its scores come
/// from small float64 Gram matrices of [y, predictions].
#include <memory>

#include "striate/models/model.hpp"

namespace striate {

/// Throws Error(Exit::config) where alphas are missing or not positive and finite.
[[nodiscard]] std::unique_ptr<EncodingModel> make_ridge(ModelOptions const& options);
/// Minimum-norm least squares; `alphas` is ignored. TileResult::alpha is 0.
[[nodiscard]] std::unique_ptr<EncodingModel> make_ols(ModelOptions const& options);

}  // namespace striate
