#pragma once
/// Arrays as responses: .npy and HDF5 datasets ("f.h5:/dataset", "x.roi.h5"), n × t, or t × n with `transpose`.
/// Not collective.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/brain/space.hpp"

namespace striate {

/// "f.h5:/dataset" → {f.h5, /dataset}; "x.roi.h5" → {x.roi.h5, /data}; nothing for other names.
[[nodiscard]] std::optional<std::pair<std::filesystem::path, std::string>> split_h5_name(
    std::filesystem::path const& path);

/// Whether the name is one of an array (by its ending).
[[nodiscard]] bool is_array_name(std::filesystem::path const& path);

/// An array as "volumes" of a Space {format "array", shape {t}}. 1-D is one target. Throws Error(Exit::no_input |
/// Exit::data).
[[nodiscard]] std::unique_ptr<ImageReader> open_array(std::filesystem::path const& path, bool transpose);

/// Every value of a 1-D array (or of one with a single axis longer than 1), e.g. a mask or labels.
[[nodiscard]] std::vector<double> read_vector(std::filesystem::path const& path);

}  // namespace striate
