#pragma once
/// The batches of `striate extract`: decoded ahead, run through the network, written, verified.
#include <string>
#include <vector>

#include "extract_stages.hpp"
#include "extract_statistics.hpp"
#include "striate/base/log.hpp"
#include "striate/net/network.hpp"
#include "striate/par/tiles.hpp"
#include "striate/stimuli/loader.hpp"
#include "striate/store/act_store.hpp"

namespace striate {

class ExtractWork final : public TileWork {
 public:
  ExtractWork(Network const& network, StimulusLoader& loader, ActWriter& store, std::vector<std::string> const& ids,
              std::vector<LayerPath> const& paths, std::size_t done_before);

  /// Looks at the input of every batch from now on.
  void watch(InputStatistics& statistics) { statistics_ = &statistics; }
  void compute(std::size_t batch) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { store_.mark(mine); }
  void flush() override { store_.flush(); }
  void progress(std::size_t done_total) override { bar_.update(done_total); }

 private:
  struct Result {
    std::vector<ActBlock> blocks;                          ///< one a layer
    std::vector<std::pair<std::size_t, std::string>> bad;  ///< skipped stimuli
  };

  Network const& network_;
  StimulusLoader& loader_;
  ActWriter& store_;
  std::vector<std::string> const& ids_;
  std::vector<LayerPath> const& paths_;  ///< by layer of the network
  InputStatistics* statistics_ = nullptr;
  Handover<Result> results_;
  log::Progress bar_;
};

}  // namespace striate
