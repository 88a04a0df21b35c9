#pragma once
#include <cstdint>
#include <string>

#include "striate/base/config.hpp"

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

}  // namespace striate
