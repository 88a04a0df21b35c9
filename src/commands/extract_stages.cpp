#include "extract_stages.hpp"

#include <algorithm>

namespace striate {

void LayerPath::apply(float const* values, std::size_t rows, std::function<void(float const*)> const& sink) const {
  std::vector<float> from, to;
  for (auto const& stage : stages_) {
    to.resize(rows * stage->output().units());
    stage->apply(values, rows, to.data());
    from.swap(to);
    values = from.data();
  }
  sink(values);
}

double LayerPath::work_bytes(std::size_t rows) const {
  double most = 0;
  std::size_t before = 0;
  for (auto const& stage : stages_) {
    std::size_t const after = stage->output().units();
    most = std::max(most, 4.0 * static_cast<double>(rows * (before + after)) + stage->work_bytes(rows));
    before = after;
  }
  return most;
}

std::vector<LayerPath> make_paths(ExtractConfig const&, std::vector<CapturedLayer> const& layers) {
  std::vector<LayerPath> paths;
  for (auto const& layer : layers) {
    std::vector<std::unique_ptr<LayerStage>> stages;
    paths.emplace_back(LayerShape{layer.shape, layer.axes}, std::move(stages));
  }
  return paths;
}

}  // namespace striate
