#pragma once
/// Lasso and elastic net with an alpha per target, for many targets at once: scikit-learn's objective
///   1/(2n) ‖y − Xw − b‖² + alpha · l1_ratio · ‖w‖₁ + ½ alpha (1 − l1_ratio) ‖w‖²
/// with n the training rows of the fit, b free. Alphas and coefficients are in units of the responses as they are fitted:
/// in standard deviations of the fit's training rows with standardize_responses, raw without.
///
/// One Gram matrix of features per training set, shared by all targets; coordinate descent with covariance updates on a
/// working set per target, warm-started down the grid, until the duality gap is below 1e-9 of the responses' variance.
#include <memory>

#include "striate/models/model.hpp"

namespace striate {

/// l1_ratio 1, whatever the options say. Throws Error(Exit::config) where alphas are missing or not positive and finite.
[[nodiscard]] std::unique_ptr<EncodingModel> make_lasso(ModelOptions const& options);
/// As above; also where l1_ratio is not in (0, 1].
[[nodiscard]] std::unique_ptr<EncodingModel> make_elastic_net(ModelOptions const& options);

}  // namespace striate
