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
/// skipped, type=audio and type=array.
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "striate/base/config.hpp"

namespace striate {

struct StimTable {
  std::filesystem::path file;    ///< the .stim.csv, or the folder
  std::string type = "image";    ///< image | video | video_clip | audio | array
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
/// Every file of this type (image | video_clip | audio | array), by its suffix in any case, below `folder`, sorted by
/// the bytes of its path; hidden files are left out. Where there are sub-folders, the name of the first one on an
/// image's path becomes the column `label`, as in torchvision's ImageFolder. Throws Error(Exit::no_input).
[[nodiscard]] StimTable stim_table_of_folder(std::filesystem::path const& folder, std::string const& type = "image");
/// ".jpg" …, of a type that a folder may hold.
[[nodiscard]] std::vector<std::string> const& stimulus_suffixes(std::string const& type);
/// In DNNBrain's form: `path=` is absolute, because DNNBrain takes it as relative to where it runs; fields are quoted
/// only where they must be. Throws Error(Exit::io | Exit::cant_create), Error(Exit::data) where a field holds a line
/// end.
void write_stim_table(std::filesystem::path const& path, StimTable const& table);

/// `stimuli:` of a config: a path, or {table: F}, {folder: DIR}, {hdf5: "f.h5:/data"}, {npy: f.npy}.
struct StimuliConfig {
  std::filesystem::path path;
  bool is_folder = false;
  bool is_npy = false;
  std::string dataset;  ///< of hdf5, else empty
  std::string ids;      ///< of hdf5: the dataset that names the rows; empty: the usual one, or 1 … n
  std::string type;     ///< of folder: image (also where empty) | video_clip | audio | array
  double window = 0;    ///< of table and folder: seconds of each piece that a video or sound is cut into; 0: whole
  double step = 0;      ///< seconds from the start of a piece to that of the next
  [[nodiscard]] bool is_array() const { return is_npy || !dataset.empty(); }
  [[nodiscard]] bool empty() const { return path.empty(); }
};
template <>
struct ConfigType<StimuliConfig> {
  static StimuliConfig read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(StimuliConfig const& stimuli);
  static std::string name();
};
/// Of hdf5 and npy the rows' names alone. Main thread.
[[nodiscard]] StimTable load_stimuli(StimuliConfig const& config);
/// A row for each piece of `length` seconds of each row's video or sound, between its start and end: `a.mp4#1`,
/// `a.mp4#2` … with columns file, start, end; `onset` is moved on and `duration` is the piece's, where the table has
/// them. A rest that is shorter than a piece is left out. Throws Error(Exit::no_input | Exit::data).
[[nodiscard]] StimTable cut_into_windows(StimTable const& table, double length, double step);

}  // namespace striate
