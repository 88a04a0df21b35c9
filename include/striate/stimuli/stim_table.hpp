#pragma once
/// DNNBrain's .stim.csv, and folders of images as one. Not collective.
///
///   type=image
///   path=images                       (relative to the file)
///   data=stimID,label,onset
///   a.jpg,1,0.5
///
/// Beyond DNNBrain: values of header lines may hold `=`, any column may hold text or be empty, fields may be quoted
/// ("a, b" with "" for a quote), spaces around fields do not count, lines may end in CRLF, a UTF-8 byte order mark is
/// skipped, type=audio.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "striate/base/config.hpp"

namespace striate {

struct StimTable {
  std::filesystem::path file;    ///< the .stim.csv, or the folder
  std::string type = "image";    ///< image | video | video_clip | audio
  std::filesystem::path folder;  ///< where the stimulus files lie (of type video: the file itself), absolute
  std::vector<std::pair<std::string, std::string>> header;  ///< other header lines, in order
  std::vector<std::string> columns;                         ///< the first is stimID
  std::vector<std::vector<std::string>> values;             ///< [column][row], as text
  [[nodiscard]] std::size_t rows() const { return values.empty() ? 0 : values[0].size(); }
  /// May repeat.
  [[nodiscard]] std::vector<std::string> const& ids() const { return values[0]; }
  [[nodiscard]] bool has(std::string const& column) const;
  /// Throws Error(Exit::data) "images.stim.csv has no column `sesion`; did you mean `session`? (…)".
  [[nodiscard]] std::vector<std::string> const& column(std::string const& name) const;
  [[nodiscard]] std::filesystem::path file_of(std::size_t row) const { return folder / ids()[row]; }
};

/// Throws Error(Exit::no_input | Exit::data), naming file and line.
[[nodiscard]] StimTable read_stim_table(std::filesystem::path const& path);
/// Every image (.jpg .jpeg .png, in any case) below `folder`, sorted by the bytes of its path; hidden files are left
/// out. Where there are sub-folders, the name of the first one on an image's path becomes the column `label`, as in
/// torchvision's ImageFolder. Throws Error(Exit::no_input).
[[nodiscard]] StimTable stim_table_of_folder(std::filesystem::path const& folder);
/// The same of files of another `type`: video_clip, audio.
[[nodiscard]] StimTable stim_table_of_folder(std::filesystem::path const& folder, std::string const& type);
/// In DNNBrain's form: `path=` is absolute, because DNNBrain takes it as relative to where it runs; fields are quoted
/// only where they must be. Throws Error(Exit::io | Exit::cant_create), Error(Exit::data) where a field holds a line
/// end.
void write_stim_table(std::filesystem::path const& path, StimTable const& table);

/// `stimuli:` of a config: a path, or {folder: DIR}.
struct StimuliConfig {
  std::filesystem::path path;
  bool is_folder = false;
  [[nodiscard]] bool empty() const { return path.empty(); }
};
template <>
struct ConfigType<StimuliConfig> {
  static StimuliConfig read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(StimuliConfig const& stimuli);
  static std::string name();
};
[[nodiscard]] StimTable load_stimuli(StimuliConfig const& config);

}  // namespace striate
