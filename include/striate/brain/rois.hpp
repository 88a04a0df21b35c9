#pragma once
/// `rois:` of a config: named sets of targets from a label image.
///
///   rois: labels.nii.gz                                   # names are the label numbers
///   rois: {image: labels.nii.gz, names: labels.tsv}       # BIDS dseg.tsv | .json | .csv | FreeSurfer LUT .txt
///   rois: {image: labels.nii.gz, names: {1: V1, 2: V2}}
/// Of array responses the image is a 1-D .npy (or "f.h5:/dataset") of integer labels, one per column.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/brain/space.hpp"

namespace striate {

using RoiNames = std::map<std::int64_t, std::string>;

struct RoisConfig {
  std::filesystem::path image;       ///< empty: no ROIs
  std::filesystem::path names_file;  ///< empty: none
  RoiNames names;                    ///< inline mapping
  [[nodiscard]] bool empty() const { return image.empty(); }
};

/// As a setting: s("rois", config.rois, {.doc = …}) with `RoisConfig rois;`.
template <>
struct ConfigType<RoisConfig> {
  static RoisConfig read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(RoisConfig const& rois);
  static std::string name();
};

struct Roi {
  std::string name;
  std::int64_t label = 0;
  std::vector<std::size_t> targets;  ///< positions in Responses::index(), ascending
};

/// ROIs that hold at least one target, by ascending label; label 0 is none. Names missing in the table are the
/// numbers; a name that several labels share gets " (LABEL)". Throws Error(Exit::data) for another grid or labels that
/// are not whole numbers.
/// `index`: flat indices of the targets in `space`. Not collective.
[[nodiscard]] std::vector<Roi> load_rois(RoisConfig const& config, Space const& space,
                                         std::vector<std::uint64_t> const& index, std::string const& key = "rois");

/// Reads a table of label names by its suffix (.tsv, .csv, .json, .txt). Throws Error(Exit::data | Exit::no_input).
[[nodiscard]] RoiNames read_roi_names(std::filesystem::path const& path);

}  // namespace striate
