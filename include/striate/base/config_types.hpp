#pragma once
/// ConfigType of the standard types, and Schema's call operator. Included by config.hpp alone.
#include <yaml-cpp/yaml.h>

#include <cmath>
#include <limits>

#include "striate/base/config.hpp"

namespace striate {

template <>
struct ConfigType<bool> {
  static bool read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(bool value) { return value; }
  static std::string name() { return "true | false"; }
};
template <>
struct ConfigType<std::int64_t> {
  static std::int64_t read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(std::int64_t value) { return value; }
  static std::string name() { return "integer"; }
};
template <>
struct ConfigType<double> {
  static double read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(double value) { return value; }
  static std::string name() { return "number"; }
};
template <>
struct ConfigType<std::string> {
  static std::string read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(std::string const& value) { return value; }
  static std::string name() { return "text"; }
};
template <>
struct ConfigType<std::filesystem::path> {
  static std::filesystem::path read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(std::filesystem::path const& value) { return value.string(); }
  static std::string name() { return "path"; }
};

template <class T>
struct ConfigType<std::optional<T>, std::enable_if_t<!Described<T>>> {
  static std::optional<T> read(YAML::Node const& node, ConfigPlace const& place) {
    if (node.IsNull()) return std::nullopt;
    return ConfigType<T>::read(node, place);
  }
  static nlohmann::json write(std::optional<T> const& value) {
    return value ? ConfigType<T>::write(*value) : nlohmann::json(nullptr);
  }
  static std::string name() { return ConfigType<T>::name(); }
};

template <class T>
struct ConfigType<std::vector<T>, std::enable_if_t<!Described<T>>> {
  static std::vector<T> read(YAML::Node const& node, ConfigPlace const& place) {
    if (!node.IsSequence()) return {ConfigType<T>::read(node, place)};
    std::vector<T> values;
    ConfigPlace here = place;
    for (std::size_t i = 0; i < node.size(); ++i) {
      here.key = place.key + "[" + std::to_string(i) + "]";
      if (node[i].Mark().line >= 0) here.line = node[i].Mark().line + 1;
      values.push_back(ConfigType<T>::read(node[i], here));
    }
    return values;
  }
  static nlohmann::json write(std::vector<T> const& values) {
    auto list = nlohmann::json::array();
    for (auto const& value : values) list.push_back(ConfigType<T>::write(value));
    return list;
  }
  static std::string name() { return ConfigType<T>::name() + " | [" + ConfigType<T>::name() + ", …]"; }
};

namespace config_detail {

template <class T>
struct Unwrap {
  using type = T;
  static constexpr bool is_vector = false, is_optional = false;
};
template <class T>
struct Unwrap<std::vector<T>> {
  using type = T;
  static constexpr bool is_vector = true, is_optional = false;
};
template <class T>
struct Unwrap<std::optional<T>> {
  using type = T;
  static constexpr bool is_vector = false, is_optional = true;
};

/// Range and choices of Meta, for a number, a word, or each of a list.
void check_value(nlohmann::json const& value, Meta const& meta, ConfigPlace const& place);
/// Reads a mapping into a schema (unknown and missing keys are errors).
void read_mapping(Schema& schema, YAML::Node const& node, ConfigPlace const& place);
[[nodiscard]] nlohmann::ordered_json write_mapping(Schema const& schema, bool identity_only);
void check_mapping(YAML::Node const& node, ConfigPlace const& place);

template <class T>
nlohmann::ordered_json write_described(T const& value, bool identity_only) {
  T copy = value;
  Schema schema;
  describe(schema, copy);
  return write_mapping(schema, identity_only);
}

}  // namespace config_detail

template <class T>
void Schema::operator()(std::string name, T& target, Meta meta) {
  using Wrap = config_detail::Unwrap<T>;
  using Inner = typename Wrap::type;
  Setting s;
  s.name = std::move(name);
  s.meta = std::move(meta);
  if constexpr (Described<Inner>) {
    auto nested = std::make_shared<Schema>();
    s.list_of_mappings = Wrap::is_vector;
    if constexpr (Wrap::is_vector || Wrap::is_optional) {
      auto blank = std::make_shared<Inner>();  // what the nested schema is bound to: only its declaration is used
      describe(*nested, *blank);
      s.keep_alive = blank;
    } else {
      describe(*nested, target);
    }
    s.nested = nested;
    if constexpr (Wrap::is_vector) {
      s.type = "mapping | [mapping, …]";
      s.default_value = nlohmann::json::array();
      s.read = [&target](YAML::Node const& node, ConfigPlace const& place) {
        target.clear();
        std::size_t const count = node.IsSequence() ? node.size() : 1;
        for (std::size_t i = 0; i < count; ++i) {
          ConfigPlace here = place;
          if (node.IsSequence()) here.key += "[" + std::to_string(i) + "]";
          Inner value;
          Schema schema;
          describe(schema, value);
          config_detail::read_mapping(schema, node.IsSequence() ? node[i] : node, here);
          target.push_back(std::move(value));
        }
      };
      s.write = [&target](bool identity_only) {
        auto list = nlohmann::ordered_json::array();
        for (auto const& value : target) list.push_back(config_detail::write_described(value, identity_only));
        return list;
      };
    } else if constexpr (Wrap::is_optional) {
      s.type = "mapping";
      s.read = [&target](YAML::Node const& node, ConfigPlace const& place) {
        if (node.IsNull()) {
          target.reset();
          return;
        }
        Inner value;
        Schema schema;
        describe(schema, value);
        config_detail::read_mapping(schema, node, place);
        target = std::move(value);
      };
      s.write = [&target](bool identity_only) {
        return target ? config_detail::write_described(*target, identity_only) : nlohmann::ordered_json(nullptr);
      };
    } else {
      s.type = "mapping";
      s.read = [nested](YAML::Node const& node, ConfigPlace const& place) {
        config_detail::read_mapping(*nested, node, place);
      };
      s.write = [nested](bool identity_only) { return config_detail::write_mapping(*nested, identity_only); };
    }
  } else {
    s.type = ConfigType<T>::name();
    s.default_value = ConfigType<T>::write(target);
    Meta const& m = s.meta;
    s.read = [&target, m](YAML::Node const& node, ConfigPlace const& place) {
      target = ConfigType<T>::read(node, place);
      config_detail::check_value(ConfigType<T>::write(target), m, place);
    };
    s.write = [&target](bool) { return nlohmann::ordered_json(ConfigType<T>::write(target)); };
  }
  settings_.push_back(std::move(s));
}

}  // namespace striate
