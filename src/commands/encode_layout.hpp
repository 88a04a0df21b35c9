#pragma once
/// How result.h5 is laid out, and how the work is cut.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "encode_inputs.hpp"
#include "striate/store/result.hpp"

namespace striate::encode {

/// Units of the permutation test: group of layers × tile of targets × block of permutations.
struct PermutationLayout {
  std::size_t first = 0, n = 0;                                 ///< permutation indices [first, first + n); 0: no test
  std::size_t tile = 0, tiles = 0, block = 0, blocks = 0, groups = 0;  ///< groups: 1 (all layers at once) or layers
  /// Fits read the responses of all targets, so that every permutation is fitted anew; a unit has all targets.
  bool refits = false;
  [[nodiscard]] std::size_t units() const { return groups * tiles * blocks; }
  /// Units that take whole maps, after all of those: layer × block of permutations. maps: layers, or 0.
  std::size_t maps = 0, map_block = 0, map_blocks = 0;
  [[nodiscard]] std::size_t map_units() const { return maps * map_blocks; }
};

/// Tiles of the bootstrap, or of the flips of `partition`; n: draws, 0: none. `tile` divides Layout::tile.
struct BootstrapLayout {
  std::size_t n = 0, tile = 0, tiles = 0;
  [[nodiscard]] std::size_t first(std::size_t i) const { return i * tile; }
  [[nodiscard]] std::size_t width(std::size_t i, std::size_t t) const { return std::min(tile, t - i * tile); }
};

/// Unit u: first the tiles of the noise ceilings (from repeats, between subjects), then layer × pass × stage × tile
/// (stages: 1, or first what chooses an alpha for all targets, then scores), then the permutation test, then its maps,
/// then the bootstrap, then the flips of `partition`. A pass is an outer fold or the refit.
struct Layout {
  std::size_t t = 0, tile = 0, tiles = 0, layers = 0, passes = 0, noise_tiles = 0, between_tiles = 0;
  std::size_t stages = 1;
  PermutationLayout permutation;
  BootstrapLayout bootstrap, unique;
  [[nodiscard]] std::size_t ceiling_tiles() const { return noise_tiles + between_tiles; }
  [[nodiscard]] std::size_t fits() const { return ceiling_tiles() + layers * passes * stages * tiles; }
  [[nodiscard]] std::size_t tests() const { return fits() + permutation.units(); }
  [[nodiscard]] std::size_t maps() const { return tests() + permutation.map_units(); }
  [[nodiscard]] std::size_t draws() const { return maps() + bootstrap.tiles; }
  [[nodiscard]] std::size_t units() const { return draws() + unique.tiles; }
  [[nodiscard]] std::size_t unit(std::size_t layer, std::size_t pass, std::size_t i) const {
    return choice_unit(layer, pass, i) + (stages - 1) * tiles;
  }
  /// The first stage of a pass.
  [[nodiscard]] std::size_t choice_unit(std::size_t layer, std::size_t pass, std::size_t i) const {
    return ceiling_tiles() + (layer * passes + pass) * stages * tiles + i;
  }
  /// Names below /noise_ceiling of what is there.
  [[nodiscard]] std::vector<std::string> ceilings() const;
  [[nodiscard]] std::size_t first(std::size_t i) const { return i * tile; }
  [[nodiscard]] std::size_t width(std::size_t i) const { return std::min(tile, t - i * tile); }
};

/// What `noise_tiles` make, and `between_tiles`.
inline constexpr std::array<char const*, 5> repeat_ceilings{"reliability", "pearson", "ncsnr", "nc", "row_reliability"};
inline constexpr std::array<char const*, 2> subject_ceilings{"between_lower", "between_upper"};
/// Whether a score has a normalised one: pearson (divided by √row_reliability), r2 and explained_variance (by it).
[[nodiscard]] inline bool normalises(std::string const& score) {
  return score == "pearson" || score == "r2" || score == "explained_variance";
}

/// Rows of /.striate/counts: per unit, how many targets …
enum Count : std::size_t { not_finite, constant, degenerate, edge_low, edge_high, counts };
/// Rows of /.striate/report: per layer and pass.
enum Found : std::size_t { constant_features, dropped_alphas, skeleton, rank, founds };

inline constexpr char const* counts_name = "/.striate/counts";
inline constexpr char const* report_name = "/.striate/report";
/// FoldReport::variates of each outer fold, (k, c).
inline constexpr char const* variates_name = "canonical_correlation";
/// Sums for aggregate: concat, (5 × folds, t): y, y², f, f², yf of the test rows of each fold.
[[nodiscard]] inline std::string moments_name(std::string const& layer) { return "/.striate/moments/" + layer; }
inline constexpr std::size_t moment_rows = 5;

/// n draws over tiles of targets: a tile holds so many `bytes` and takes so many `flops` a target, `most_flops` at most.
[[nodiscard]] BootstrapLayout draw_layout(Layout const& layout, std::size_t n, double bytes, double flops,
                                          double most_flops);
[[nodiscard]] Layout make_layout(Config const& config, Inputs const& inputs);
/// Of permutations [first, first + count) alone.
[[nodiscard]] Layout permutations_alone(Config const& config, Inputs const& inputs, std::size_t first, std::size_t count);
/// Datasets of result.h5.
[[nodiscard]] ResultSpec result_spec(Config const& config, Inputs const& inputs, Layout const& layout,
                                     nlohmann::ordered_json const& identity);
/// Bytes of all its datasets.
[[nodiscard]] double bytes_of(ResultSpec const& spec);
/// Rows of /L/score/S_fold: outer folds, or the inner ones where there is no outer loop.
[[nodiscard]] std::size_t score_rows(Config const& config, Inputs const& inputs);
/// Rows of TileResult::inner_score; one where left-out rows take the place of inner folds.
[[nodiscard]] inline std::size_t inner_rows(FoldPlan const& plan) {
  return std::max<std::size_t>(1, plan.inner.size());
}

/// How the memory of a node is divided. Equal on all ranks.
struct Memory {
  double model = 0;                   ///< for prepare()
  double layer = 0;                   ///< for keeping a layer
  std::size_t target_block = 0;       ///< targets of Y in memory at once
  double per_rank = 0, per_node = 0;  ///< expected peaks: private, shared
};

/// What the model says of each layer.
struct Costs {
  std::vector<ModelCost> layer;      ///< of the most expensive pass
  double flops = 0, read_bytes = 0;  ///< of all passes together; read_bytes of one rank that reads alone
  double prior_bytes = 0;            ///< per node, greatest of any layer: its features times a prior
  double work = 0;                            ///< of all passes, as time (ModelCost::prepare_work)
  double folds_flops = 0, folds_work = 0;     ///< of preparing the folds alone, without the refit
  std::vector<double> kept;                   ///< [layer] bytes of a node while all of its folds stand
  double private_bytes = 0, thread_bytes = 0, shared_bytes = 0, flops_per_target = 0;  ///< greatest of any layer
};
/// Pure arithmetic. Throws Error where folds cannot work.
[[nodiscard]] Costs cost_of(Config const& config, Inputs const& inputs, double budget);

/// Whether a permutation of all targets needs fits of its own (EncodingModel::prepare_uses_responses).
[[nodiscard]] bool refits(Config const& config, Inputs const& inputs);
/// Of one permutation of one target, all layers and folds.
[[nodiscard]] double permutation_flops(Config const& config, Inputs const& inputs, Costs const& costs);

/// `least`, `most`: costs at the smallest and at an unlimited budget. `budget`: bytes of a rank; `ranks`, `threads`: of
/// the fullest node, of a rank. Throws Error(Exit::limit).
[[nodiscard]] Memory divide_memory(Inputs const& inputs, Layout const& layout, Costs const& least, Costs const& most,
                                   double budget, int ranks, int threads);

}  // namespace striate::encode
