#pragma once
/// The settings of `striate extract`.
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "extract_override.hpp"
#include "batch_size.hpp"
#include "striate/base/config.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {

/// `channels:` and `units:`: of each layer its numbers from 1, `{conv5: [1, 5, 8-12]}`.
struct LayerIndices {
  std::vector<std::pair<std::string, std::vector<std::size_t>>> layers;  ///< numbers from 0
};
template <>
struct ConfigType<LayerIndices> {
  static LayerIndices read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(LayerIndices const& indices);
  static std::string name() { return "{LAYER: [integer, …], …}"; }
};

/// `project:` a random projection of every layer.
struct ProjectConfig {
  std::int64_t components = 0;
  std::string kind = "gaussian";
  std::optional<double> density;
};
void describe(Schema& s, ProjectConfig& c);

struct ExtractConfig {
  StimuliConfig stimuli;
  std::string network;
  std::optional<std::filesystem::path> weights;
  CardKeys preprocessing;
  bool self_test = true;
  std::optional<std::vector<std::string>> layers;
  std::optional<std::filesystem::path> mask;
  LayerIndices channels, units;
  std::string pool_over = "space", tokens = "all", compat = "none";
  std::optional<ProjectConfig> project;
  std::optional<std::filesystem::path> pca;
  std::string pool = "none", dtype = "float32", device = "auto", on_bad_stimulus = "stop", on_duplicate = "stop",
              io = "auto", identify = "name", autocast = "none", pack = "none", part = "1/1";
  std::optional<std::filesystem::path> reuse;
  BatchSize batch;
  std::optional<double> memory;
  std::int64_t seed = 0;
  std::filesystem::path output;
};
void describe(Schema& s, ExtractConfig& c);

}  // namespace striate
