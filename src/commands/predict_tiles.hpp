#pragma once
/// Tiles of targets of one layer: the layer's features are walked once for a round of tiles, in panels of fixed width, so
/// that layers of any width stream and a prediction depends on its stimulus, its target and nothing else.
#include <functional>

#include "encode_data.hpp"
#include "predict_inputs.hpp"
#include "striate/math/team.hpp"
#include "striate/par/tiles.hpp"
#include "striate/store/result.hpp"

namespace striate::predict {

/// Bytes of a rank with `threads` tiles in hand.
[[nodiscard]] double working_bytes(Inputs const& inputs, int threads);

class Tiles final : public TileWork {
 public:
  /// `y`: the new responses, or null; `said`: is told the tiles done of this run.
  Tiles(Config const& config, Inputs const& inputs, std::size_t layer, encode::TargetBlock const* y, ResultFile& result,
        Team& team, std::function<void(std::size_t)> said);
  /// HDF5 is the main thread's, and a tile is mostly reading: everything happens in write(), threads helping.
  void compute(std::size_t) override {}
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { result_.mark(mine, base_); }
  void flush() override { result_.flush(); }
  void progress(std::size_t done) override { said_(done); }

 private:
  struct Tile;
  struct Panel;
  void multiply(Panel& panel, std::vector<Tile>& tiles, std::size_t n, std::size_t depth);
  void finish(Tile& tile);
  void score(Tile const& tile);
  [[nodiscard]] std::size_t tiles() const { return (in_.t() + in_.tile - 1) / in_.tile; }

  Config const& config_;
  Inputs const& in_;
  Layer const& layer_;
  std::size_t base_;  ///< unit of tile 0
  encode::TargetBlock const* y_;
  ResultFile& result_;
  Team& team_;
  std::function<void(std::size_t)> said_;
  std::vector<ActReader> stores_;
  h5::File encode_;
};

}  // namespace striate::predict
