#pragma once
/// Least squares on a few components of the features, their number chosen per target.
///
///  - pcr: principal components of the features (Hotelling 1957), in the order of their variance;
///  - pls: partial least squares of all targets together (PLS2, Wold 1975): components in the order of their covariance
///    with the responses, equal to scikit-learn's PLSRegression(scale=False) on features and responses as transformed.
///  - cca: canonical variates of the features and all targets (Hotelling 1936; regularised: Vinod 1976), in the order of
///    their correlation: reduced-rank regression in the metric of the whitened responses. Responses are reduced to
///    their principal components first (ModelOptions::response_pca).
/// Every fit, inner fits included, has the components of its own training rows. Predictions grow component by component,
/// so that all numbers are scored at the price of the greatest.
#include <memory>

#include "striate/models/model.hpp"

namespace striate {

/// TileResult::alpha is the number of components; a tie goes to fewer. Numbers that the rows or the rank of a training
/// set do not allow are left out (FoldReport::dropped_alphas); where none is left, the greatest that is allowed is taken.
/// Throws Error(Exit::config) for a number below 1.
[[nodiscard]] std::unique_ptr<EncodingModel> make_pcr(ModelOptions const& options);
/// prepare() needs Design::Y. Responses are scaled by the training rows of each fit with standardize_responses, which
/// then weighs targets equally. Targets with a value that is not finite among the outer training rows, or constant in a
/// fit, have no part in the components.
[[nodiscard]] std::unique_ptr<EncodingModel> make_pls(ModelOptions const& options);
/// prepare() needs Design::Y; responses are scaled, and targets take part, as with pls. `alphas`: ridge penalties of the
/// features' covariance, one for all targets: that of the least held-out squared error over all targets at its best number
/// of components, mean over inner folds; a tie goes to the larger. Extra per target: alpha, the same for all of a fold.
/// FoldReport::variates: correlations of the pairs over outer test rows; NaN for pairs that are not there.
/// Throws Error(Exit::config) for alphas as ridge does, and for response_pca.
[[nodiscard]] std::unique_ptr<EncodingModel> make_cca(ModelOptions const& options);

}  // namespace striate
