// How the kinds of value that only `encode` has are read and written.
#include <yaml-cpp/yaml.h>

#include <cmath>

#include "encode_config.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace encode {

std::vector<double> spaced(std::vector<double> const& logspace) {
  auto const count = static_cast<std::size_t>(logspace[2]);
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    double const part = count == 1 ? 0 : static_cast<double>(i) / static_cast<double>(count - 1);
    values[i] = std::pow(10.0, logspace[0] + part * (logspace[1] - logspace[0]));
  }
  return values;
}

namespace {

Alphas read_alphas(YAML::Node const& node, ConfigPlace const& place, bool inside_relative) {
  Alphas a;
  if (!node.IsMap()) {
    a.values = ConfigType<std::vector<double>>::read(node, place);
    a.logspace.clear();
    return a;
  }
  char const* const forms = "needs a number, a list, {logspace: [from, to, count]}, {relative: …} or auto";
  if (node.size() != 1) config_error(place, forms);
  std::string const key = node.begin()->first.Scalar();
  ConfigPlace here = place;
  here.key += "." + key;
  YAML::Node const value = node.begin()->second;
  if (value.Mark().line >= 0) here.line = value.Mark().line + 1;
  if (key == "relative" && !inside_relative) {
    a = read_alphas(value, here, true);
    a.relative = true;
    return a;
  }
  if (key != "logspace") {
    std::string const near = nearest(key, {"logspace", "relative"});
    config_error(here, near.empty() || inside_relative ? forms : "is not a key here; did you mean `" + near + "`?");
  }
  a.logspace = ConfigType<std::vector<double>>::read(value, here);
  if (a.logspace.size() != 3 || a.logspace[2] < 1 || a.logspace[2] != std::floor(a.logspace[2]) || a.logspace[2] > 1e4)
    config_error(here, "needs [from, to, count]: powers of ten and a whole number, e.g. [-1, 8, 20]");
  a.values = spaced(a.logspace);
  return a;
}

}  // namespace
}  // namespace encode

encode::Alphas ConfigType<encode::Alphas>::read(YAML::Node const& node, ConfigPlace const& place) {
  if (node.IsScalar() && node.Scalar() == "auto") return {};
  encode::Alphas a = encode::read_alphas(node, place, false);
  if (a.values.empty()) config_error(place, "is an empty list; give at least one alpha");
  for (double value : a.values)
    if (!(value > 0) || !std::isfinite(value))
      config_error(place, fmt::format("holds {:g}; alphas are positive (0 is type: ols)", value));
  return a;
}

nlohmann::json ConfigType<encode::Alphas>::write(encode::Alphas const& a) {
  if (a.values.empty()) return "auto";
  nlohmann::json plain = a.values;
  if (!a.logspace.empty()) plain = {{"logspace", a.logspace}};
  return a.relative ? nlohmann::json{{"relative", plain}} : plain;
}

encode::Components ConfigType<encode::Components>::read(YAML::Node const& node, ConfigPlace const& place) {
  constexpr std::int64_t most = 10000;
  encode::Components c;
  ConfigPlace here = place;
  std::vector<std::int64_t> named;
  if (node.IsMap()) {
    if (node.size() != 1 || node.begin()->first.Scalar() != "up_to")
      config_error(place, "needs a whole number, a list of them or {up_to: 25}");
    here.key += ".up_to";
    c.up_to = ConfigType<std::int64_t>::read(node.begin()->second, here);
    named = {c.up_to};
  } else {
    c.among = named = ConfigType<std::vector<std::int64_t>>::read(node, place);
    if (c.among.empty()) config_error(place, "is an empty list; give at least one number of components");
  }
  for (std::int64_t count : named)
    if (count < 1 || count > most)
      config_error(here, fmt::format("holds {}; numbers of components are whole, from 1 to {}", count, most));
  return c;
}

nlohmann::json ConfigType<encode::Components>::write(encode::Components const& c) {
  if (c.among.empty()) return {{"up_to", c.up_to}};
  return c.among;
}

encode::Prior ConfigType<encode::Prior>::read(YAML::Node const& node, ConfigPlace const& place) {
  encode::Prior prior;
  if (!node.IsMap()) {
    prior.file = ConfigType<std::filesystem::path>::read(node, place);
    return prior;
  }
  for (auto const& entry : node) {
    ConfigPlace here = place;
    here.key += "." + entry.first.Scalar();
    if (entry.second.Mark().line >= 0) here.line = entry.second.Mark().line + 1;
    prior.layers.emplace_back(entry.first.Scalar(), ConfigType<std::filesystem::path>::read(entry.second, here));
  }
  if (prior.layers.empty()) config_error(place, "names no layer; give a file, or {LAYER: file}");
  return prior;
}

nlohmann::json ConfigType<encode::Prior>::write(encode::Prior const& prior) {
  if (prior.layers.empty()) return prior.file.string();
  nlohmann::json layers;
  for (auto const& [name, file] : prior.layers) layers[name] = file.string();
  return layers;
}

encode::FieldSizes ConfigType<encode::FieldSizes>::read(YAML::Node const& node, ConfigPlace const& place) {
  encode::FieldSizes sizes;
  if (node.IsScalar()) {
    sizes.steps = ConfigType<std::int64_t>::read(node, place);
    if (sizes.steps < 1 || sizes.steps > 100)
      config_error(place, fmt::format("is {}; give 1 to 100 radii, or a list of them", sizes.steps));
    return sizes;
  }
  sizes.listed = ConfigType<std::vector<double>>::read(node, place);
  if (sizes.listed.empty()) config_error(place, "is an empty list; give at least one radius");
  return sizes;
}

nlohmann::json ConfigType<encode::FieldSizes>::write(encode::FieldSizes const& sizes) {
  if (sizes.listed.empty()) return sizes.steps;
  return sizes.listed;
}

encode::FoldCount ConfigType<encode::FoldCount>::read(YAML::Node const& node, ConfigPlace const& place) {
  encode::FoldCount folds;
  std::string const word = node.IsScalar() ? node.Scalar() : "";
  if (word == "auto") return folds;
  if (word == "leave_one_out") {
    folds.leave_one_out = true;
    return folds;
  }
  bool const number = !word.empty() && word.find_first_not_of("+-0123456789") == std::string::npos;
  if (!number) {
    std::string const near = nearest(word, {"auto", "leave_one_out"});
    config_error(place, near.empty() ? "needs a whole number, leave_one_out or auto"
                                     : "`" + word + "` is not understood; did you mean `" + near + "`?");
  }
  folds.number = ConfigType<std::int64_t>::read(node, place);
  return folds;
}

nlohmann::json ConfigType<encode::FoldCount>::write(encode::FoldCount const& folds) {
  if (folds.leave_one_out) return "leave_one_out";
  return folds.number ? nlohmann::json(*folds.number) : nlohmann::json("auto");
}

}  // namespace striate
