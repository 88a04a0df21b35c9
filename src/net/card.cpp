#include "striate/net/card.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "card_check.hpp"
#include "card_mapping.hpp"
#include "striate/base/error.hpp"

namespace striate {

using net::Mapping;

namespace {

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
    net::read_input(top, card.input, card.preprocessing);
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

bool is_pattern(std::string const& name) { return name.find_first_of("*?") != std::string::npos; }

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++, from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {  // the last star takes one more
      p = star + 1, t = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::vector<LayerRequest> resolve_layers(std::vector<std::string> const& asked, Card const& card) {
  std::vector<LayerRequest> out;
  std::set<std::string> seen;
  for (auto const& name : asked) {
    if (name.empty()) fail(Exit::config, "layers: an empty name; name a layer, `preset:NAME` or `all`");
    std::vector<LayerRequest> more;
    bool const several = name == "all" || name.rfind("preset:", 0) == 0 || is_pattern(name);
    if (name == "all") {
      for (auto const& [layer, path] : card.layers) more.push_back({layer, path});
      if (card.layers.empty()) more.push_back({"*", "*"});  // the network knows its modules
    } else if (name.rfind("preset:", 0) == 0) {
      add_preset(name.substr(7), card, more);
    } else if (is_pattern(name)) {
      for (auto const& [layer, path] : card.layers)
        if (matches(name, layer)) more.push_back({layer, path});
      if (more.empty()) more.push_back({name, name});
    } else {
      more.push_back({name, path_of(name, card)});
    }
    for (auto& request : more)
      if (seen.insert(request.name).second)
        out.push_back(std::move(request));
      else if (!several)
        fail(Exit::config, "layers: {} is asked for twice; name it once (before presets, patterns and `all`)",
             request.name);
  }
  return out;
}

}  // namespace striate
