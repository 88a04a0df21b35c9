#pragma once
/// What convert writes besides stores: files of other programs, by the first rank, whole or not at all. Beside each
/// stands NAME.json (in a folder convert.json): what it was made of, its rows and layers, and whether it is complete.
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "convert_recipe.hpp"
#include "striate/commands/command.hpp"

namespace striate::convert {

[[nodiscard]] std::filesystem::path side_file(std::filesystem::path const& output, bool folder);
[[nodiscard]] Progress side_progress(std::filesystem::path const& output, bool folder);

/// `make` writes the output on the first rank; it returns false where a stop came first. `content`: told of the output.
/// Nothing is done where the same stands there complete; Error(Exit::cant_create) where something else stands there.
/// Collective.
bool write_beside(Context& context, std::filesystem::path const& output, bool folder,
                  nlohmann::ordered_json const& identity, nlohmann::ordered_json const& content,
                  std::function<bool()> const& make);

/// The recipe as .npy, .mat or a file of DNNBrain's. First rank; false where a stop came first. convert_export.cpp.
bool export_recipe(Config const& config, Recipe const& recipe, StopFlag const& stop, double memory_budget);
/// What NAME.json says of a recipe's rows and layers.
[[nodiscard]] nlohmann::ordered_json content_of(Config const& config, Recipe const& recipe);
/// Error(Exit::data | Exit::limit | Exit::config): what the format cannot hold. All ranks.
void check_export(Config const& config, Recipe const& recipe, double memory_budget);

/// .roi.h5, .rdm.h5, .stim.csv, .dmask.csv and what they are made of. convert_tables.cpp, convert_stimuli.cpp.
struct Table {
  nlohmann::ordered_json content;
  std::string summary;          ///< "148 volumes × 2 regions"
  std::function<void()> write;  ///< to config.output
};
/// Whether the input and the output are tables, not activations.
[[nodiscard]] bool is_table(Config const& config);
[[nodiscard]] Table read_table(Config const& config);
[[nodiscard]] Table stimuli_table(Config const& config);

}  // namespace striate::convert
