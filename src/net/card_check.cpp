#include "card_check.hpp"

#include <algorithm>

#include "striate/base/error.hpp"

namespace striate::net {
namespace {

std::vector<std::string> const keys{"input", "shape",   "weights_sha256", "state_sha256",
                                    "layer", "outputs", "tolerance"};

ConfigPlace at(ConfigPlace const& place, std::string const& key, YAML::Node const& node) {
  ConfigPlace out = place;
  out.key += "." + key;
  if (node.IsDefined() && node.Mark().line >= 0) out.line = node.Mark().line + 1;
  return out;
}

template <class T>
T value(YAML::Node const& block, std::string const& key, ConfigPlace const& place, T otherwise, char const* what) {
  YAML::Node const node = block[key];
  if (!node.IsDefined()) return otherwise;
  try {
    return node.as<T>();
  } catch (YAML::Exception const&) {
    config_error(at(place, key, node), what);
  }
}

std::string sum(YAML::Node const& block, std::string const& key, ConfigPlace const& place) {
  auto out = value<std::string>(block, key, place, "", "must be the 64 digits of a SHA-256");
  bool const is_hex =
      std::all_of(out.begin(), out.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!out.empty() && (out.size() != 64 || !is_hex))
    config_error(at(place, key, block[key]), "must be the 64 digits of a SHA-256, in lower case");
  return out;
}

CardCheck read_check(YAML::Node const& block, ConfigPlace const& place) {
  if (!block.IsMap()) config_error(place, "must be a mapping; tools/make_check.py writes it");
  for (auto const& entry : block) {
    auto const key = entry.first.as<std::string>();
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    std::string const near = nearest(key, keys);
    config_error(at(place, key, entry.first),
                 "is no key of a check" + (near.empty() ? "" : "; did you mean `" + near + "`?"));
  }
  CardCheck out;
  out.input = value<std::string>(block, "input", place, out.input, "must be noise, gradient or picture");
  if (out.input != "noise" && out.input != "gradient" && out.input != "picture")
    config_error(at(place, "input", block["input"]), "`" + out.input + "` is none of noise | gradient | picture");
  out.shape = value(block, "shape", place, out.shape, "must be the network's input, e.g. [3, 224, 224]");
  double floats = 1;
  for (std::size_t const extent : out.shape) floats *= static_cast<double>(extent);
  if (out.shape.empty() || floats < 1 || floats > 1e9)
    config_error(at(place, "shape", block["shape"]), "must be the network's input, e.g. [3, 224, 224]");
  out.weights_sha256 = sum(block, "weights_sha256", place);
  out.state_sha256 = sum(block, "state_sha256", place);
  if (out.weights_sha256.empty() && out.state_sha256.empty())
    config_error(place, "says nothing of the weights it is for; give weights_sha256 or state_sha256");
  out.layer = value(block, "layer", place, out.layer, "must be a layer of the network, e.g. output");
  out.outputs = value(block, "outputs", place, out.outputs, "must be a list of numbers");
  if (out.outputs.empty()) config_error(at(place, "outputs", block["outputs"]), "must be a list of numbers");
  out.tolerance = value(block, "tolerance", place, out.tolerance, "must be a number above 0");
  if (!(out.tolerance > 0)) config_error(at(place, "tolerance", block["tolerance"]), "must be a number above 0");
  return out;
}

}  // namespace

std::vector<CardCheck> read_checks(YAML::Node const& node, ConfigPlace const& place) {
  std::vector<CardCheck> out;
  if (!node.IsSequence()) return {read_check(node, place)};
  for (std::size_t i = 0; i < node.size(); ++i) {
    ConfigPlace one = place;
    one.key += fmt::format("[{}]", i);
    out.push_back(read_check(node[i], one));
  }
  return out;
}

}  // namespace striate::net
