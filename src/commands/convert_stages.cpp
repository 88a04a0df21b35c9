#include "convert_stages.hpp"

#include <algorithm>

#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/math/pool_stage.hpp"
#include "striate/stimuli/dmask.hpp"

namespace striate::convert {
namespace {

template <class F>
void each(std::vector<std::vector<float>>& operands, std::optional<double> number, F const& f) {
  auto& a = operands[0];
  if (number) {
    for (float& v : a) v = static_cast<float>(f(static_cast<double>(v), *number));
    return;
  }
  auto const& b = operands[1];
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(f(static_cast<double>(a[i]), static_cast<double>(b[i])));
}

SpacePool pool_named(std::string const& pool, bool dnnbrain) {
  if (pool == "max") return SpacePool::max;
  if (pool == "mean") return SpacePool::mean;
  if (pool == "median") return SpacePool::median;
  if (pool == "l1") return dnnbrain ? SpacePool::column_sum : SpacePool::l1;
  return dnnbrain ? SpacePool::spectral : SpacePool::l2;
}

/// Appends the stage, and `what` to the record of what was done to the layer.
void add(OutputLayer& layer, std::shared_ptr<LayerStage const> stage, nlohmann::ordered_json const& what) {
  auto const out = stage->output();
  auto& known = layer.spec.record.attributes;
  if (!known.contains("full_shape")) {
    std::string shape;
    for (std::size_t const extent : layer.spec.shape) shape += (shape.empty() ? "" : " ") + std::to_string(extent);
    known["full_shape"] = shape, known["full_axes"] = layer.spec.axes;
  }
  auto steps = nlohmann::ordered_json::parse(known.contains("stages") ? known["stages"] : "[]", nullptr, false);
  if (!steps.is_array()) steps = nlohmann::ordered_json::array();
  steps.push_back(what);
  known["stages"] = steps.dump();
  layer.spec.shape = out.shape, layer.spec.axes = out.axes;
  layer.stages.push_back(std::move(stage));
}

/// Indices of the full layer that are kept, after a selection of what a selection before had kept.
void note_selection(LayerRecord& record, UnitSelection const& selection) {
  auto const before = [&](std::string const& axis) {
    return std::ranges::find(record.selected, axis, [](auto const& s) { return s.first; });
  };
  bool const units_before = before("unit") != record.selected.end();
  if (!selection.units.empty() && !units_before && !record.selected.empty()) {
    record.selected.clear();  // places in what was a grid: not said
    return;
  }
  for (auto const& axis : selection_axes()) {
    auto const& list = selection.*axis.list;
    if (list.empty()) continue;
    std::string const name = units_before ? "unit" : axis.name;
    auto const at = before(name);
    std::vector<std::uint64_t> kept;
    for (std::size_t const i : list) kept.push_back(at == record.selected.end() ? i : at->second.at(i));
    if (at == record.selected.end())
      record.selected.emplace_back(name, std::move(kept));
    else
      at->second = std::move(kept);
    if (units_before) return;
  }
}

/// Keeps the layers that the mask names, in its order.
void add_mask(UnitMask const& mask, std::vector<OutputLayer>& layers) {
  std::string const file = mask.file.filename().string();
  std::vector<OutputLayer> kept;
  for (auto const& one : mask.layers) {
    auto const at = std::ranges::find(layers, one.name, [](auto const& l) { return l.spec.name; });
    if (at == layers.end()) {
      std::vector<std::string> names;
      for (auto const& l : layers) names.push_back(l.spec.name);
      std::string const near = nearest(one.name, names);
      fail(Exit::data, "mask: {} {} names the layer {}, which the input lacks{}", file, one.place(""), one.name,
           near.empty() ? "" : "; did you mean `" + near + "`?");
    }
    LayerShape const shape{at->spec.shape, at->spec.axes};
    if (auto const wrong = misfit(one.selection, shape))
      fail(Exit::data, "mask: {} {}: {} {}", file, one.place(wrong->word), one.name, wrong->what);
    if (!one.selection.whole()) {
      nlohmann::ordered_json what{{"stage", "mask"}};
      for (auto const& axis : selection_axes())
        if (auto const& list = one.selection.*axis.list; !list.empty()) what[axis.name] = list.size();
      add(*at, select_stage(shape, one.selection), what);
      note_selection(at->spec.record, one.selection);
    }
    kept.push_back(std::move(*at));
    layers.erase(at);
  }
  layers = std::move(kept);
}

}  // namespace

std::size_t calculate(std::string const& operation, std::vector<std::vector<float>>& operands,
                      std::optional<double> number) {
  if (operation == "add") each(operands, number, [](double a, double b) { return a + b; });
  if (operation == "subtract") each(operands, number, [](double a, double b) { return a - b; });
  if (operation == "multiply") each(operands, number, [](double a, double b) { return a * b; });
  if (operation != "divide") return 0;
  std::size_t zeros = 0;
  if (number)
    zeros = *number == 0 ? operands[0].size() : 0;
  else
    zeros = static_cast<std::size_t>(std::ranges::count(operands[1], 0.0F));
  each(operands, number, [](double a, double b) { return a / b; });
  return zeros;
}

void add_stages(Config const& config, std::vector<OutputLayer>& layers) {
  if (config.mask) add_mask(read_dmask(*config.mask), layers);
  if (config.pool == "none") return;
  bool const dnnbrain = config.compat == "dnnbrain";
  PoolOptions const options{pool_named(config.pool, dnnbrain), false, dnnbrain};
  std::string const what = !dnnbrain ? config.pool : config.pool == "l1" ? "column_sum" : "spectral";
  std::size_t pooled = 0;
  for (auto& layer : layers)
    if (std::shared_ptr<LayerStage const> stage = pool_stage({layer.spec.shape, layer.spec.axes}, options)) {
      add(layer, std::move(stage), {{"stage", "pool"}, {"of", what}, {"over", "space"}});
      ++pooled;
    }
  if (pooled == 0) log::warn("pool: no layer has rows and columns; nothing is pooled");
}

}  // namespace striate::convert
