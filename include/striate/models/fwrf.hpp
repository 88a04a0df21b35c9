#pragma once
/// Feature-weighted receptive fields (St-Yves & Naselaris 2018): one Gaussian of the visual field per target pools the
/// maps of every layer, and a ridge regression weighs the pooled channels.
///
/// The field is one of a grid (ModelOptions::rf), isotropic in the units of the visual field. A pixel of a map weighs
/// as the mass of the Gaussian in it, masses of a map summing to 1: maps of any size are pooled by the same field.
/// Spaces without maps enter as they are. Features are standardised after pooling, by the training rows of every fit.
/// Each target takes the (field, alpha) of the highest mean inner score; a tie goes to the larger alpha, then to the
/// earlier field (smaller radius first, then from the top, then from the left).
///
/// Of each field and training set the Gram matrix of the pooled channels is decomposed once; a tile costs a projection
/// and the held-out predictions at the skeleton alphas for each field.
///
/// Extras per target: x0 (right), y0 (up), sigma of the chosen field, from the centre of the visual field; NaN without
/// maps. Coefficients on raw features are channel weight × mass of the pixel.
#include <memory>

#include "striate/models/model.hpp"

namespace striate {

/// Throws Error(Exit::config) for alphas that are missing or not positive and finite, and for a grid, an extent, sizes
/// or a visual field that make no fields. prepare(): Error(Exit::config) with pca, or bands that differ in
/// `standardize`; Error(Exit::data) for bands that are not as ModelOptions::maps says.
[[nodiscard]] std::unique_ptr<EncodingModel> make_fwrf(ModelOptions const& options);

}  // namespace striate
