#pragma once
/// Values per target → an image in the format and space of the responses. Not collective: one rank writes.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "striate/brain/space.hpp"

namespace striate {

/// Writes values[i] at flat index[i], float32, in the space's format, to `stem` + space.extension; returns that path.
/// Images: 0 outside the targets, NaN where the value is NaN; arrays (.npy): NaN outside the targets.
/// Atomic (tmp + rename). Throws Error(Exit::io | Exit::cant_create).
std::filesystem::path write_map(Space const& space, std::span<std::uint64_t const> index, std::span<float const> values,
                                std::filesystem::path const& stem);
std::filesystem::path write_map(Space const& space, std::span<std::uint64_t const> index,
                                std::span<double const> values, std::filesystem::path const& stem);

/// `maps/layer-<L>_stat-<S>` (no extension) for write_map.
[[nodiscard]] std::filesystem::path map_stem(std::filesystem::path const& result_dir, std::string const& layer,
                                             std::string const& stat);

/// A layer's name as a part of a file name: every character but letters, digits, `.`, `_`, `-`, `+` and `#` becomes
/// `-` ("net/conv1" → "net-conv1"); a leading `.` too. Two layers may collide: see file_safe_names.
[[nodiscard]] std::string file_safe(std::string const& name);
/// file_safe of each, with `-2`, `-3` … after those that would collide with an earlier one.
[[nodiscard]] std::vector<std::string> file_safe_names(std::vector<std::string> const& names);

}  // namespace striate
