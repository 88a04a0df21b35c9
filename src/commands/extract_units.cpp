#include "extract_units.hpp"

#include <algorithm>

#include "striate/base/hash.hpp"

namespace striate {
namespace {

UnitMask read_mask(std::filesystem::path const& file) try { return read_dmask(file); } catch (Error const& error) {
  throw Error(error.code(), std::string("mask: ") + error.what());
}

std::string path_of(std::string const& name, Card const& card) { return resolve_layers({name}, card).front().path; }

}  // namespace

std::string ChosenUnits::where(std::string const& word) const {
  return key == "mask" ? fmt::format("mask: {}: {}", file, layer.place(word)) : fmt::format("{}.{}", key, layer.name);
}

UnitChoice::UnitChoice(ExtractConfig const& config) {
  if (config.mask)
    for (auto& layer : read_mask(*config.mask).layers)
      layers_.push_back({std::move(layer), "mask", config.mask->filename().string()});
  auto const add = [&](char const* key, LayerIndices const& said, std::vector<std::size_t> UnitSelection::*list) {
    for (auto const& [name, indices] : said.layers) {
      MaskLayer layer;
      layer.name = name;
      layer.selection.*list = indices;
      layers_.push_back({std::move(layer), key, ""});
    }
  };
  add("channels", config.channels, &UnitSelection::channels);
  add("units", config.units, &UnitSelection::units);
  for (auto const& chosen : layers_) {
    auto const first = std::ranges::find_if(layers_, [&](auto const& o) { return o.layer.name == chosen.layer.name; });
    if (&*first != &chosen)
      fail(Exit::config, "{}: {} is chosen from here and in {}; keep one", chosen.where(), chosen.layer.name,
           first->where());
    if (chosen.layer.name == "all" || chosen.layer.name.starts_with("preset:") || is_pattern(chosen.layer.name))
      fail(Exit::config, "{}: `{}` names several layers; units are chosen layer by layer", chosen.where(),
           chosen.layer.name);
  }
}

std::vector<std::string> UnitChoice::asked(ExtractConfig const& config) const {
  if (config.layers) return *config.layers;
  std::vector<std::string> names;
  for (auto const& chosen : layers_) names.push_back(chosen.layer.name);
  return names.empty() ? std::vector<std::string>{"all"} : names;
}

std::vector<LayerRequest> UnitChoice::pooled_later(Card const& card) const {
  std::vector<LayerRequest> layers;
  for (auto const& chosen : layers_) {
    if (!chosen.layer.selection.only_channels())
      layers.push_back({chosen.layer.name, path_of(chosen.layer.name, card)});
  }
  return layers;
}

std::vector<ChosenUnits const*> UnitChoice::of_layers(std::vector<CapturedLayer> const& layers,
                                                      Card const& card) const {
  std::vector<ChosenUnits const*> chosen(layers.size(), nullptr);
  for (auto const& mine : layers_) {
    auto at = std::ranges::find(layers, mine.layer.name, &CapturedLayer::name);
    if (at == layers.end()) at = std::ranges::find(layers, path_of(mine.layer.name, card), &CapturedLayer::path);
    if (at == layers.end()) {
      std::vector<std::string> names;
      for (auto const& layer : layers) names.push_back(layer.name);
      std::string const near = nearest(mine.layer.name, names);
      fail(Exit::data, "{}: {} is not among the layers that `layers` asks for{}; add it there, or take it out here",
           mine.where(), mine.layer.name, near.empty() ? "" : " (did you mean `" + near + "`?)");
    }
    auto& place = chosen[static_cast<std::size_t>(at - layers.begin())];
    if (place != nullptr)
      fail(Exit::data, "{}: {} is the layer that {} chooses from as {}; keep one", mine.where(), mine.layer.name,
           place->where(), place->layer.name);
    place = &mine;
  }
  return chosen;
}

nlohmann::ordered_json UnitChoice::mask_digest() const {
  nlohmann::ordered_json digest = nlohmann::ordered_json::object();
  for (auto const& chosen : layers_) {
    if (chosen.key != "mask") continue;
    std::string text;
    for (auto const& axis : selection_axes()) {
      text += axis.word;
      for (std::size_t const index : chosen.layer.selection.*axis.list) text += fmt::format(",{}", index);
      text += ';';
    }
    digest[chosen.layer.name] = sha256(text);
  }
  return digest;
}

std::string UnitChoice::explain(std::string const& message) const {
  for (auto const& chosen : layers_) {
    std::string const begin = "layers: " + chosen.layer.name;
    if (message.starts_with(begin + " ") || message.starts_with(begin + ":"))
      return chosen.where() + message.substr(std::string("layers").size());
  }
  return message;
}

}  // namespace striate
