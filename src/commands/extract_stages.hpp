#pragma once
/// The way of each layer from the network to the store of `striate extract`: stages one after the other.
#include <functional>
#include <memory>
#include <vector>

#include "extract_config.hpp"
#include "striate/math/layer_stage.hpp"
#include "striate/net/network.hpp"

namespace striate {

class LayerPath {
 public:
  LayerPath(LayerShape captured, std::vector<std::unique_ptr<LayerStage>> stages)
      : captured_(std::move(captured)), stages_(std::move(stages)) {}
  [[nodiscard]] LayerShape const& stored() const { return stored_; }
  /// values: rows × units as captured → `sink` (rows × units as stored), valid during the call. Thread-safe.
  void apply(float const* values, std::size_t rows, std::function<void(float const*)> const& sink) const;
  /// Bytes that the stages of a batch take beside what was captured.
  [[nodiscard]] double work_bytes(std::size_t rows) const;

 private:
  LayerShape captured_;
  std::vector<std::unique_ptr<LayerStage>> stages_;
  LayerShape stored_ = stages_.empty() ? captured_ : stages_.back()->output();
};

/// One path a layer, in the network's order. Throws Error where a stage does not fit its layer.
[[nodiscard]] std::vector<LayerPath> make_paths(ExtractConfig const& config, std::vector<CapturedLayer> const& layers);

}  // namespace striate
