#pragma once
/// The NIfTI header of a Space: kept as the 348 or 540 bytes of the file format, in native byte order.
#include <nifti2_io.h>

#include <string>

#include "striate/brain/space.hpp"

namespace striate::nifti {

/// Best affine as nibabel chooses it: sform, else qform, else voxel sizes about the centre with x flipped.
Affine affine_of(nifti_image const& image);
/// Header bytes of an opened image; `version` 2 keeps NIfTI-2.
std::string header_of(nifti_image const& image, int version);
/// Header bytes for `maps` float32 volumes of the space; NIfTI-2 where the space's is or an edge exceeds 32767.
std::string header_for_maps(Space const& space, std::size_t maps);

}  // namespace striate::nifti
