// `stimuli:` of a config.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>

#include "frame_table.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/stim_table.hpp"
#include "striate/store/row_array.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr char const* forms =
    "needs a .stim.csv file, {table: FILE}, {folder: DIR}, {video: FILE, every: SECONDS}, {hdf5: \"FILE:/DATASET\"} or "
    "{npy: FILE}";

fs::path path_of(std::string const& text, ConfigPlace const& place) {
  fs::path const path = text;
  if (path.empty()) config_error(place, "names no file");
  return path.is_absolute() ? path : (place.base / path).lexically_normal();
}

double seconds_of(YAML::Node const& node, ConfigPlace const& place) {
  try {
    double const seconds = node.as<double>();
    if (seconds > 0 && std::isfinite(seconds)) return seconds;
  } catch (YAML::Exception const&) {
  }
  config_error(place, "must be a number of seconds above 0");
}

/// One `{key: value …}`.
class FormReader {
 public:
  explicit FormReader(ConfigPlace place) : place_(std::move(place)) {}

  StimuliConfig read(YAML::Node const& node) {
    static std::vector<std::string> const known{"table", "folder", "video", "every", "hdf5",
                                                "npy",   "ids",    "type",  "window"};
    for (auto const& entry : node) {
      std::string const key = entry.first.Scalar();
      ConfigPlace here = at(place_, key, entry.first);
      if (std::ranges::find(known, key) == known.end()) {
        std::string const near = nearest(key, known);
        std::string listed;
        for (auto const& k : known) listed += (listed.empty() ? "" : ", ") + k;
        config_error(
            here, near.empty() ? "is no known key; known: " + listed : "is no known key; did you mean `" + near + "`?");
      }
      if (key == "window")
        read_window(entry.second, here);
      else if (key == "every")
        every_ = seconds_of(entry.second, here);
      else if (!entry.second.IsScalar())
        config_error(here, "needs one word or path");
      else
        read_key(key, entry.second.Scalar(), here);
    }
    check();
    if (is_video_) out_.type = "video", out_.window = out_.step = every_;
    return out_;
  }

 private:
  static ConfigPlace at(ConfigPlace place, std::string const& key, YAML::Node const& node) {
    place.key += "." + key;
    if (node.Mark().line >= 0) place.line = node.Mark().line + 1;
    return place;
  }
  void read_key(std::string const& key, std::string const& value, ConfigPlace const& here) {
    if (key == "ids") {
      out_.ids = value;
    } else if (key == "type") {
      static std::vector<std::string> const types{"image", "video_clip", "audio", "array"};
      if (std::ranges::find(types, value) == types.end())
        config_error(here, "`" + value + "` is none of image | video_clip | audio | array");
      out_.type = value;
    } else {
      if (!out_.empty()) config_error(here, "stands beside another list of stimuli; keep one");
      read_place(key, value, here);
    }
  }
  void read_place(std::string const& key, std::string const& value, ConfigPlace const& here) {
    out_.is_folder = key == "folder", out_.is_npy = key == "npy", is_video_ = key == "video";
    if (key != "hdf5") {
      out_.path = path_of(value, here);
      return;
    }
    auto const colon = value.rfind(":/");
    if (colon == std::string::npos || colon == 0 || colon + 2 >= value.size())
      config_error(here, "needs a file and a dataset in it: \"images.h5:/data\"");
    out_.path = path_of(value.substr(0, colon), here);
    out_.dataset = value.substr(colon + 2);
  }
  void read_window(YAML::Node const& node, ConfigPlace const& here) {
    if (!node.IsMap()) config_error(here, "must be {length: SECONDS, step: SECONDS}");
    for (auto const& entry : node) {
      std::string const key = entry.first.Scalar();
      ConfigPlace const inner = at(here, key, entry.first);
      if (key != "length" && key != "step") config_error(inner, "is no known key; known: length, step");
      (key == "length" ? out_.window : out_.step) = seconds_of(entry.second, inner);
    }
    if (out_.window == 0) config_error(here, "needs `length`: the seconds of a window");
    if (out_.step == 0) out_.step = out_.window;
  }
  void check() const {
    if (out_.empty()) config_error(place_, forms);
    if (!out_.ids.empty() && out_.dataset.empty()) config_error(place_, "has `ids`, which goes with `hdf5` alone");
    if (!out_.type.empty() && !out_.is_folder) config_error(place_, "has `type`, which goes with `folder` alone");
    if (is_video_ != (every_ > 0)) config_error(place_, "needs `video` and `every` together, or neither");
    if (out_.window > 0 && (out_.is_array() || is_video_))
      config_error(place_, "has `window`, which goes with `table` and `folder`");
  }

  ConfigPlace place_;
  StimuliConfig out_;
  bool is_video_ = false;
  double every_ = 0;
};

}  // namespace

StimuliConfig ConfigType<StimuliConfig>::read(YAML::Node const& node, ConfigPlace const& place) {
  if (node.IsScalar()) {
    StimuliConfig stimuli;
    stimuli.path = path_of(node.Scalar(), place);
    return stimuli;
  }
  if (!node.IsMap()) config_error(place, forms);
  return FormReader(place).read(node);
}

nlohmann::json ConfigType<StimuliConfig>::write(StimuliConfig const& stimuli) {
  if (stimuli.empty()) return nullptr;
  nlohmann::json json;
  if (stimuli.type == "video") return {{"video", stimuli.path.string()}, {"every", stimuli.window}};
  if (!stimuli.dataset.empty())
    json["hdf5"] = stimuli.path.string() + ":/" + stimuli.dataset;
  else
    json[stimuli.is_folder ? "folder" : stimuli.is_npy ? "npy" : "table"] = stimuli.path.string();
  if (!stimuli.ids.empty()) json["ids"] = stimuli.ids;
  if (!stimuli.type.empty()) json["type"] = stimuli.type;
  if (stimuli.window > 0) json["window"] = {{"length", stimuli.window}, {"step", stimuli.step}};
  if (json.size() == 1 && json.contains("table")) return stimuli.path.string();
  return json;
}

std::string ConfigType<StimuliConfig>::name() {
  return "path | {table: path} | {folder: path} | {video: path, every: s} | {hdf5: path:/dataset} | {npy: path}";
}

StimTable load_stimuli(StimuliConfig const& config) {
  if (config.is_array()) {
    StimTable table;
    table.file = config.path, table.type = "array";
    table.columns = {"stimID"}, table.values.resize(1);
    if (config.is_npy) {
      std::size_t const rows = open_npy_rows(config.path)->rows();
      for (std::size_t r = 0; r < rows; ++r) table.values[0].push_back(std::to_string(r + 1));
    } else {
      table.values[0] = h5_row_names(config.path, config.ids, open_h5_rows(config.path, config.dataset)->rows());
    }
    return table;
  }
  if (config.type == "video") return frames_of_video(config.path, config.window);
  StimTable table = config.is_folder ? stim_table_of_folder(config.path, config.type.empty() ? "image" : config.type)
                                     : read_stim_table(config.path);
  return config.window > 0 ? cut_into_windows(table, config.window, config.step) : table;
}

}  // namespace striate
