#pragma once
/// `preprocessing:` of an extract config: keys of the card's `input` and `preprocessing` that this job changes.
#include "striate/base/config.hpp"

namespace striate {

struct CardKeys {
  nlohmann::ordered_json keys = nlohmann::ordered_json::object();
};
template <>
struct ConfigType<CardKeys> {
  static CardKeys read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(CardKeys const& overrides);
  static std::string name() { return "mapping"; }
};

}  // namespace striate
