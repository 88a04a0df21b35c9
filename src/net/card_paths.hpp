#pragma once
#include <filesystem>
#include <vector>

namespace striate::net {

/// Folders where cards are looked for, in order: beside the config, STRIATE_CARDS, installed, in the source tree.
[[nodiscard]] std::vector<std::filesystem::path> card_folders(std::filesystem::path const& config_folder);

}  // namespace striate::net
