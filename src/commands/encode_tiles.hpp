#pragma once
/// Units of `encode` as run_tiles takes them: tiles of targets of one fold, of the refit, of the noise ceiling.
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "encode_data.hpp"
#include "encode_layout.hpp"
#include "striate/math/team.hpp"
#include "striate/par/tiles.hpp"
#include "striate/stats/noise_ceiling.hpp"

namespace striate::encode {

/// Memory that is handed round between tiles instead of being had anew.
template <class T>
class Pool {
 public:
  std::unique_ptr<T> take() {
    std::lock_guard const held(lock_);
    if (free_.empty()) return std::make_unique<T>();
    auto one = std::move(free_.back());
    free_.pop_back();
    return one;
  }
  void give(std::unique_ptr<T> one) {
    std::lock_guard const held(lock_);
    free_.push_back(std::move(one));
  }

 private:
  std::mutex lock_;
  std::vector<std::unique_ptr<T>> free_;
};

/// What a tile leaves until it is written.
struct Made {
  TileResult result;
  std::vector<std::uint64_t> choice;                    ///< of ChoiceTiles
  std::vector<double> moments;                          ///< moment_rows × T, for aggregate: concat
  std::vector<double> mean, sd;                         ///< of the responses to all rows, for save: coefficients
  std::vector<double> ceiling[repeat_ceilings.size()];  ///< as the names; or as subject_ceilings
};
struct Pools {
  Pool<Made> made;
  Pool<Workspace> work;
};

/// What all tiles of a job share.
struct Shared {
  Config const& config;
  Inputs const& inputs;
  Layout const& layout;
  ResultFile& result;
  Team& team;
  Pools& pools;
};

/// Bookkeeping that does not depend on what a tile computes.
class Tiles : public TileWork {
 public:
  /// `base`: unit of tile 0. `said`: is told the tiles done of this run_tiles.
  Tiles(Shared const& shared, TargetBlock const& y, std::size_t base, std::function<void(std::size_t)> said)
      : s_(shared), y_(y), base_(base), said_(std::move(said)) {}
  void compute(std::size_t tile) final;
  void write(std::span<std::size_t const> mine) final;
  void mark(std::span<std::size_t const> mine) final { s_.result.mark(mine, base_); }
  void flush() final { s_.result.flush(); }
  void progress(std::size_t done) final { said_(done); }

 protected:
  virtual void compute(std::size_t first, MatrixView<float const> y, Made& made, Workspace& work) = 0;
  struct Ready {
    std::size_t tile = 0, first = 0, count = 0;
    std::unique_ptr<Made> made;
  };
  virtual void write(std::vector<Ready> const& tiles) = 0;

  Shared const& s_;
  TargetBlock const& y_;
  std::size_t base_;

 private:
  std::function<void(std::size_t)> said_;
  Handover<std::unique_ptr<Made>> ready_;
};

/// Tiles of a pass of a layer, at the given alpha or one that each target chooses: scores, alphas, predictions of a fold; coefficients of the refit.
class FoldTiles final : public Tiles {
 public:
  FoldTiles(Shared const& shared, TargetBlock const& y, FittedFold const& fold, NodeSource const& source,
            std::size_t layer, std::size_t pass, std::optional<double> alpha,
            std::function<void(std::size_t)> said);

 private:
  void compute(std::size_t first, MatrixView<float const> y, Made& made, Workspace& work) override;
  void write(std::vector<Ready> const& tiles) override;
  void fit(MatrixView<float const> y, TileResult& r, Workspace& work) const;
  void write_scores(Ready const& ready);
  void write_predictions(Ready const& ready);
  void write_heldout(Ready const& ready);
  void write_coefficients(std::vector<Ready> const& tiles);
  void write_mixed(std::vector<Ready> const& tiles, std::vector<std::vector<double>> const& weights);

  FittedFold const& fold_;
  NodeSource const& source_;
  std::size_t pass_;
  std::optional<double> alpha_;
  std::string root_, chooses_;
  std::vector<std::string> extras_;
  FoldPlan const& plan_;
  bool refit_, coefficients_, heldout_, scales_;  ///< scales_: writes /targets/mean and sd, which all layers share
  std::vector<std::uint32_t> scored_rows_;  ///< test rows whose prediction this fold writes
};

/// Tiles of noise ceilings: writes Made::ceiling under the given names.
class CeilingTiles : public Tiles {
 protected:
  CeilingTiles(Shared const& shared, TargetBlock const& y, std::size_t base, std::span<char const* const> names,
               std::function<void(std::size_t)> said)
      : Tiles(shared, y, base, std::move(said)), names_(names) {}

 private:
  void write(std::vector<Ready> const& tiles) override;
  std::span<char const* const> names_;
};

/// From repeats; Y has a row per volume.
class NoiseTiles final : public CeilingTiles {
 public:
  NoiseTiles(Shared const& shared, TargetBlock const& y, std::function<void(std::size_t)> said);

 private:
  void compute(std::size_t first, MatrixView<float const> y, Made& made, Workspace& work) override;
  HalfSplits halves_;
  Presentations shown_;
};

/// Between subjects; Y as between_subjects() takes it.
class BetweenTiles final : public CeilingTiles {
 public:
  BetweenTiles(Shared const& shared, TargetBlock const& y, std::function<void(std::size_t)> said)
      : CeilingTiles(shared, y, shared.layout.noise_tiles, subject_ceilings, std::move(said)) {}

 private:
  void compute(std::size_t first, MatrixView<float const> y, Made& made, Workspace& work) override;
};

}  // namespace striate::encode
