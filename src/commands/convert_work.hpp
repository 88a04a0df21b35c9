#pragma once
/// The batches of `striate convert`: read ahead, worked on, written to the store.
#include <map>
#include <mutex>
#include <vector>

#include "convert_recipe.hpp"
#include "striate/base/log.hpp"
#include "striate/par/tiles.hpp"

namespace striate::convert {

class Work final : public TileWork {
 public:
  /// `order`: the batches that this rank will be given (tile_order), `in_flight` at a time.
  Work(Recipe const& recipe, ActWriter& store, std::vector<std::size_t> order, std::size_t in_flight,
       std::size_t done_before);

  void compute(std::size_t batch) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { store_.mark(mine); }
  void flush() override { store_.flush(); }
  void progress(std::size_t done_total) override { bar_.update(done_total); }
  [[nodiscard]] std::size_t zeros() const { return zeros_; }  ///< values of this rank that were divided by 0

 private:
  struct Batch {
    std::vector<std::vector<std::vector<float>>> operands;  ///< [layer][operand]
    std::vector<ActBlock> blocks;                           ///< one a layer
    std::size_t zeros = 0;
  };
  void read_ahead(std::size_t batches);
  [[nodiscard]] Batch& at(std::size_t batch);

  Recipe const& recipe_;
  ActWriter& store_;
  std::vector<std::size_t> order_;
  std::size_t in_flight_, next_ = 0;  ///< in order_: the next to be read
  std::mutex lock_;
  std::map<std::size_t, Batch> batches_;  ///< between reading and writing
  std::size_t zeros_ = 0;
  log::Progress bar_;
};

}  // namespace striate::convert
