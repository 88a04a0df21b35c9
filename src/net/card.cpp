#include "striate/net/card.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "card_check.hpp"
#include "striate/base/config.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

/// One mapping of a card, read key by key; keys that nobody reads are errors.
class Mapping {
 public:
  Mapping(YAML::Node node, ConfigPlace place, std::vector<std::string> known)
      : node_(std::move(node)), place_(std::move(place)) {
    if (!node_.IsMap()) config_error(place_, "must be a mapping (key: value)");
    for (auto const& entry : node_) {
      auto const key = entry.first.as<std::string>();
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string const near = nearest(key, known);
      std::string listed;
      for (auto const& k : known) listed += (listed.empty() ? "" : ", ") + k;
      config_error(at(key, entry.first), near.empty() ? "is no key of a card; known are " + listed
                                                      : "is no key of a card; did you mean `" + near + "`?");
    }
  }

  [[nodiscard]] bool has(std::string const& key) const { return node_[key].IsDefined() && !node_[key].IsNull(); }
  [[nodiscard]] YAML::Node operator[](std::string const& key) const { return node_[key]; }
  [[nodiscard]] ConfigPlace at(std::string const& key, YAML::Node const& node) const {
    ConfigPlace out = place_;
    out.key = place_.key.empty() ? key : place_.key + "." + key;
    if (node.IsDefined() && node.Mark().line >= 0) out.line = node.Mark().line + 1;
    return out;
  }
  [[nodiscard]] ConfigPlace at(std::string const& key) const { return at(key, node_[key]); }
  [[nodiscard]] Mapping inner(std::string const& key, std::vector<std::string> known) const {
    return {node_[key], at(key), std::move(known)};
  }

  [[nodiscard]] std::string text(std::string const& key, std::string const& otherwise) const {
    if (!has(key)) return otherwise;
    if (!node_[key].IsScalar()) config_error(at(key), "must be one word or line of text");
    return node_[key].as<std::string>();
  }
  [[nodiscard]] std::string choice(std::string const& key, std::string const& otherwise,
                                   std::vector<std::string> const& words) const {
    std::string const word = text(key, otherwise);
    if (std::find(words.begin(), words.end(), word) != words.end()) return word;
    std::string listed;
    for (auto const& w : words) listed += (listed.empty() ? "" : " | ") + w;
    config_error(at(key), "`" + word + "` is none of " + listed);
  }
  [[nodiscard]] std::size_t size_of(YAML::Node const& node, std::string const& key) const {
    long value = 0;
    try {
      value = node.as<long>();
    } catch (YAML::Exception const&) {
      config_error(at(key), "must be a whole number of pixels");
    }
    if (value < 1 || value > 16384) config_error(at(key), "must be a number of pixels from 1 to 16384");
    return static_cast<std::size_t>(value);
  }
  [[nodiscard]] std::vector<double> numbers(std::string const& key, std::vector<double> otherwise) const {
    if (!has(key)) return otherwise;
    try {
      return node_[key].IsSequence() ? node_[key].as<std::vector<double>>()
                                     : std::vector<double>{node_[key].as<double>()};
    } catch (YAML::Exception const&) {
      config_error(at(key), "must be a list of numbers");
    }
  }

 private:
  YAML::Node node_;
  ConfigPlace place_;
};

void read_input(Mapping const& top, Preprocessing& out) {
  if (!top.has("input")) return;
  Mapping const input = top.inner("input", {"size", "channels"});
  if (input.has("size")) {
    YAML::Node const size = input["size"];
    if (!size.IsSequence() || size.size() != 2)
      config_error(input.at("size"), "must be [height, width], e.g. [224, 224]");
    out.height = input.size_of(size[0], "size");
    out.width = input.size_of(size[1], "size");
  }
  std::string const channels = input.choice("channels", "rgb", {"rgb", "bgr", "grey"});
  out.grey = channels == "grey";
  out.bgr = channels == "bgr";
}

void read_resize(Mapping const& steps, Preprocessing& out) {
  if (!steps.has("resize")) return;
  YAML::Node const resize = steps["resize"];
  if (resize.IsSequence()) {
    if (resize.size() != 2) config_error(steps.at("resize"), "must be none, N (shorter side) or [height, width]");
    out.resize = Preprocessing::Resize::squash;
    out.resize_height = steps.size_of(resize[0], "resize");
    out.resize_width = steps.size_of(resize[1], "resize");
  } else if (!resize.IsScalar()) {
    config_error(steps.at("resize"), "must be none, N (shorter side) or [height, width]");
  } else if (resize.as<std::string>() != "none") {
    out.resize = Preprocessing::Resize::shorter;
    out.resize_height = steps.size_of(resize, "resize");
  }
}

void read_preprocessing(Mapping const& top, Preprocessing& out) {
  if (!top.has("preprocessing")) return;
  Mapping const steps = top.inner("preprocessing", {"resize", "mode", "crop", "scale", "mean", "std"});
  read_resize(steps, out);
  out.mode = steps.choice("mode", "bilinear", {"bilinear", "nearest", "bicubic"});
  std::string const crop = steps.choice("crop", "none", {"none", "center", "7/8"});
  if (crop == "center") out.crop = Preprocessing::Crop::center;
  if (crop == "7/8") out.crop = Preprocessing::Crop::seven_eighths;
  if (steps.has("scale")) {
    auto const scale = steps.numbers("scale", {});
    if (scale.size() != 1 || !std::isfinite(scale[0]) || scale[0] == 0)
      config_error(steps.at("scale"),
                   "must be one number other than 0: what a pixel value (0 to 255) is multiplied by");
    out.scale = scale[0];
  }
  out.mean = steps.numbers("mean", std::vector<double>(out.channels(), 0));
  out.std = steps.numbers("std", std::vector<double>(out.channels(), 1));
  for (auto const& [key, values] : {std::pair("mean", &out.mean), std::pair("std", &out.std)})
    if (values->size() != out.channels())
      config_error(steps.at(key), "has " + std::to_string(values->size()) + " numbers for " +
                                      std::to_string(out.channels()) + " channels");
  if (std::any_of(out.std.begin(), out.std.end(), [](double s) { return !(s > 0); }))
    config_error(steps.at("std"), "must be numbers above 0");
  if (out.crop == Preprocessing::Crop::none && out.resize == Preprocessing::Resize::squash &&
      (out.resize_height != out.height || out.resize_width != out.width))
    config_error(steps.at("resize"), "differs from input.size, and nothing crops; make them equal");
}

void read_layers(Mapping const& top, Card& card) {
  if (!top.has("layers")) return;
  YAML::Node const layers = top["layers"];
  if (!layers.IsMap()) config_error(top.at("layers"), "must be a mapping of names to module paths");
  std::set<std::string> seen;
  for (auto const& entry : layers) {
    auto const name = entry.first.as<std::string>();
    ConfigPlace const here = top.at("layers." + name, entry.first);
    if (!entry.second.IsScalar() || entry.second.as<std::string>().empty())
      config_error(here, "must be a module path, e.g. features.0");
    if (!seen.insert(name).second) config_error(here, "stands here twice");
    if (name == "all" || name.rfind("preset:", 0) == 0) config_error(here, "is a name that `layers:` gives a meaning");
    if (name.find('/') != std::string::npos || name[0] == '.')
      config_error(here, "cannot be the name of a dataset; leave out `/` and a leading dot");
    card.layers.emplace_back(name, entry.second.as<std::string>());
  }
}

/// The card's own layer of this name, or an error at `here`.
void check_layer(std::string const& name, Card const& card, ConfigPlace const& here) {
  std::vector<std::string> known;
  for (auto const& layer : card.layers) known.push_back(layer.first);
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  std::string const near = nearest(name, known);
  config_error(here,
               "`" + name + "` is no layer of this card" + (near.empty() ? "" : "; did you mean `" + near + "`?"));
}

void read_aliases(Mapping const& top, Card& card) {
  if (!top.has("aliases")) return;
  if (!top["aliases"].IsMap())
    config_error(top.at("aliases"), "must be a mapping of second names to layers of this card");
  for (auto const& entry : top["aliases"]) {
    auto const name = entry.first.as<std::string>();
    ConfigPlace const here = top.at("aliases." + name, entry.first);
    if (!entry.second.IsScalar()) config_error(here, "must be a layer of this card");
    check_layer(entry.second.as<std::string>(), card, here);
    for (auto const& layer : card.layers)
      if (layer.first == name) config_error(here, "is the name of a layer already");
    card.aliases.emplace_back(name, entry.second.as<std::string>());
  }
}

void read_presets(Mapping const& top, Card& card) {
  if (!top.has("presets")) return;
  YAML::Node const presets = top["presets"];
  if (!presets.IsMap()) config_error(top.at("presets"), "must be a mapping of names to lists of layers");
  for (auto const& entry : presets) {
    auto const name = entry.first.as<std::string>();
    ConfigPlace const here = top.at("presets." + name, entry.first);
    if (!entry.second.IsSequence() || entry.second.size() == 0)
      config_error(here, "must be a list of layers of this card");
    auto const members = entry.second.as<std::vector<std::string>>();
    for (auto const& member : members) check_layer(member, card, here);
    card.presets.emplace_back(name, members);
  }
}

void add_preset(std::string const& name, Card const& card, std::vector<LayerRequest>& out) {
  std::vector<std::string> known;
  for (auto const& [preset, members] : card.presets) {
    known.push_back(preset);
    if (preset != name) continue;
    for (auto const& member : members)
      for (auto const& [layer, path] : card.layers)
        if (layer == member) out.push_back({layer, path});
    return;
  }
  std::string const near = nearest(name, known);
  std::string listed;
  for (auto const& k : known) listed += (listed.empty() ? "" : ", ") + k;
  fail(Exit::config, "layers: preset:{} is no preset of {}{}", name, card.file.string(),
       known.empty()  ? "; it has none"
       : near.empty() ? "; it has " + listed
                      : "; did you mean `preset:" + near + "`?");
}

/// What the card knows under this name or second name; else the name itself, as a module path.
std::string path_of(std::string const& name, Card const& card) {
  std::string layer = name;
  for (auto const& [alias, meant] : card.aliases)
    if (alias == name) layer = meant;
  for (auto const& [known, path] : card.layers)
    if (known == layer) return path;
  return name;
}

}  // namespace

Card read_card(std::filesystem::path const& file) {
  ConfigPlace place{file.string(), file.parent_path(), "", 0};
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored))
    fail(Exit::no_input, "network: the card {} does not exist", file.string());
  Card card;
  card.file = file;
  try {
    YAML::Node const node = YAML::LoadFile(file.string());
    if (!node.IsDefined() || node.IsNull())
      config_error(place, "is empty; a network card is a mapping (see configs/networks)");
    Mapping const top(node, place,
                      {"name", "source", "weights", "input", "preprocessing", "layers", "aliases", "presets", "check"});
    card.name = top.text("name", file.stem().string());
    card.source = top.text("source", "");
    card.weights = top.text("weights", "");
    read_input(top, card.preprocessing);
    read_preprocessing(top, card.preprocessing);
    read_layers(top, card);
    read_aliases(top, card);
    read_presets(top, card);
    if (top.has("check")) card.checks = net::read_checks(top["check"], top.at("check"));
  } catch (YAML::BadFile const&) {
    fail(Exit::no_input, "network: the card {} cannot be opened; check its permissions", file.string());
  } catch (YAML::Exception const& error) {
    place.line = error.mark.line + 1;
    config_error(place, "is not YAML: " + error.msg);
  }
  return card;
}

std::vector<LayerRequest> resolve_layers(std::vector<std::string> const& asked, Card const& card) {
  std::vector<LayerRequest> out;
  for (auto const& name : asked) {
    if (name.empty()) fail(Exit::config, "layers: an empty name; name a layer, `preset:NAME` or `all`");
    if (name == "all") {
      for (auto const& [layer, path] : card.layers) out.push_back({layer, path});
      if (card.layers.empty()) out.push_back({"*", "*"});  // the network knows its modules
      continue;
    }
    if (name.rfind("preset:", 0) == 0) {
      add_preset(name.substr(7), card, out);
      continue;
    }
    out.push_back({name, path_of(name, card)});
  }
  std::set<std::string> seen;
  for (auto const& request : out)
    if (!seen.insert(request.name).second)
      fail(Exit::config, "layers: {} is asked for twice; name it once (presets and `all` count)", request.name);
  return out;
}

}  // namespace striate
