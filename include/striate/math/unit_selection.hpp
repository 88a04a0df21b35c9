#pragma once
/// Which units of a layer are kept. Pure.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/math/layer_stage.hpp"

namespace striate {

/// Indices from 0, in any order, repeats allowed; an empty list means all of that axis. Lists of several axes make a
/// product grid, as numpy.ix_. `channels` are the channels of a map, the features of a fully connected layer or of
/// tokens. `units` are C-order positions in the layer, and stand alone.
struct UnitSelection {
  std::vector<std::size_t> channels, frames, rows, columns, tokens, units;
  [[nodiscard]] bool whole() const { return channels.empty() && only_channels() && units.empty(); }
  /// Channels are kept or dropped whole, so that pooling over space may come first.
  [[nodiscard]] bool only_channels() const {
    return frames.empty() && rows.empty() && columns.empty() && tokens.empty() && units.empty();
  }
  bool operator==(UnitSelection const&) const = default;
};

/// A word of .dmask.csv for each list of a selection: chn, frm, row, col, tok, unit, in this order.
struct SelectionAxis {
  char const* word;  ///< "chn"
  char const* name;  ///< "channel"
  std::vector<std::size_t> UnitSelection::*list;
};
[[nodiscard]] std::vector<SelectionAxis> const& selection_axes();

/// Why a selection does not fit a layer: the word of the list at fault, and "asks for channel 300, but the layer has
/// 256 channels".
struct Misfit {
  std::string word, what;
};
[[nodiscard]] std::optional<Misfit> misfit(UnitSelection const& selection, LayerShape const& layer);

/// For each axis of the layer the indices that a selection without `units` keeps (all where its list is empty).
[[nodiscard]] std::vector<std::vector<std::size_t>> selected_indices(UnitSelection const& selection,
                                                                     LayerShape const& layer);

/// Keeps the selected units. A product grid keeps the layer's axes with shorter extents; a list of units becomes
/// {units, 1, 1}, "unit row column". Throws Error(Exit::data) with the text of a misfit.
[[nodiscard]] std::unique_ptr<LayerStage> select_stage(LayerShape const& layer, UnitSelection const& selection);

}  // namespace striate
