#pragma once
/// The bootstrap of `encode`: intervals of held-out scores over test stimuli, the fitted models staying as they are.
///
/// The folds leave their held-out predictions (float32) in the result. A unit is a tile of targets: it draws all test
/// rows n times, scores every draw of every layer, and leaves intervals. What means over regions of interest need
/// leaves it as sums of whole numbers, so that they add up to the same whatever the tiles are.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "encode_permute.hpp"
#include "encode_tiles.hpp"
#include "striate/stats/bootstrap.hpp"

namespace striate::encode {

[[nodiscard]] std::string bootstrap_name(std::string const& layer, std::string const& score, std::string const& what);
[[nodiscard]] std::vector<ResultDataset> bootstrap_datasets(Config const& config, Inputs const& inputs,
                                                            Layout const& layout);
/// Whether there is something to draw; says how many groups there are. Throws Error(Exit::data).
void check_bootstrap(Config const& config, Inputs const& inputs);
/// How test rows are drawn. Throws Error(Exit::data), naming the key.
[[nodiscard]] Resampler make_resampler(Config const& config, Inputs const& inputs);
/// Says in how many targets intervals of R² leave R² out: of small test sets it is too low. First rank.
void say_bootstrap(Config const& config, Inputs const& inputs, ResultFile const& result);
/// Flops of a target.
[[nodiscard]] double bootstrap_flops(Config const& config, Inputs const& inputs);
/// Regions (all targets counts as one) that tiles meet: before each tile, and in all.
[[nodiscard]] std::vector<std::size_t> first_parts(Inputs const& inputs, Layout const& layout);
/// Which of the (t) datasets become maps.
[[nodiscard]] std::vector<std::string> bootstrap_stats(Config const& config);

/// Where a tile of targets (Layout::tile) keeps the predictions of a fold, in /.striate/heldout/L: tile after tile, in
/// it fold after fold, rows × targets column-major.
[[nodiscard]] std::string heldout_name(std::string const& layer);
[[nodiscard]] std::size_t heldout_rows(Inputs const& inputs);
[[nodiscard]] std::size_t heldout_at(Inputs const& inputs, Layout const& layout, std::size_t tile, std::size_t fold);

/// Of `layers`, targets [first, first + count) of one tile of the folds: [layer × fold] rows × targets. Main thread.
[[nodiscard]] std::vector<std::vector<float>> read_heldout(Shared const& shared, std::vector<std::size_t> const& layers,
                                                           std::size_t first, std::size_t count);

/// Intervals of the mean score of each region: of all targets first, then of Inputs::regions. `score`: observed (t).
/// Not collective.
[[nodiscard]] std::vector<BootstrapInterval> region_intervals(Config const& config, Inputs const& inputs,
                                                              Layout const& layout, ResultFile const& result,
                                                              std::size_t layer, std::size_t score,
                                                              std::vector<double> const& observed);

/// Tile = unit = tile of targets, of all layers.
class BootstrapTiles final : public TileWork {
 public:
  BootstrapTiles(Shared const& shared, TargetBlock const& y, Observed const& observed,
                 std::function<void(std::size_t)> said);
  ~BootstrapTiles() override;
  /// Main thread: reads what compute(tile) needs.
  void load(std::size_t tile);
  void compute(std::size_t tile) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override;
  void flush() override;
  void progress(std::size_t done) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate::encode
