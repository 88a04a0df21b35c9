#include "convolve_work.hpp"

#include <algorithm>
#include <array>

namespace striate::convolve {

void weigh(BatchDesign const& design, MatrixView<float const> x, float* out) {
  constexpr std::size_t width = 32;  // units at a time: a panel of 100 stimuli stays in the cache
  std::size_t const blocks = design.weights.size(), units = x.cols;
  std::vector<std::array<double, width>> panel(x.rows);
  for (std::size_t first = 0; first < units; first += width) {
    std::size_t const w = std::min(width, units - first);
    for (std::size_t j = 0; j < w; ++j)
      for (std::size_t i = 0; i < x.rows; ++i) panel[i][j] = static_cast<double>(x(i, first + j));
    for (std::size_t b = 0; b < blocks; ++b)
      for (std::size_t v = 0; v < design.weights[b].size(); ++v) {
        std::array<double, width> sum{};
        for (auto const& [place, weight] : design.weights[b][v])
          for (std::size_t j = 0; j < width; ++j) sum[j] += weight * panel[place][j];
        float* const to = out + (v * blocks + b) * units + first;
        for (std::size_t j = 0; j < w; ++j) to[j] = static_cast<float>(sum[j]);
      }
  }
}

Work::Work(Design const& design, ActReader const& features, std::vector<std::string> const& layers, ActWriter& store,
           std::vector<std::size_t> order, std::size_t in_flight, std::size_t done_before)
    : design_(design),
      features_(features),
      layers_(layers),
      store_(store),
      order_(std::move(order)),
      in_flight_(in_flight),
      bar_("convolve", "batches", store.batches(), done_before) {
  read_ahead(2 * in_flight_);  // the first round, and the one that begins before the first is written
}

/// Only the main thread may read: it does so while a round is computed, for the round after it.
void Work::read_ahead(std::size_t batches) {
  for (std::size_t const end = std::min(next_ + batches, order_.size()); next_ < end; ++next_) {
    Batch batch;
    batch.design = design_.of_batch(order_[next_]);
    auto const& rows = batch.design.stimuli;
    for (auto const& layer : layers_) {
      std::size_t const units = features_.layer(layer).units;
      batch.x.emplace_back(std::max<std::size_t>(1, rows.size() * units));
      features_.read(layer, rows, 0, units, MatrixView<float>(batch.x.back().data(), rows.size(), units));
    }
    std::lock_guard const held(lock_);
    batches_[order_[next_]] = std::move(batch);
  }
}

Work::Batch& Work::at(std::size_t batch) {
  std::lock_guard const held(lock_);
  return batches_.at(batch);
}

void Work::compute(std::size_t number) {
  Batch& batch = at(number);
  std::size_t const blocks = batch.design.weights.size(), rows = store_.rows(number);
  std::vector<float> values;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    std::size_t const units = features_.layer(layers_[l]).units;
    values.resize(rows * blocks * units);
    weigh(batch.design, MatrixView<float const>(batch.x[l].data(), batch.design.stimuli.size(), units), values.data());
    batch.x[l] = {};
    batch.blocks.push_back(store_.encode(l, number, values.data()));
  }
}

void Work::write(std::span<std::size_t const> mine) {
  for (std::size_t number : mine) {
    for (auto& block : at(number).blocks) {
      store_.write_batch(block);
      if (block.overflow > 0)
        log::warn("layer {} has values beyond float16 (they become infinite); use dtype: float32", layers_[block.layer]);
      store_.recycle(std::move(block));
    }
    std::lock_guard const held(lock_);
    batches_.erase(number);
  }
  read_ahead(in_flight_);
}

}  // namespace striate::convolve
