#pragma once
/// A setting is declared once, beside its struct; reading, `--set`, unknown-key errors, provenance, the resume
/// check, `--help` and the reference page are all walks over that declaration.
///
///   struct Cv { std::int64_t folds = 5; bool shuffle = false; };
///   inline void describe(Schema& s, Cv& c) {
///     s("folds", c.folds, {.doc = "number of folds", .min = 0});
///     s("shuffle", c.shuffle, {.doc = "shuffle rows before cutting folds"});
///   }
///
/// A member may be: bool, std::int64_t, double, std::string, std::filesystem::path (made absolute relative to the
/// config file), std::optional<T>, std::vector<T> (a single value is taken as a list of one), a struct with its own
/// describe (a nested mapping), std::vector of such structs (a single mapping is taken as a list of one), or any type
/// with a specialisation of ConfigType<T>.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace YAML {
class Node;
}

namespace striate {

class Schema;

/// What is said of a setting besides its name and default.
struct Meta {
  std::string doc;                           ///< one line
  std::string unit = {};                     ///< "s", "GiB", "stimuli" …
  std::optional<double> min = {}, max = {};  ///< inclusive range of numbers
  std::vector<std::string> choices = {};     ///< allowed words (strings only)
  bool required = false;
  bool identity = true;      ///< false: may differ on resume (memory, device, io …)
  std::string example = {};  ///< YAML text shown by --help
};

/// Where a value stands, for messages: "encode.yaml: line 12: cv.folds".
struct ConfigPlace {
  std::string file;            ///< the config's name, or "--set"
  std::filesystem::path base;  ///< paths are relative to this folder
  std::string key;             ///< dotted path
  int line = 0;                ///< 1-based; 0 where unknown
  [[nodiscard]] std::string text() const;
};

/// How a type is read from and written to YAML/JSON. Specialise for your own types:
///   static T read(YAML::Node const&, ConfigPlace const&);   // throws Error(Exit::config) by config_error()
///   static nlohmann::json write(T const&);                  // for provenance and the resume check
///   static std::string name();                              // for --help: "integer", "path", "integer |
///   leave_one_out"
template <class T, class = void>
struct ConfigType;

/// Throws Error(Exit::config, "<file>: line N: key: message").
[[noreturn]] void config_error(ConfigPlace const& place, std::string const& message);

template <class T>
concept Described = requires(Schema& s, T& t) {
  describe(s, t);
};

/// One declared setting, type-erased.
struct Setting {
  std::string name;
  Meta meta;
  std::string type;              ///< for --help
  nlohmann::json default_value;  ///< as declared
  std::function<void(YAML::Node const&, ConfigPlace const&)> read;
  std::function<nlohmann::ordered_json(bool identity_only)> write;  ///< current value
  std::shared_ptr<void> keep_alive;  ///< what `nested` is bound to, where that is no member
  std::shared_ptr<Schema> nested;    ///< of a mapping (or the element of a list of mappings)
  bool list_of_mappings = false;
};

/// The settings of one mapping, in order of declaration.
class Schema {
 public:
  template <class T>
  void operator()(std::string name, T& target, Meta meta);
  [[nodiscard]] std::vector<Setting> const& settings() const { return settings_; }

 private:
  std::vector<Setting> settings_;
};

/// A read config: text with --set applied. One per run; equal on all ranks because rank 0 reads and broadcasts the
/// text.
struct ConfigText {
  std::string file;               ///< path as given
  std::string text;               ///< YAML; ${VAR} is replaced from the environment (an unset one is an error)
  std::vector<std::string> sets;  ///< KEY=VALUE from --set, applied in order
};

/// Reads `text` into the settings of `schema`; unknown keys name the nearest known one with the line number;
/// a missing required key is an error. Throws Error(Exit::config).
void read_config(Schema& schema, ConfigText const& text);

/// Values with defaults, as nested JSON in order of declaration; `identity_only` leaves out what may differ on resume.
[[nodiscard]] nlohmann::ordered_json resolved(Schema const& schema, bool identity_only = false);

/// Dotted name of the first leaf that differs, or empty. For the resume check.
[[nodiscard]] std::string first_difference(nlohmann::ordered_json const& stored, nlohmann::ordered_json const& now);

/// The closest of `known` to `word` by edit distance, or empty where nothing is near.
[[nodiscard]] std::string nearest(std::string const& word, std::vector<std::string> const& known);

/// `--help` of a command: key, type, unit, range, default, doc, one a line; nested keys indented.
[[nodiscard]] std::string help_text(Schema const& schema);
/// The same as a Markdown table for docs/, and as commented YAML for configs/reference.yaml.
[[nodiscard]] std::string help_markdown(Schema const& schema);
[[nodiscard]] std::string reference_yaml(Schema const& schema);

}  // namespace striate

#include "striate/base/config_types.hpp"  // ConfigType of the standard types and Schema::operator()
