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

void add(OutputLayer& layer, std::shared_ptr<LayerStage const> stage) {
  auto const out = stage->output();
  layer.spec.shape = out.shape, layer.spec.axes = out.axes;
  layer.stages.push_back(std::move(stage));
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
    if (!one.selection.whole()) add(*at, select_stage(shape, one.selection));
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
  std::size_t pooled = 0;
  for (auto& layer : layers)
    if (std::shared_ptr<LayerStage const> stage = pool_stage({layer.spec.shape, layer.spec.axes}, options)) {
      add(layer, std::move(stage));
      ++pooled;
    }
  if (pooled == 0) log::warn("pool: no layer has rows and columns; nothing is pooled");
}

}  // namespace striate::convert
