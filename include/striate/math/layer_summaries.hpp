#pragma once
/// What a stimulus's activations look like, as features: histograms, power spectra, z-scores. Stages along an axis
/// (layer_axis.hpp); float64 within.
#include <memory>
#include <vector>

#include "striate/math/layer_axis.hpp"

namespace striate {

/// Counts of values in `bins` equal bins (numpy.histogram: half open but the last; edges rounded to float32). `ranges`
/// empty: between the least and the greatest value of each stimulus, as DNNBrain's `hist` (counts of different stimuli
/// then mean different things); else {low, high} of each iteration, values beyond going to the outermost bins. Where
/// low equals high the range is ±½ about it. A stimulus with NaN has NaN.
[[nodiscard]] std::unique_ptr<LayerStage> histogram_stage(LayerShape const& in, LayerAxis axis, std::size_t bins,
                                                          std::vector<double> ranges = {});

/// The first `count` values of the periodogram (scipy.signal.periodogram with its defaults: mean taken off, boxcar,
/// one-sided density at a sampling rate of 1): DNNBrain's `psd`. Error(Exit::config) where there are fewer than count
/// (length / 2 + 1 of them).
[[nodiscard]] std::unique_ptr<LayerStage> periodogram_stage(LayerShape const& in, LayerAxis axis, std::size_t count);

/// (x − mean) · scale, of each unit; shape as before.
[[nodiscard]] std::unique_ptr<LayerStage> scale_stage(LayerShape const& in, std::vector<double> mean,
                                                      std::vector<double> scale);
/// Each stimulus over all its units, or over the units of each iteration of the axis: mean 0, standard deviation 1
/// (ddof 0); constant ones become 0.
[[nodiscard]] std::unique_ptr<LayerStage> zscore_stage(LayerShape const& in, LayerAxis axis);

}  // namespace striate
