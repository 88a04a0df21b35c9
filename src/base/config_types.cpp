#include "striate/base/config_types.hpp"

#include <algorithm>
#include <charconv>

#include "striate/base/error.hpp"

namespace striate {
namespace {

std::string const& scalar(YAML::Node const& node, ConfigPlace const& place, char const* what) {
  if (!node.IsScalar())
    config_error(place, std::string("needs ") + what + ", not a " + (node.IsMap() ? "mapping" : "list"));
  return node.Scalar();
}

void check_one(nlohmann::json const& value, Meta const& meta, ConfigPlace const& place) {
  if (value.is_number()) {
    double const number = value.get<double>();
    std::string const unit = meta.unit.empty() ? "" : " " + meta.unit;
    if (meta.min && number < *meta.min)
      config_error(place, fmt::format("is {}, below the least allowed, {:g}{}", value.dump(), *meta.min, unit));
    if (meta.max && number > *meta.max)
      config_error(place, fmt::format("is {}, above the greatest allowed, {:g}{}", value.dump(), *meta.max, unit));
  }
  if (value.is_string() && !meta.choices.empty()) {
    std::string const word = value.get<std::string>();
    if (std::ranges::find(meta.choices, word) != meta.choices.end()) return;
    std::string all;
    for (auto const& choice : meta.choices) all += (all.empty() ? "" : ", ") + choice;
    std::string const near = nearest(word, meta.choices);
    config_error(place, "`" + word + "` is not one of " + all + (near.empty() ? "" : "; did you mean `" + near + "`?"));
  }
}

}  // namespace

bool ConfigType<bool>::read(YAML::Node const& node, ConfigPlace const& place) {
  std::string word = scalar(node, place, "true or false");
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
  if (word == "true" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "no" || word == "off") return false;
  config_error(place, "needs true or false, not `" + node.Scalar() + "`");
}

std::int64_t ConfigType<std::int64_t>::read(YAML::Node const& node, ConfigPlace const& place) {
  std::string const& word = scalar(node, place, "a whole number");
  std::int64_t value = 0;
  char const* const first = word.data() + (word.starts_with('+') ? 1 : 0);
  auto const [end, trouble] = std::from_chars(first, word.data() + word.size(), value);
  if (trouble != std::errc() || end != word.data() + word.size() || word.empty())
    config_error(place, "needs a whole number, not `" + word + "`");
  return value;
}

double ConfigType<double>::read(YAML::Node const& node, ConfigPlace const& place) {
  std::string const& word = scalar(node, place, "a number");
  double value = 0;
  char const* const first = word.data() + (word.starts_with('+') ? 1 : 0);
  auto const [end, trouble] = std::from_chars(first, word.data() + word.size(), value);
  if (trouble != std::errc() || end != word.data() + word.size() || word.empty() || !std::isfinite(value))
    config_error(place, "needs a number, not `" + word + "`");
  return value;
}

std::string ConfigType<std::string>::read(YAML::Node const& node, ConfigPlace const& place) {
  return scalar(node, place, "a single value");
}

std::filesystem::path ConfigType<std::filesystem::path>::read(YAML::Node const& node, ConfigPlace const& place) {
  std::string const& word = scalar(node, place, "a path");
  if (word.empty()) config_error(place, "is an empty path");
  return (place.base / word).lexically_normal();
}

void config_detail::check_value(nlohmann::json const& value, Meta const& meta, ConfigPlace const& place) {
  if (!value.is_array()) return check_one(value, meta, place);
  for (auto const& one : value) check_one(one, meta, place);
}

std::string nearest(std::string const& word, std::vector<std::string> const& known) {
  auto const lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  std::string const a = lower(word);
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (auto const& candidate : known) {
    std::string const b = lower(candidate);
    // Edit distance with swaps of neighbours (optimal string alignment).
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i)
      for (std::size_t j = 1; j <= b.size(); ++j) {
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
          d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    std::size_t const distance = d[a.size()][b.size()];
    if (distance < best_distance && distance < std::max(a.size(), b.size())) best_distance = distance, best = candidate;
  }
  return best;
}

}  // namespace striate
