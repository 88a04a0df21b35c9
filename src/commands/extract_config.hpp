#pragma once
/// The settings of `striate extract`.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {

/// `batch:` auto, or a number of stimuli.
struct BatchSize {
  std::int64_t stimuli = 0;  ///< 0: auto
};
template <>
struct ConfigType<BatchSize> {
  static BatchSize read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(BatchSize const& batch);
  static std::string name() { return "auto | integer"; }
};

struct ExtractConfig {
  StimuliConfig stimuli;
  std::string network;
  std::optional<std::filesystem::path> weights;
  std::vector<std::string> layers{"all"};
  std::string pool = "none", dtype = "float32", device = "auto", on_bad_stimulus = "stop", on_duplicate = "stop",
              io = "independent";
  BatchSize batch;
  std::optional<double> memory;
  std::int64_t seed = 0;
  std::filesystem::path output;
};
void describe(Schema& s, ExtractConfig& c);

}  // namespace striate
