#pragma once
/// DNNBrain's .dmask.csv: which units of which layers. Not collective.
///
///   conv5=chn,row,col        the axes that are listed; a line of numbers from 1 for each, in this order
///   1,2,3
///   4,5
///   6,7,8
///   fc3=chn                  axes that are not listed: all of them
///   1,2,3
///   conv1=                   the whole layer
///   conv4=unit               beyond DNNBrain: any units, by their C-order position in the layer from 1
///   7,43264,12
///
/// Numbers may be unsorted and repeated. Beyond DNNBrain also: the axes frm (frame of a video layer) and tok (token;
/// chn is then its feature), ranges (1-96), lines of comments (#), CRLF, a byte order mark, spaces, trailing commas.
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "striate/math/unit_selection.hpp"

namespace striate {

struct MaskLayer {
  std::string name;
  UnitSelection selection;                                 ///< indices from 0
  std::size_t line = 0;                                    ///< of its name in the file; 0: of no file
  std::vector<std::pair<std::string, std::size_t>> lines;  ///< of its numbers, by the word of the axis
  /// "line 12", of the axis `word` (else of the name).
  [[nodiscard]] std::string place(std::string const& word) const;
};

struct UnitMask {
  std::filesystem::path file;
  std::vector<MaskLayer> layers;  ///< in order of the file, no name twice
  [[nodiscard]] MaskLayer const* find(std::string const& name) const;
};

/// Throws Error(Exit::no_input | Exit::data), naming file and line.
[[nodiscard]] UnitMask read_dmask(std::filesystem::path const& path);
/// As DNNBrain writes it, where only chn, row and col are used. Throws Error(Exit::io | Exit::cant_create |
/// Exit::data).
void write_dmask(std::filesystem::path const& path, UnitMask const& mask);

/// "3" or "4-8", from 1 → appended to `list` from 0. Returns what is wrong with it, or "".
[[nodiscard]] std::string read_indices(std::string_view text, std::vector<std::size_t>& list);

}  // namespace striate
