#pragma once
/// What a resumed or repeated run must agree with: inputs count by content, wherever they lie.
#include <filesystem>
#include <optional>
#include <string>

#include "striate/store/act_store.hpp"

namespace striate {

/// SHA-256 of the checksums that a store of ours carries of all its values; nothing for other HDF5 files.
[[nodiscard]] std::optional<std::string> checksums_sha256(std::filesystem::path const& store);

/// SHA-256 of what decides about a store's values: for one of ours its checksums and how it was made (its bytes need not
/// be read); of the whole file otherwise, with the name of the dataset where the path has one.
[[nodiscard]] std::string fingerprint(ActReader const& store);

/// SHA-256 of a file, or of the file in "f.h5:/dataset" with the dataset's name.
[[nodiscard]] std::string fingerprint(std::filesystem::path const& file);

}  // namespace striate
