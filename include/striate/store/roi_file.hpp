#pragma once
/// DNNBrain's `.roi.h5`: responses of regions. `/data` (volumes × regions) float64, and the root attribute `roi` with
/// their names, of variable length, as DNNBrain's reader needs them. Serial.
#include <filesystem>
#include <string>
#include <vector>

namespace striate {

struct RoiTable {
  std::vector<std::string> names;  ///< (r)
  std::size_t rows = 0;            ///< volumes
  std::vector<double> values;      ///< rows × r, row-major
};

/// Error(Exit::no_input | Exit::data): another layout, as many names as columns.
[[nodiscard]] RoiTable read_roi_file(std::filesystem::path const& path);
/// Atomically. Error(Exit::cant_create | Exit::io).
void write_roi_file(std::filesystem::path const& path, RoiTable const& table);

}  // namespace striate
