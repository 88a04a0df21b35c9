#pragma once
/// NIfTI-1 and NIfTI-2 through nifti_clib: .nii, .nii.gz, .hdr/.img, either byte order. Not collective.
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "striate/brain/space.hpp"

namespace striate {

/// What the header says, for `striate info`.
struct NiftiInfo {
  int version = 1;              ///< 1 or 2; 0 for ANALYZE 7.5
  bool swapped = false;         ///< not in this machine's byte order
  std::string dtype;            ///< nibabel's name: "int16", "float32" …
  double slope = 0, inter = 0;  ///< as stored; slope 0 or not finite = no scaling
  int qform_code = 0, sform_code = 0;
  std::vector<std::int64_t> dims;  ///< as stored, 1 to 7 of them
  std::vector<double> pixdim;
};

/// Integers of 8 to 64 bits and float32/64, scl_slope and scl_inter applied (slope 0: none) in float64. 3-D, 4-D,
/// 5-D with one of the two last dimensions 1. Complex, RGB and float128 are refused. NaN and infinities are kept
/// (nifti_clib's own reading zeroes them, so its znz stream is read here).
[[nodiscard]] std::unique_ptr<ImageReader> open_nifti(std::filesystem::path const& path);
[[nodiscard]] bool is_nifti_name(std::filesystem::path const& path);
[[nodiscard]] NiftiInfo nifti_info(std::filesystem::path const& path);

/// Every voxel of volume `v`, C order (flat index), float64, scaled: for comparisons and tests.
[[nodiscard]] std::vector<double> nifti_volume(std::filesystem::path const& path, std::size_t v);

/// A new volume's space: NIfTI-1 (NIfTI-2 where an edge exceeds 32767), sform = qform = affine, mm and s.
[[nodiscard]] Space make_nifti_space(std::array<std::uint64_t, 3> shape, Affine const& affine,
                                     std::string const& extension = ".nii.gz");

/// Writes maps volume by volume in `space`: float32, slope 1; affine with its codes, pixdim, units and intent
/// (but a statistic's) of the space's header kept. The file appears under its name only at finish().
class NiftiWriter {
 public:
  NiftiWriter(std::filesystem::path path, Space const& space, std::size_t volumes);
  ~NiftiWriter();  ///< removes what is unfinished
  NiftiWriter(NiftiWriter const&) = delete;
  NiftiWriter& operator=(NiftiWriter const&) = delete;
  /// The next volume: space.size() values by flat index (C order).
  void add(std::span<float const> values);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void write_nifti(std::filesystem::path const& path, Space const& space, std::span<float const> values,
                 std::size_t maps);

}  // namespace striate
