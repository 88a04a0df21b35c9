#include "striate/math/unit_selection.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <sstream>

#include "striate/base/error.hpp"

namespace striate {
namespace {

/// The list of a selection that goes with an axis of a layer.
SelectionAxis const* list_of(std::string const& axis) {
  std::string const name = axis == "feature" || axis == "unit" ? "channel" : axis;
  for (auto const& known : selection_axes())
    if (name == known.name && known.list != &UnitSelection::units) return &known;
  return nullptr;
}

std::vector<std::string> axes_of(LayerShape const& layer) {
  std::istringstream words(layer.axes);
  std::vector<std::string> axes;
  for (std::string word; words >> word;) axes.push_back(word);
  if (axes.size() != layer.shape.size())
    fail(Exit::internal, "a layer of {} axes has the names \"{}\"", layer.shape.size(), layer.axes);
  return axes;
}

std::vector<std::size_t> extended(std::vector<std::size_t> const& list, std::size_t extent) {
  if (!list.empty()) return list;
  std::vector<std::size_t> all(extent);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

/// Neighbours in the layer that are neighbours in the output.
struct Piece {
  std::size_t from, count;
};

void add(std::vector<Piece>& pieces, std::size_t from, std::size_t count) {
  if (!pieces.empty() && pieces.back().from + pieces.back().count == from)
    pieces.back().count += count;
  else
    pieces.push_back({from, count});
}

/// The units of axes [axis, …) below `from`, in C order.
void add_grid(std::vector<Piece>& pieces, std::vector<std::vector<std::size_t>> const& grid,
              std::vector<std::size_t> const& strides, std::size_t axis, std::size_t from) {
  for (std::size_t const index : grid[axis]) {
    std::size_t const here = from + index * strides[axis];
    if (axis + 1 == grid.size())
      add(pieces, here, 1);
    else
      add_grid(pieces, grid, strides, axis + 1, here);
  }
}

class Select final : public LayerStage {
 public:
  Select(LayerShape const& layer, UnitSelection const& selection) : in_units_(layer.units()), output_(layer) {
    if (!selection.units.empty()) {
      output_ = {{selection.units.size(), 1, 1}, "unit row column"};
      for (std::size_t const unit : selection.units) add(pieces_, unit, 1);
      return;
    }
    auto const grid = selected_indices(selection, layer);
    std::vector<std::size_t> strides(grid.size(), 1);
    for (std::size_t a = grid.size(); a-- > 1;) strides[a - 1] = strides[a] * layer.shape[a];
    for (std::size_t a = 0; a < grid.size(); ++a) output_.shape[a] = grid[a].size();
    add_grid(pieces_, grid, strides, 0, 0);
  }
  [[nodiscard]] LayerShape output() const override { return output_; }
  void apply(float const* in, std::size_t rows, float* out) const override {
    for (std::size_t r = 0; r < rows; ++r, in += in_units_)
      for (Piece const& piece : pieces_) {
        if (piece.count == 1)
          *out = in[piece.from];
        else
          std::memcpy(out, in + piece.from, piece.count * sizeof(float));
        out += piece.count;
      }
  }

 private:
  std::size_t in_units_;
  LayerShape output_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::vector<SelectionAxis> const& selection_axes() {
  static std::vector<SelectionAxis> const axes{
      {"chn", "channel", &UnitSelection::channels}, {"frm", "frame", &UnitSelection::frames},
      {"row", "row", &UnitSelection::rows},         {"col", "column", &UnitSelection::columns},
      {"tok", "token", &UnitSelection::tokens},     {"unit", "unit", &UnitSelection::units}};
  return axes;
}

std::optional<Misfit> misfit(UnitSelection const& selection, LayerShape const& layer) {
  auto const axes = axes_of(layer);
  auto const beyond = [](std::vector<std::size_t> const& list, std::size_t extent, char const* word,
                         std::string const& name) -> std::optional<Misfit> {
    for (std::size_t const index : list)
      if (index >= extent)
        return Misfit{word, fmt::format("asks for {} {}, but the layer has {} {}s", name, index + 1, extent, name)};
    return std::nullopt;
  };
  if (!selection.units.empty()) {
    if (UnitSelection rest = selection; rest.units.clear(), !rest.whole())
      return Misfit{"unit", "gives a list of units beside other axes; keep one of the two"};
    return beyond(selection.units, layer.units(), "unit", "unit");
  }
  for (auto const& known : selection_axes()) {
    auto const& list = selection.*known.list;
    if (list.empty()) continue;
    bool met = false;
    for (std::size_t a = 0; a < axes.size(); ++a) {
      auto const* const mine = list_of(axes[a]);
      if (mine == nullptr || mine->list != known.list) continue;
      met = true;
      if (auto const wrong = beyond(list, layer.shape[a], known.word, axes[a])) return wrong;
    }
    if (!met)
      return Misfit{known.word, fmt::format("selects {}s, but the axes of the layer are {}", known.name, layer.axes)};
  }
  return std::nullopt;
}

std::vector<std::vector<std::size_t>> selected_indices(UnitSelection const& selection, LayerShape const& layer) {
  auto const axes = axes_of(layer);
  std::vector<std::vector<std::size_t>> grid;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    auto const* const list = list_of(axes[a]);
    grid.push_back(extended(list != nullptr ? selection.*list->list : std::vector<std::size_t>(), layer.shape[a]));
  }
  return grid;
}

std::unique_ptr<LayerStage> select_stage(LayerShape const& layer, UnitSelection const& selection) {
  if (auto const wrong = misfit(selection, layer)) fail(Exit::data, "{}", wrong->what);
  return std::make_unique<Select>(layer, selection);
}

}  // namespace striate
