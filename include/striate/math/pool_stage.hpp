#pragma once
/// Summaries of a layer over space, or over tokens. Pure.
#include <memory>
#include <string>

#include "striate/math/layer_stage.hpp"

namespace striate {

/// Of the values of a map. l1 and l2 are norms of the map as a vector; column_sum and spectral its norms as a matrix
/// (greatest sum of |x| over a column; greatest singular value), which DNNBrain calls L1 and L2. The median of an even
/// number is the mean of the two in the middle, as NumPy's. A map with a NaN gives NaN.
enum class SpacePool { max, mean, median, l1, l2, column_sum, spectral };

struct PoolOptions {
  SpacePool how = SpacePool::mean;
  bool over_frames = false;    ///< of video layers: over time and space; else each frame by itself
  bool single_points = false;  ///< also layers that are no maps (features, units), where norms take the sign away
};

/// {c, h, w} → {c, 1, 1}; {c, t, h, w} → {c, t, 1, 1}, or {c, 1, 1, 1} over frames. Nothing (null) for layers without
/// maps. Sums in float64. Throws Error(Exit::config) for a matrix norm over frames.
[[nodiscard]] std::unique_ptr<LayerStage> pool_stage(LayerShape const& layer, PoolOptions const& options);

/// Of a token layer: the class token (the first one), the mean of all, the mean of all but the first, or the first and
/// that mean, one behind the other.
enum class TokenChoice { cls, mean, patch_mean, cls_and_patch_mean };

/// {tokens, width} → {width, 1, 1} or {2 width, 1, 1}, "feature row column". Nothing (null) for other layers. Throws
/// Error(Exit::data) for patches of a layer of one token.
[[nodiscard]] std::unique_ptr<LayerStage> token_stage(LayerShape const& layer, TokenChoice choice);

}  // namespace striate
