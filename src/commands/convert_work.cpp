#include "convert_work.hpp"

#include <algorithm>

namespace striate::convert {

Work::Work(Recipe const& recipe, ActWriter& store, std::vector<std::size_t> order, std::size_t in_flight,
           std::size_t done_before)
    : recipe_(recipe),
      store_(store),
      order_(std::move(order)),
      in_flight_(in_flight),
      bar_("convert", "batches", store.batches(), done_before) {
  read_ahead(2 * in_flight_);  // the first round, and the one that begins before the first is written
}

/// Only the main thread may read: it does so while a round is computed, for the round after it.
void Work::read_ahead(std::size_t batches) {
  for (std::size_t const end = std::min(next_ + batches, order_.size()); next_ < end; ++next_) {
    std::size_t const number = order_[next_], rows = store_.rows(number), first = store_.first_row(number);
    Batch batch;
    batch.operands.resize(recipe_.layers.size());
    for (std::size_t l = 0; l < recipe_.layers.size(); ++l) {
      batch.operands[l].resize(recipe_.layers[l].operands.size());
      for (std::size_t o = 0; o < batch.operands[l].size(); ++o)
        read_operand(recipe_, recipe_.layers[l], o, first, rows, batch.operands[l][o]);
    }
    std::lock_guard const held(lock_);
    batches_[number] = std::move(batch);
  }
}

Work::Batch& Work::at(std::size_t batch) {
  std::lock_guard const held(lock_);
  return batches_.at(batch);
}

void Work::compute(std::size_t number) {
  Batch& batch = at(number);
  std::size_t const rows = store_.rows(number);
  std::vector<float> values;
  for (std::size_t l = 0; l < recipe_.layers.size(); ++l) {
    batch.zeros += apply(recipe_, recipe_.layers[l], batch.operands[l], rows, values);
    batch.operands[l] = {};
    batch.blocks.push_back(store_.encode(l, number, values.data()));
  }
}

void Work::write(std::span<std::size_t const> mine) {
  for (std::size_t number : mine) {
    Batch& batch = at(number);
    for (auto& block : batch.blocks) {
      store_.write_batch(block);
      if (block.overflow > 0)
        log::warn("layer {} has values beyond float16 (they become infinite); use dtype: float32",
                  recipe_.layers[block.layer].spec.name);
      store_.recycle(std::move(block));
    }
    for (std::size_t row = store_.first_row(number);
         !recipe_.skipped.empty() && row < store_.first_row(number) + store_.rows(number); ++row)
      if (recipe_.skipped[row] != 0) store_.write_skipped(row, static_cast<Skipped>(recipe_.skipped[row]));
    zeros_ += batch.zeros;
    std::lock_guard const held(lock_);
    batches_.erase(number);
  }
  read_ahead(in_flight_);
}

}  // namespace striate::convert
