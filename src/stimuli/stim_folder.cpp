// Folders of stimuli as a table.
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
  Walk(fs::path root, std::string type) : root_(std::move(root)), type_(std::move(type)) { enter(root_); }
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
    auto const& taken = stimulus_suffixes(type_);
    std::string const suffix = suffix_of(file);
    if (type_ == "image" && pictures.contains(suffix)) ++left_out[suffix];
    if (std::ranges::find(taken, suffix) == taken.end()) return;
    images.push_back(file.lexically_relative(root_).string());
    has_folders = has_folders || images.back().find('/') != std::string::npos;
  }

  fs::path root_;
  std::string type_;
  std::set<fs::path> inside_;  ///< folders that are open above this place
};

}  // namespace

std::vector<std::string> const& stimulus_suffixes(std::string const& type) {
  static std::map<std::string, std::vector<std::string>> const known{
      {"image", {".jpg", ".jpeg", ".png"}},
      {"video_clip", {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv"}},
      {"audio", {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"}},
      {"array", {".npy"}}};
  return known.at(type);
}

StimTable stim_table_of_folder(fs::path const& folder, std::string const& type) {
  std::error_code code;
  if (!fs::is_directory(folder, code))
    fail(Exit::no_input, "{} {}; `folder:` needs a folder of images", folder.string(),
         fs::exists(folder, code) ? "is no folder" : "does not exist");
  StimTable table;
  table.type = type;
  table.file = folder;
  table.folder = fs::absolute(folder).lexically_normal();
  Walk walk(table.folder, type);
  for (auto const& [suffix, files] : walk.left_out)
    log::warn("{}: {} {} left out, which striate does not read; convert to PNG or JPEG to take part", folder.string(),
              files, files == 1 ? suffix + " file is" : suffix + " files are");
  if (walk.images.empty()) {
    auto const& suffixes = stimulus_suffixes(type);
    std::string listed;
    for (std::size_t i = 0; i < suffixes.size(); ++i)
      listed += (i == 0 ? "" : i + 1 == suffixes.size() ? " or " : ", ") + suffixes[i];
    fail(Exit::no_input, "{} holds no {} ({}), nor do its sub-folders", folder.string(),
         type == "video_clip" ? "video" : type, listed);
  }
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

}  // namespace striate
