#pragma once
/// NumPy's .npy files: written atomically; reading is the store's.
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "striate/store/npy.hpp"

namespace striate {

/// C order, little-endian, atomically (tmp + rename). Throws Error(Exit::io | Exit::cant_create).
void write_npy(std::filesystem::path const& path, std::span<float const> values,
               std::vector<std::uint64_t> const& shape);
void write_npy(std::filesystem::path const& path, std::span<double const> values,
               std::vector<std::uint64_t> const& shape);
void write_npy(std::filesystem::path const& path, std::span<std::int32_t const> values,
               std::vector<std::uint64_t> const& shape);

}  // namespace striate
