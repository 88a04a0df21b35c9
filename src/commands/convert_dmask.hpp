#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace striate::convert {

/// A layer of a .dmask.csv; numbers from 1, an empty axis is whole.
struct LayerMask {
  std::string layer;
  std::vector<std::size_t> channels, rows, columns;
};
[[nodiscard]] std::vector<LayerMask> read_layer_masks(std::filesystem::path const& path);

}  // namespace striate::convert
