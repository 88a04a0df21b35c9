#pragma once
/// The settings of `striate convert`.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apart.hpp"
#include "batch_size.hpp"
#include "striate/base/config.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {
namespace convert {

/// `with:` a number, or a store.
using Second = std::variant<std::monostate, double, std::filesystem::path>;
/// `rows:` "first:last" from 1, ids, or the .stim.csv that lists them.
struct RowChoice {
  std::optional<std::pair<std::int64_t, std::int64_t>> range;  ///< both included
  std::vector<std::string> ids;
  std::filesystem::path file;
  [[nodiscard]] bool all() const { return !range && ids.empty() && file.empty(); }
};
using Renaming = std::map<std::string, std::string>;

struct Config {
  std::vector<std::filesystem::path> input;
  std::string operation = "copy", along = "stimuli", pool = "none", compat = "none", dtype = "keep", layout = "auto",
              format = "auto", type = "image", labels = "names", form = "vector";
  Second with;
  RowChoice rows;
  StimuliConfig stimuli;
  std::vector<std::string> layers{"all"}, prefix;
  Renaming rename;
  std::optional<std::filesystem::path> mask;
  BatchSize batch;
  std::optional<double> memory;
  std::filesystem::path output;
};
void declare(Schema& s, Config& c);
/// What can be told from the config alone. Throws Error(Exit::config).
void check(Config const& c);

/// What the job reads; of folders the arrays in them.
[[nodiscard]] std::vector<NamedPath> files_read(Config const& c);

/// What an output is, by `format` and its name.
enum class Format { store, npy, npy_folder, mat, dnnbrain, dnnbrain_view, roi, rdm, table, stimuli, mask };
[[nodiscard]] Format format_of(Config const& c);
[[nodiscard]] bool is_arithmetic(std::string const& operation);

}  // namespace convert

template <>
struct ConfigType<convert::Second> {
  static convert::Second read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(convert::Second const& second);
  static std::string name() { return "number | path"; }
};
template <>
struct ConfigType<convert::RowChoice> {
  static convert::RowChoice read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(convert::RowChoice const& rows);
  static std::string name() { return "FIRST:LAST | .stim.csv | [id, …]"; }
};
template <>
struct ConfigType<convert::Renaming> {
  static convert::Renaming read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(convert::Renaming const& names);
  static std::string name() { return "{old: new, …}"; }
};

}  // namespace striate
