#pragma once
/// Least squares on a few components of the features, their number chosen per target.
///
///  - pcr: principal components of the features (Hotelling 1957), in the order of their variance;
///  - pls: partial least squares of all targets together (PLS2, Wold 1975): components in the order of their covariance
///    with the responses, equal to scikit-learn's PLSRegression(scale=False) on features and responses as transformed.
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

}  // namespace striate
