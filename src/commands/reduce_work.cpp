#include "reduce_work.hpp"

#include <algorithm>

namespace striate::reduce {

Work::Work(std::vector<Reduced> const& layers, ActReader const& features, ActWriter& store,
           std::vector<std::size_t> order, std::size_t in_flight, std::size_t done_before)
    : layers_(layers),
      features_(features),
      store_(store),
      order_(std::move(order)),
      in_flight_(in_flight),
      bar_("reduce", "batches", store.batches(), done_before) {
  read_ahead(2 * in_flight_);  // the first round, and the one that begins before the first is written
}

/// Only the main thread may read: it does so while a round is computed, for the round after it.
void Work::read_ahead(std::size_t batches) {
  for (std::size_t const end = std::min(next_ + batches, order_.size()); next_ < end; ++next_) {
    std::size_t const batch = order_[next_], rows = store_.rows(batch);
    std::vector<Buffer<float>> values;
    for (auto const& layer : layers_) {
      values.emplace_back(std::max<std::size_t>(1, rows * layer.units));
      features_.read_rows(layer.name, store_.first_row(batch), rows, values.back().data());
    }
    read_.give(batch, std::move(values));
  }
}

void Work::compute(std::size_t batch) {
  auto values = read_.take(batch);
  std::size_t const rows = store_.rows(batch);
  std::vector<ActBlock> blocks;
  std::vector<float> out;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    out.resize(std::max<std::size_t>(1, rows * layers_[l].stage->output().units()));
    layers_[l].stage->apply(values[l].data(), rows, out.data());
    values[l] = {};
    blocks.push_back(store_.encode(l, batch, out.data()));
  }
  made_.give(batch, std::move(blocks));
}

void Work::write(std::span<std::size_t const> mine) {
  for (std::size_t const batch : mine)
    for (auto& block : made_.take(batch)) {
      store_.write_batch(block);
      if (block.overflow > 0)
        log::warn("layer {} has values beyond float16 (they become infinite); use dtype: float32",
                  layers_[block.layer].name);
      store_.recycle(std::move(block));
    }
  read_ahead(in_flight_);
}

}  // namespace striate::reduce
