#pragma once
/// Lasso and elastic net on principal components. Those of a training set are uncorrelated, so that every coefficient is
/// the least-squares one, shrunk by itself (soft thresholding); whatever the width of the features.
#include <memory>

#include "fold.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

/// `state`: of least squares on components. `options`: those of the model, whose alphas are used.
[[nodiscard]] std::unique_ptr<FittedFold> make_sparse_components(std::unique_ptr<FoldState> state,
                                                                 ModelOptions const& options);

}  // namespace striate::detail
