#pragma once
/// The settings of `striate reduce`.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store_source.hpp"
#include "striate/base/config.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate::reduce {

struct Source : StoreSource {};

/// A count, a share of the variance below 1, or `auto` (both 0).
struct Amount {
  std::int64_t count = 0;
  double share = 0;
};

/// Stimuli that a reduction is fitted on: all, those of a list, or those whose column holds one of the words.
struct FitRows {
  StimuliConfig list;
  std::string column;
  std::vector<std::string> words;
  [[nodiscard]] bool all() const { return list.empty() && column.empty(); }
};

struct Config {
  Source features;
  std::string method, axis = "whole", range = "own", each = "unit";
  std::string cluster = "stimuli", metric = "euclidean", linkage = "ward";
  std::optional<Amount> components;
  FitRows fit;
  std::optional<std::filesystem::path> model, apply;
  bool whiten = false;
  std::optional<double> density;
  double distortion = 0.1;
  std::optional<std::int64_t> batch;
  std::int64_t oversample = 10, iterations = 4, seed = 0, starts = 10, most_iterations = 300;
  std::string dtype = "float32";
  std::optional<double> memory;
  std::filesystem::path output;

  [[nodiscard]] bool is_pca() const { return method.find("pca") != std::string::npos; }
  /// Takes a look at the stimuli first.
  [[nodiscard]] bool is_fitted() const {
    return is_pca() || (method == "hist" && range == "common") || (method == "zscore" && each != "stimulus") ||
           is_cluster();
  }
  [[nodiscard]] bool is_cluster() const { return method == "kmeans" || method == "hierarchical"; }
  [[nodiscard]] bool is_projection() const { return method == "gaussian" || method == "sparse"; }
};
void declare(Schema& s, Config& c);
/// What the declaration cannot say. Throws Error(Exit::config).
void check(Config const& c);

}  // namespace striate::reduce

namespace striate {
template <>
struct ConfigType<reduce::Amount> {
  static reduce::Amount read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(reduce::Amount const& amount);
  static std::string name() { return "integer | share below 1 | auto"; }
};
template <>
struct ConfigType<reduce::FitRows> {
  static reduce::FitRows read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(reduce::FitRows const& rows);
  static std::string name() { return "all | .stim.csv | {COLUMN: word | [word, …]}"; }
};
}  // namespace striate
