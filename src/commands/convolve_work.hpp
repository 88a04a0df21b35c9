#pragma once
/// The batches of `striate convolve`: the stimuli that reach a batch of volumes are read ahead, weighted, written.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "convolve_design.hpp"
#include "striate/base/log.hpp"
#include "striate/math/buffer.hpp"
#include "striate/par/tiles.hpp"
#include "striate/store/act_store.hpp"

namespace striate::convolve {

/// out (volumes × blocks · units, row-major): block b of volume v is the weighted sum of the rows of `x` (stimuli ×
/// units, column-major), in float64 and in the order of the stimuli, so that no unit depends on its neighbours.
void weigh(BatchDesign const& design, MatrixView<float const> x, float* out);

class Work final : public TileWork {
 public:
  /// `order`: the batches that this rank will be given (tile_order), `in_flight` at a time.
  Work(Design const& design, ActReader const& features, std::vector<std::string> const& layers, ActWriter& store,
       std::vector<std::size_t> order, std::size_t in_flight, std::size_t done_before);

  void compute(std::size_t batch) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { store_.mark(mine); }
  void flush() override { store_.flush(); }
  void progress(std::size_t done_total) override { bar_.update(done_total); }

 private:
  struct Batch {
    BatchDesign design;
    std::vector<Buffer<float>> x;  ///< one a layer: stimuli × units, column-major
    std::vector<ActBlock> blocks;  ///< one a layer
  };
  void read_ahead(std::size_t batches);
  [[nodiscard]] Batch& at(std::size_t batch);

  Design const& design_;
  ActReader const& features_;
  std::vector<std::string> const& layers_;
  ActWriter& store_;
  std::vector<std::size_t> order_;
  std::size_t in_flight_, next_ = 0;  ///< in order_: the next to be read
  std::mutex lock_;
  std::map<std::size_t, Batch> batches_;  ///< between reading and writing
  log::Progress bar_;
};

}  // namespace striate::convolve
