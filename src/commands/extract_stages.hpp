#pragma once
/// The way of each layer from the network to the store of `striate extract`: stages one after the other.
#include <functional>
#include <memory>
#include <vector>

#include "extract_config.hpp"
#include "extract_network.hpp"
#include "striate/math/layer_stage.hpp"
#include "striate/net/network.hpp"
#include "striate/store/act_store.hpp"

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

  LayerRecord record;  ///< of what the stages do, for the store
  std::string words;   ///< the same for people: "mask, pool mean"

 private:
  LayerShape captured_;
  std::vector<std::unique_ptr<LayerStage>> stages_;
  LayerShape stored_ = stages_.empty() ? captured_ : stages_.back()->output();
};

/// One path a layer, in the network's order: mask → pool → tokens → projection → PCA (`pca_sha256`: of its
/// file). Throws Error where a stage does
/// not fit its layer, or fits none.
[[nodiscard]] std::vector<LayerPath> make_paths(ExtractConfig const& config, ExtractNetwork const& network,
                                                UnitChoice const& units, std::string const& pca_sha256);

}  // namespace striate
