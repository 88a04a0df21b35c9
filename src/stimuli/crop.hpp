#pragma once
/// Crop boxes of single rows.
#include "striate/stimuli/source.hpp"

namespace striate {

/// Throws Error(Exit::data) naming the file where the row's box does not lie inside a picture of this size.
void check_crop(StimulusRow const& row, ImageSize size);
/// Cuts the row's box, if it has one, out of the picture. Throws as check_crop.
void crop_to_box(StimulusRow const& row, Image& image);

}  // namespace striate
