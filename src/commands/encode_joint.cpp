#include "encode_joint.hpp"

#include <algorithm>

#include "encode_delays.hpp"
#include "encode_partition.hpp"
#include "striate/base/error.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

/// Whether the model pools maps, channels of all layers together.
bool pools(Config const& config) {
  ModelRow const* const row = find_model(config.model.type);
  return row != nullptr && row->pools;
}

}  // namespace

bool joins(Config const& config) {
  ModelRow const* const row = find_model(config.model.type);
  return row != nullptr && row->joint;
}

void check_joint(Config const& config) {
  for (std::size_t i = 1; pools(config) && i < config.features.size(); ++i)
    if (config.features[i].transform.standardize != config.features[0].transform.standardize)
      fail(Exit::config, "features[{}].transform.standardize: differs from that of features[0]; {} needs one for all", i,
           config.model.type);
  if (!pools(config) && !config.partition) return;
  for (std::size_t i = 0; i < config.features.size(); ++i)
    if (config.features[i].transform.pca != 0)
      fail(Exit::config, "{}.transform.pca: {} takes the features of a band as they are; remove it",
           config.features.size() == 1 ? "features" : fmt::format("features[{}]", i),
           config.partition ? "partition" : "model.type " + config.model.type);
}

void join_layers(Config const& config, Inputs& inputs) {
  if (config.partition) return make_subsets(config, inputs);
  if (!joins(config)) return;
  bool const maps = std::ranges::any_of(inputs.layers, [](LayerInput const& l) { return l.map[1] * l.map[2] > 1; });
  if (pools(config) && !maps)
    fail(Exit::data,
         "features: no layer has maps of rows × columns, which model.type: {} pools; name convolutional layers that were "
         "extracted with pool: none",
         config.model.type);
  inputs.bands = std::move(inputs.layers);
  LayerInput joint{0, "", joint_name, 0};
  for (std::size_t b = 0; b < inputs.bands.size(); ++b) joint.units += inputs.bands[b].units, joint.parts.push_back(b);
  inputs.layers = {joint};
}

Transform transform_of(Config const& config, Inputs const& inputs, LayerInput const& layer) {
  if (layer.parts.empty()) return config.features[layer.store].transform;
  auto const scaled = [&](std::size_t b) { return config.features[inputs.bands[b].store].transform.standardize; };
  return {std::ranges::any_of(layer.parts, scaled), 0};
}

std::vector<Band> bands_of(Config const& config, Inputs const& inputs) {
  std::vector<Band> bands;
  std::size_t first = 0;
  for (std::size_t b = 0; joins(config) && b < inputs.bands.size(); ++b) {
    LayerInput const& band = inputs.bands[b];
    bands.push_back({band.name, first, band.units, config.features[band.store].transform.standardize});
    first += band.units;
  }
  return bands;
}

ModelOptions model_options(Config const& config, Inputs const& inputs) {
  ModelOptions o = model_options(config);
  for (std::size_t b = 0; joins(config) && b < inputs.bands.size(); ++b) {
    o.bands.push_back(inputs.bands[b].name);
    o.band_pca.push_back(config.features[inputs.bands[b].store].transform.pca);
    auto const& map = inputs.bands[b].map;
    o.maps.push_back({map[0], map[1], map[2]});
  }
  return o;
}

JointSource::JointSource(std::vector<std::unique_ptr<NodeSource>> parts) : parts_(std::move(parts)), first_{0} {
  for (auto const& part : parts_) first_.push_back(first_.back() + part->cols());
}

/// f(part, its first column, columns, where they belong among those asked for).
template <class F>
void JointSource::each(std::size_t first, std::size_t count, F const& f) const {
  for (std::size_t b = 0; b < parts_.size(); ++b) {
    std::size_t const low = std::max(first, first_[b]), end = std::min(first + count, first_[b + 1]);
    if (low < end) f(*parts_[b], low - first_[b], end - low, low - first);
  }
}

void JointSource::read(std::size_t first, std::size_t count, float* out) const {
  each(first, count, [&](NodeSource const& part, std::size_t from, std::size_t n, std::size_t at) {
    part.read(from, n, out + at * rows());
  });
}

void JointSource::read_alone(std::size_t first, std::size_t count, float* out) const {
  each(first, count, [&](NodeSource const& part, std::size_t from, std::size_t n, std::size_t at) {
    part.read_alone(from, n, out + at * rows());
  });
}

std::unique_ptr<NodeSource> open_source(Comm const& comm, Inputs const& inputs, LayerInput const& layer,
                                        std::vector<std::unique_ptr<ActReader>> const& stores, double room) {
  auto const one = [&](LayerInput l, double bytes) -> std::unique_ptr<NodeSource> {
    Lags const& lags = inputs.lags[l.store];
    if (lags.place.empty())
      return std::make_unique<LayerSource>(comm, *stores[l.store], l, inputs.store_rows[l.store], bytes);
    l.units /= lags.place.size() / inputs.n();
    return std::make_unique<DelayedSource>(std::make_unique<LayerSource>(comm, *stores[l.store], l, lags.rows, bytes),
                                           lags, inputs.n());
  };
  if (layer.parts.empty()) return one(layer, room);
  bool const kept = inputs.bytes_of(layer) <= room;
  std::vector<std::unique_ptr<NodeSource>> parts;
  for (std::size_t b : layer.parts) parts.push_back(one(inputs.bands[b], kept ? room : 0));
  return std::make_unique<JointSource>(std::move(parts));
}

}  // namespace striate::encode
