#pragma once
/// The best single unit: per target, the one unit of the layer whose Pearson correlation with the target over the
/// training rows is greatest (DNNBrain's univariate mapping), then the regression line on it. The search is repeated in
/// every fit, inner fits included, so that held-out scores pay for it.
///
/// Correlations of a strip of units with a tile of targets come from one float32 product of standardised features;
/// all within its rounding of the greatest are compared again in float64, ties going to the lower unit. No more than a
/// strip of correlations is ever held. The features of a fold are (n × p floats).
///
/// TileResult::alpha is the unit's index in the layer (NaN where no unit varies: the mean is predicted). Extras per
/// target: correlation, of the training rows, signed.
#include <memory>

#include "striate/models/model.hpp"

namespace striate {

/// Of the options `absolute` counts: the greatest |r|, or the greatest r. prepare() throws Error(Exit::config) with
/// Design::pca, whose components are no units.
[[nodiscard]] std::unique_ptr<EncodingModel> make_univariate(ModelOptions const& options);

}  // namespace striate
