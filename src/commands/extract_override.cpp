#include "extract_override.hpp"

#include <yaml-cpp/yaml.h>

namespace striate {
namespace {

nlohmann::ordered_json to_json(YAML::Node const& node, ConfigPlace const& place) {
  if (node.IsSequence()) {
    auto list = nlohmann::ordered_json::array();
    for (auto const& part : node) list.push_back(to_json(part, place));
    return list;
  }
  if (!node.IsScalar()) config_error(place, "needs one value or a list");
  std::string const& text = node.Scalar();
  bool const quoted = node.Tag() == "!";
  if (!quoted && (text == "true" || text == "false")) return text == "true";
  auto const number = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!quoted && number.is_number()) return number;
  if (double value = 0; !quoted && YAML::convert<double>::decode(node, value)) return value;  // .5
  return text;
}

}  // namespace

CardKeys ConfigType<CardKeys>::read(YAML::Node const& node, ConfigPlace const& place) {
  if (!node.IsMap()) config_error(place, "needs a mapping of keys of the card, e.g. {resize: [224, 224], crop: none}");
  CardKeys out;
  for (auto const& entry : node) {
    ConfigPlace here = place;
    here.key += "." + entry.first.Scalar();
    if (entry.first.Mark().line >= 0) here.line = entry.first.Mark().line + 1;
    out.keys[entry.first.Scalar()] = to_json(entry.second, here);
  }
  return out;
}

nlohmann::json ConfigType<CardKeys>::write(CardKeys const& overrides) { return overrides.keys; }

}  // namespace striate
