// A card whose input and preprocessing a config changes, DNNBrain's among them.
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "card_mapping.hpp"
#include "striate/net/card.hpp"

namespace striate {
namespace {

using Json = nlohmann::ordered_json;

// Keys of a card's `input`; all others belong to its `preprocessing`. What kind of input it takes is the network's own.
std::vector<std::string> const input_keys{"size", "channels", "frames",  "rate", "axes",
                                          "mels", "preset",   "samples", "shape"};

std::vector<double> const imagenet_mean{0.485, 0.456, 0.406}, imagenet_std{0.229, 0.224, 0.225};

/// Without line numbers, which would be those of another file.
YAML::Node to_yaml(Json const& value) {
  if (value.is_string()) return YAML::Node(value.get<std::string>());
  if (!value.is_array()) return YAML::Node(value.dump());
  YAML::Node list(YAML::NodeType::Sequence);
  for (auto const& part : value) list.push_back(to_yaml(part));
  return list;
}

/// What DNNBrain does: pictures squashed to the input's size, never cropped, ImageNet's mean and standard deviation
/// whatever the network (but those of VggFace, whose pixels run from 0 to 255, and of video).
Json dnnbrains(Card const& card) {
  auto const& how = card.preprocessing;
  if (card.input.kind != InputForm::Kind::image && card.input.kind != InputForm::Kind::clip) return Json::object();
  Json out{{"resize", {how.height, how.width}}, {"mode", "bilinear"}, {"crop", "none"}};
  if (card.input.kind == InputForm::Kind::image && how.scale < 1)
    out["mean"] = imagenet_mean, out["std"] = imagenet_std;
  return out;
}

}  // namespace

Card override_card(Card card, Json const& keys) {
  Json wanted = Json::object();
  for (auto const& [key, value] : keys.items()) {
    if (key == "transform_input") {
      if (!value.is_boolean()) fail(Exit::config, "preprocessing.transform_input: must be true or false");
      card.transform_input = value.get<bool>();
    } else if (key == "compat") {
      if (value != "dnnbrain" && value != "none")
        fail(Exit::config, "preprocessing.compat: `{}` is none of none | dnnbrain",
             value.is_string() ? value.get<std::string>() : value.dump());
      if (value == "none") continue;
      Json const theirs = dnnbrains(card);
      for (auto const& [name, number] : theirs.items())
        if (!keys.contains(name)) wanted[name] = number;
      if (!keys.contains("transform_input")) card.undo_transform = true;
    } else {
      wanted[key] = value;
    }
  }
  YAML::Node top = YAML::LoadFile(card.file.string());
  for (auto const& [key, value] : wanted.items()) {
    if (key == "kind") fail(Exit::config, "preprocessing.kind: what a network takes cannot be changed; write a card");
    bool const is_input = std::find(input_keys.begin(), input_keys.end(), key) != input_keys.end();
    top[is_input ? "input" : "preprocessing"][key] = to_yaml(value);
  }
  ConfigPlace const place{"preprocessing, over " + card.file.filename().string(), card.file.parent_path(), "", 0};
  std::vector<std::string> any;
  for (auto const& entry : top) any.push_back(entry.first.as<std::string>());
  card.input = {}, card.preprocessing = {};
  try {
    net::read_input(net::Mapping(top, place, any), card.input, card.preprocessing);
  } catch (YAML::Exception const& error) {
    config_error(place, error.msg);
  }
  return card;
}

void set_transform_input(Preprocessing& how, bool inside, bool wanted) {
  if (inside == wanted) return;
  for (std::size_t c = 0; c < how.channels(); ++c) {
    double const mean = how.mean.at(c), std = how.std.at(c), m = imagenet_mean.at(c), s = imagenet_std.at(c);
    // The conversion takes x to (x s + m − 0.5) / 0.5. What it would do, or undo, is put into mean and std.
    how.mean[c] = inside ? mean + 2 * std * (m - 0.5) : mean - std * (m - 0.5) / s;
    how.std[c] = inside ? 2 * std * s : std / (2 * s);
  }
}

}  // namespace striate
