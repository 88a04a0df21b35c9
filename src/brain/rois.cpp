#include "striate/brain/rois.hpp"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "striate/base/error.hpp"
#include "striate/brain/responses.hpp"

namespace striate {
namespace {

std::filesystem::path path_of(std::string const& text, ConfigPlace const& place) {
  std::filesystem::path path = text;
  return path.is_absolute() ? path : (place.base / path).lexically_normal();
}

bool whole_number(std::string const& text, std::int64_t& value) {
  if (text.empty()) return false;
  char* end = nullptr;
  double number = std::strtod(text.c_str(), &end);  // "1.0" is what a float table says of 1
  if (end == nullptr || *end != '\0' || number != std::floor(number) || std::abs(number) > 1e15) return false;
  value = static_cast<std::int64_t>(number);
  return true;
}

std::vector<std::string> cells_of(std::string line, char separator) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == separator && !quoted)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  for (auto& cell : cells) {
    auto first = cell.find_first_not_of(' ');
    auto last = cell.find_last_not_of(' ');
    cell = first == std::string::npos ? "" : cell.substr(first, last - first + 1);
  }
  return cells;
}

std::size_t column_of(std::vector<std::string> const& head, std::vector<std::string> const& names) {
  for (auto const& name : names)
    for (std::size_t i = 0; i < head.size(); ++i) {
      std::string lower;
      for (char c : head[i]) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (lower == name) return i;
    }
  return head.size();
}

/// BIDS dseg.tsv and the like: a head with index and name; without a head, the first two columns.
RoiNames read_table(std::istream& in, std::string const& file, char separator) {
  RoiNames names;
  std::string line;
  std::size_t index = 0, name = 1, number = 0;
  std::int64_t label = 0;
  while (std::getline(in, line)) {
    ++number;
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    auto cells = cells_of(line, separator);
    if (cells.size() == 1 && cells[0].empty()) continue;
    if (number == 1 && !whole_number(cells[0], label)) {
      index = column_of(cells, {"index", "label", "value", "id"});
      name = column_of(cells, {"name", "region", "roi", "abbreviation"});
      if (index == cells.size() || name == cells.size())
        fail(Exit::data, "{} has no columns `index` and `name` in its first line", file);
      continue;
    }
    if (std::max(index, name) >= cells.size() || !whole_number(cells[index], label))
      fail(Exit::data, "{}: line {} has no label number and name", file, number);
    names[label] = cells[name];
  }
  return names;
}

/// FreeSurferColorLUT.txt: number, name, colour; # comments.
RoiNames read_lut(std::istream& in, std::string const& file) {
  RoiNames names;
  std::string line, first, name;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    if (!(words >> first)) continue;
    std::int64_t label = 0;
    if (!whole_number(first, label) || !(words >> name))
      fail(Exit::data, "{}: line {} is not `NUMBER NAME …`", file, number);
    names[label] = name;
  }
  return names;
}

/// {"1": "V1"}, {"V1": 1} or [{"index": 1, "name": "V1"}].
RoiNames read_json(std::istream& in, std::string const& file) {
  auto json = nlohmann::json::parse(in, nullptr, false);
  if (json.is_discarded()) fail(Exit::data, "{} is not valid JSON", file);
  RoiNames names;
  std::int64_t label = 0;
  auto bad = [&](std::string const& what) { fail(Exit::data, "{}: {} is not a label number with a name", file, what); };
  if (json.is_object()) {
    for (auto const& [key, value] : json.items()) {
      if (value.is_string() && whole_number(key, label))
        names[label] = value.get<std::string>();
      else if (value.is_number_integer())
        names[value.get<std::int64_t>()] = key;
      else
        bad(key);
    }
  } else if (json.is_array()) {
    for (auto const& row : json) {
      if (!row.is_object() || !row.contains("index") || !row.contains("name") || !row["index"].is_number_integer() ||
          !row["name"].is_string())
        bad(row.dump());
      names[row["index"].get<std::int64_t>()] = row["name"].get<std::string>();
    }
  } else {
    bad("its content");
  }
  return names;
}

}  // namespace

RoisConfig ConfigType<RoisConfig>::read(YAML::Node const& node, ConfigPlace const& place) {
  RoisConfig rois;
  if (node.IsScalar()) {
    rois.image = path_of(node.Scalar(), place);
    return rois;
  }
  if (!node.IsMap()) config_error(place, "needs a label image, or {image: PATH, names: PATH or {NUMBER: NAME}}");
  for (auto const& entry : node) {
    std::string key = entry.first.Scalar();
    ConfigPlace here = place;
    here.key += "." + key;
    if (entry.first.Mark().line >= 0) here.line = entry.first.Mark().line + 1;
    YAML::Node const& value = entry.second;
    if (key == "image" && value.IsScalar()) {
      rois.image = path_of(value.Scalar(), place);
    } else if (key == "names" && value.IsScalar()) {
      rois.names_file = path_of(value.Scalar(), place);
    } else if (key == "names" && value.IsMap()) {
      for (auto const& name : value) {
        std::int64_t label = 0;
        if (!whole_number(name.first.Scalar(), label) || !name.second.IsScalar())
          config_error(here, "`" + name.first.Scalar() + "` is not a label number with a name");
        rois.names[label] = name.second.Scalar();
      }
    } else if (key == "image" || key == "names") {
      config_error(here, "has the wrong kind of value");
    } else {
      std::string near = nearest(key, {"image", "names"});
      config_error(here, "is no known key" +
                             (near.empty() ? std::string("; known: image, names") : "; did you mean " + near + "?"));
    }
  }
  if (rois.image.empty()) config_error(place, "names no image");
  return rois;
}

nlohmann::json ConfigType<RoisConfig>::write(RoisConfig const& rois) {
  if (rois.empty()) return nullptr;
  nlohmann::json json{{"image", rois.image.string()}};
  if (!rois.names_file.empty()) json["names"] = rois.names_file.string();
  for (auto const& [label, name] : rois.names) json["names"][std::to_string(label)] = name;
  return json;
}

std::string ConfigType<RoisConfig>::name() { return "path | {image: path, names: path | {number: name}}"; }

RoiNames read_roi_names(std::filesystem::path const& path) {
  std::ifstream in(path);
  if (!in) fail(Exit::no_input, "{} cannot be read ({}); check the path", path.string(), std::strerror(errno));
  std::string file = path.filename().string(), suffix = path.extension().string();
  if (suffix == ".tsv") return read_table(in, file, '\t');
  if (suffix == ".csv") return read_table(in, file, ',');
  if (suffix == ".json") return read_json(in, file);
  if (suffix == ".txt" || suffix == ".lut") return read_lut(in, file);
  fail(Exit::data, "{} is no known table of names (.tsv, .csv, .json, .txt)", file);
}

std::vector<Roi> load_rois(RoisConfig const& config, Space const& space, std::vector<std::uint64_t> const& index,
                           std::string const& key) {
  std::vector<Roi> rois;
  if (config.empty()) return rois;
  RoiNames names = config.names;
  if (!config.names_file.empty()) try {
      names = read_roi_names(config.names_file);
    } catch (Error const& error) {
      throw Error(error.code(), key + ".names: " + error.what());
    }
  auto labels = read_map(config.image, space, key, "label image");
  std::map<std::int64_t, std::vector<std::size_t>> targets;
  for (std::size_t i = 0; i < index.size(); ++i) {
    double value = labels.at(index[i]);
    if (value == 0 || std::isnan(value)) continue;
    if (value != std::floor(value) || std::abs(value) > 1e15)
      fail(Exit::data, "{}: {} holds {:g}, which is no label (whole numbers are needed)", key,
           config.image.filename().string(), value);
    targets[static_cast<std::int64_t>(value)].push_back(i);
  }
  std::map<std::string, int> uses;
  auto name_of = [&](std::int64_t label) {
    auto it = names.find(label);
    return it == names.end() || it->second.empty() ? std::to_string(label) : it->second;
  };
  for (auto const& [label, places] : targets) ++uses[name_of(label)];
  for (auto& [label, places] : targets) {
    std::string name = name_of(label);
    if (uses[name] > 1) name += fmt::format(" ({})", label);
    rois.push_back({name, label, std::move(places)});
  }
  if (rois.empty())
    fail(Exit::data, "{}: {} has no label on any target; check the label image and the mask", key,
         config.image.filename().string());
  return rois;
}

}  // namespace striate
