#pragma once
/// The batches of `striate extract`: decoded ahead, run through the network, written, verified.
#include <condition_variable>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "extract_reuse.hpp"
#include "extract_stages.hpp"
#include "extract_statistics.hpp"
#include "striate/base/log.hpp"
#include "striate/net/network.hpp"
#include "striate/par/tiles.hpp"
#include "striate/stimuli/loader.hpp"
#include "striate/store/act_store.hpp"

namespace striate {

/// How many batches may be in the network at once; fewer from when memory ran out.
class ForwardGate {
 public:
  /// Runs `pass`, at most so many at once; where it runs out of memory (Error(Exit::limit)) beside others it is run
  /// again when there is room, and half as many are allowed from then on. Thread-safe.
  void run(std::function<void()> const& pass);

 private:
  std::mutex mutex_;
  std::condition_variable left_;
  std::size_t inside_ = 0, allowed_ = std::numeric_limits<std::size_t>::max();
};

class ExtractWork final : public TileWork {
 public:
  ExtractWork(Network const& network, StimulusLoader& loader, ActWriter& store, std::vector<std::string> const& ids,
              std::vector<LayerPath> const& paths, std::size_t done_before, ReusedRows const* reused = nullptr);

  /// The store keeps a list of rows without a stimulus.
  void may_skip(bool may) { may_skip_ = may; }
  /// Looks at the input of every batch from now on.
  void watch(InputStatistics& statistics) { statistics_ = &statistics; }
  void compute(std::size_t batch) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { store_.mark(mine); }
  void flush() override { store_.flush(); }
  void progress(std::size_t done_total) override { bar_.update(done_total); }

 private:
  struct Result {
    std::vector<ActBlock> blocks;                          ///< one a layer; none where rows are taken over
    std::vector<std::vector<float>> fresh;                 ///< by layer, then: the rows that were computed
    std::vector<std::pair<std::size_t, std::string>> bad;  ///< skipped stimuli
    std::vector<std::size_t> missing;                      ///< of them, those without a file
  };

  /// Rows of the batch that no earlier store holds, from its first.
  [[nodiscard]] std::vector<std::size_t> rows_to_compute(std::size_t first, std::size_t rows) const;
  void forward(LoadedBatch const& loaded, std::size_t rows, std::vector<std::size_t> const& holes,
               std::function<void(std::size_t layer, float const*)> const& sink) const;
  void write_layer(ActBlock block);
  void write_with_reused(std::size_t batch, Result const& result);

  Network const& network_;
  StimulusLoader& loader_;
  ActWriter& store_;
  std::vector<std::string> const& ids_;
  std::vector<LayerPath> const& paths_;  ///< by layer of the network
  ReusedRows const* reused_;
  mutable ForwardGate gate_;
  InputStatistics* statistics_ = nullptr;
  bool may_skip_ = false;
  Handover<Result> results_;
  log::Progress bar_;
};

}  // namespace striate
