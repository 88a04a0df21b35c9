#pragma once
/// The batches of `striate reduce`: rows of the store are read ahead, go through their layer's stage, and are written.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "striate/base/log.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/layer_stage.hpp"
#include "striate/par/tiles.hpp"
#include "striate/store/act_store.hpp"

namespace striate::reduce {

/// One layer: its name in the store, what becomes of it.
struct Reduced {
  std::string name;
  std::size_t units = 0;
  std::unique_ptr<LayerStage> stage;
};

class Work final : public TileWork {
 public:
  /// `order`: the batches that this rank will be given (tile_order), `in_flight` at a time.
  Work(std::vector<Reduced> const& layers, ActReader const& features, ActWriter& store, std::vector<std::size_t> order,
       std::size_t in_flight, std::size_t done_before);
  void compute(std::size_t batch) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { store_.mark(mine); }
  void flush() override { store_.flush(); }
  void progress(std::size_t done_total) override { bar_.update(done_total); }

 private:
  void read_ahead(std::size_t batches);

  std::vector<Reduced> const& layers_;
  ActReader const& features_;
  ActWriter& store_;
  std::vector<std::size_t> order_;
  std::size_t in_flight_, next_ = 0;  ///< in order_: the next to be read
  Handover<std::vector<Buffer<float>>> read_;
  Handover<std::vector<ActBlock>> made_;
  log::Progress bar_;
};

}  // namespace striate::reduce
