#pragma once
/// Mappings of a card, read key by key.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/input.hpp"

namespace striate::net {

/// One mapping; keys that nobody reads are errors.
class Mapping {
 public:
  /// `what` the keys belong to, for messages.
  Mapping(YAML::Node node, ConfigPlace place, std::vector<std::string> known, std::string const& what = "a card")
      : node_(std::move(node)), place_(std::move(place)) {
    if (!node_.IsMap()) config_error(place_, "must be a mapping (key: value)");
    for (auto const& entry : node_) {
      auto const key = entry.first.as<std::string>();
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string const near = nearest(key, known);
      std::string listed;
      for (auto const& k : known) listed += (listed.empty() ? "" : ", ") + k;
      config_error(
          at(key, entry.first),
          "is no key of " + what + (near.empty() ? "; known are " + listed : "; did you mean `" + near + "`?"));
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
  [[nodiscard]] Mapping inner(std::string const& key, std::vector<std::string> known,
                              std::string const& what = "a card") const {
    return {node_[key], at(key), std::move(known), what};
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

  [[nodiscard]] double number(std::string const& key, double otherwise, double least, double most) const {
    if (!has(key)) return otherwise;
    auto const values = numbers(key, {});
    if (values.size() != 1 || !(values[0] >= least && values[0] <= most))
      config_error(at(key), fmt::format("must be one number from {} to {}", least, most));
    return values[0];
  }
  [[nodiscard]] std::size_t count(std::string const& key, std::size_t otherwise, std::size_t most) const {
    double const value = number(key, static_cast<double>(otherwise), has(key) ? 1 : 0, static_cast<double>(most));
    if (value != std::floor(value)) config_error(at(key), "must be a whole number");
    return static_cast<std::size_t>(value);
  }
  [[nodiscard]] bool flag(std::string const& key, bool otherwise) const {
    return choice(key, otherwise ? "true" : "false", {"true", "false"}) == "true";
  }

 private:
  YAML::Node node_;
  ConfigPlace place_;
};

/// `input` and `preprocessing` of a card (src/net/card_input.cpp).
void read_input(Mapping const& top, InputForm& form, Preprocessing& how);

}  // namespace striate::net
