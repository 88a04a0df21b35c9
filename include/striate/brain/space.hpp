#pragma once
/// Space: where targets lie in the response image, so that maps can be written back; and the table of image formats.
///
/// A flat index names a place of a Space: of a volume index = (x * ny + y) * nz + z (C order of x, y, z), of a plain
/// array the column. Nothing here is collective: images are read and written by one rank (usually 0).
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace striate {

using Affine = std::array<std::array<double, 4>, 3>;  ///< rows of voxel (x, y, z, 1) → mm

struct Space {
  std::string format;                ///< name in brain_formats(): "nifti", "array"
  std::string source;                ///< file name (no folder) it was taken from, for messages
  std::vector<std::uint64_t> shape;  ///< {nx, ny, nz} of a volume, {t} of a plain array
  Affine affine{};                   ///< of a volume
  bool oriented = false;             ///< the file says how it lies (sform or qform code > 0); else affine is a guess
  std::string header;                ///< the format's own header, native byte order; opaque outside the format
  std::string extension;             ///< of maps written in this space: ".nii.gz", ".nii", ".npy"

  [[nodiscard]] bool is_volume() const { return shape.size() == 3; }
  [[nodiscard]] std::uint64_t size() const;              ///< places in one map
  [[nodiscard]] std::string shape_text() const;          ///< "91×109×91"
  [[nodiscard]] std::array<double, 3> voxel_mm() const;  ///< edge lengths by the affine
};

/// Throws Error(Exit::data) where `other` (a mask, a label image) is not on the grid of `data`:
///   "<key>: vtc.nii.gz is 91×109×91 but betas.nii.gz is 64×64×32; resample the mask first"
/// Affines are compared at the corners of the grid: more than 1 % of the smallest voxel edge is another grid.
/// `what` is "mask" or "label image". Not checked where a file does not say how it lies.
void check_same_grid(Space const& other, Space const& data, std::string const& key, std::string const& what);

/// An image opened for reading: `volumes()` maps of one Space. Holds one volume at a time.
class ImageReader {
 public:
  virtual ~ImageReader() = default;
  [[nodiscard]] virtual Space const& space() const = 0;
  [[nodiscard]] virtual std::size_t volumes() const = 0;
  /// Reads volume after volume and calls sink(volume, values) with the values at `places` (flat indices), in that
  /// order, scaling applied. Throws Error(Exit::data) on a truncated or corrupt file.
  virtual void scan(std::span<std::uint64_t const> places,
                    std::function<void(std::size_t, std::span<float const>)> const& sink) = 0;
};

/// One row a format; to add one: one file and one row in src/brain/formats.cpp.
struct BrainFormat {
  char const* name;
  char const* doc;
  bool (*claims)(std::filesystem::path const& path);  ///< by file name alone
  std::unique_ptr<ImageReader> (*open)(std::filesystem::path const& path);
  /// Writes `maps` maps, values[map * space.size() + flat index], float32, atomically (tmp + rename).
  void (*write)(std::filesystem::path const& path, Space const& space, std::span<float const> values, std::size_t maps);
};

[[nodiscard]] std::vector<BrainFormat> const& brain_formats();

/// The format whose `claims` takes the file name, or null (then it may be an array: npy.hpp, responses.hpp).
[[nodiscard]] BrainFormat const* find_brain_format(std::filesystem::path const& path);

/// Opens an image of any format of the table. Error(Exit::no_input) where missing, Exit::data where unreadable
/// as what its name says, with `key` ("responses.mask") in front of the message where not empty.
[[nodiscard]] std::unique_ptr<ImageReader> open_image(std::filesystem::path const& path, std::string const& key = "");

}  // namespace striate
