/// The table of brain image formats. To add one: one file with open and write, one row here.
#include "striate/brain/nifti.hpp"
#include "striate/brain/space.hpp"

namespace striate {

std::vector<BrainFormat> const& brain_formats() {
  static std::vector<BrainFormat> const table{
      {"nifti", "NIfTI-1/2 volumes (.nii, .nii.gz, .hdr/.img)", is_nifti_name, open_nifti, write_nifti},
  };
  return table;
}

BrainFormat const* find_brain_format(std::filesystem::path const& path) {
  for (auto const& format : brain_formats())
    if (format.claims(path)) return &format;
  return nullptr;
}

}  // namespace striate
