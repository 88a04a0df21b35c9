// Folders of images as a table, and `stimuli:` of a config.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>

#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

std::string suffix_of(fs::path const& path) {
  std::string suffix = path.extension().string();
  std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return suffix;
}

class Walk {
 public:
  Walk(fs::path root, std::set<std::string> const& endings) : root_(std::move(root)), taken_(endings) { enter(root_); }
  std::vector<std::string> images;
  std::map<std::string, std::size_t> left_out;  ///< suffix → files
  bool has_folders = false;

 private:
  void enter(fs::path const& folder) {
    std::error_code code;
    if (!inside_.insert(fs::canonical(folder, code)).second) return;  // a link back up would never end
    fs::directory_iterator entries(folder, code);
    if (code) fail(Exit::no_input, "{} cannot be read ({})", folder.string(), code.message());
    for (auto const& entry : entries) {
      if (entry.path().filename().string().starts_with('.')) continue;  // ._a.jpg of macOS, .thumbnails
      if (entry.is_directory(code))
        enter(entry.path());
      else
        take(entry.path());
    }
    inside_.erase(fs::canonical(folder, code));
  }
  void take(fs::path const& file) {
    static std::set<std::string> const pictures{".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".avif", ".jp2"};
    std::string const suffix = suffix_of(file);
    if (taken_.contains(".png") && pictures.contains(suffix)) ++left_out[suffix];
    if (!taken_.contains(suffix)) return;
    images.push_back(file.lexically_relative(root_).string());
    has_folders = has_folders || images.back().find('/') != std::string::npos;
  }

  fs::path root_;
  std::set<std::string> const& taken_;
  std::set<fs::path> inside_;  ///< folders that are open above this place
};

}  // namespace

StimTable stim_table_of_folder(fs::path const& folder) { return stim_table_of_folder(folder, "image"); }

StimTable stim_table_of_folder(fs::path const& folder, std::string const& type) {
  static std::map<std::string, std::set<std::string>> const endings{
      {"image", {".jpg", ".jpeg", ".png"}},
      {"video_clip", {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"}},
      {"audio", {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}}};
  std::error_code code;
  if (!fs::is_directory(folder, code))
    fail(Exit::no_input, "{} {}; `folder:` needs a folder of images", folder.string(),
         fs::exists(folder, code) ? "is no folder" : "does not exist");
  StimTable table;
  table.file = folder;
  table.folder = fs::absolute(folder).lexically_normal();
  table.type = type;
  Walk walk(table.folder, endings.at(type));
  for (auto const& [suffix, files] : walk.left_out)
    log::warn("{}: {} {} left out, which striate does not read; convert to PNG or JPEG to take part", folder.string(),
              files, files == 1 ? suffix + " file is" : suffix + " files are");
  if (walk.images.empty() && type != "image")
    fail(Exit::no_input, "{} holds no file of type {}, nor do its sub-folders", folder.string(), type);
  if (walk.images.empty())
    fail(Exit::no_input, "{} holds no image (.jpg, .jpeg or .png), nor do its sub-folders", folder.string());
  std::ranges::sort(walk.images);
  table.columns = {"stimID"};
  if (walk.has_folders) {
    table.columns.emplace_back("label");
    table.values.resize(2);
    for (auto const& image : walk.images) {
      auto const slash = image.find('/');
      table.values[1].push_back(slash == std::string::npos ? "" : image.substr(0, slash));
    }
  }
  table.values.resize(table.columns.size());
  table.values[0] = std::move(walk.images);
  return table;
}

StimuliConfig ConfigType<StimuliConfig>::read(YAML::Node const& node, ConfigPlace const& place) {
  auto path_of = [&](YAML::Node const& value) {
    fs::path const path = value.Scalar();
    if (path.empty()) config_error(place, "names no file");
    return path.is_absolute() ? path : (place.base / path).lexically_normal();
  };
  if (node.IsScalar()) return {.path = path_of(node), .is_folder = false};
  if (!node.IsMap()) config_error(place, "needs a .stim.csv file, or {folder: DIR}");
  StimuliConfig stimuli;
  for (auto const& entry : node) {
    std::string const key = entry.first.Scalar();
    ConfigPlace here = place;
    here.key += "." + key;
    if (entry.first.Mark().line >= 0) here.line = entry.first.Mark().line + 1;
    if (key != "folder") config_error(here, "is no known key; known: folder");
    if (!entry.second.IsScalar()) config_error(here, "needs the path of a folder");
    stimuli = {.path = path_of(entry.second), .is_folder = true};
  }
  if (stimuli.empty()) config_error(place, "needs a .stim.csv file, or {folder: DIR}");
  return stimuli;
}

nlohmann::json ConfigType<StimuliConfig>::write(StimuliConfig const& stimuli) {
  if (stimuli.empty()) return nullptr;
  if (!stimuli.is_folder) return stimuli.path.string();
  return {{"folder", stimuli.path.string()}};
}

std::string ConfigType<StimuliConfig>::name() { return "path | {folder: path}"; }

StimTable load_stimuli(StimuliConfig const& config) {
  return config.is_folder ? stim_table_of_folder(config.path) : read_stim_table(config.path);
}

}  // namespace striate
