#pragma once
/// Scores of targets under rearrangements of their responses.
#include <memory>
#include <span>
#include <vector>

#include "encode_permute.hpp"

namespace striate::encode {

/// What a tile's trials share, once per unit.
struct TrialTile {
  std::size_t first = 0;                        ///< target of the tile's first column
  MatrixView<float const> y;                    ///< n × T, as measured
  std::span<std::uint32_t const> columns = {};  ///< of the tile that y holds; none: all of them, in order
  std::uint64_t end = 0;                        ///< behind the last trial to come
};

/// Observed alphas of a layer and fold for the targets of a tile; `t`: targets of all tiles.
[[nodiscard]] inline std::vector<double> alphas_of(Observed const& observed, std::size_t layer, std::size_t fold,
                                                   std::size_t t, TrialTile const& tile) {
  auto const all = observed.alpha[layer].begin() + static_cast<std::ptrdiff_t>(fold * t + tile.first);
  if (tile.columns.empty()) return {all, all + static_cast<std::ptrdiff_t>(tile.y.cols)};
  std::vector<double> alpha;
  for (auto c : tile.columns) alpha.push_back(all[c]);
  return alpha;
}

/// One thread's. Scores of a trial: [layer of the group][score][T], before any tail is considered.
class Rescorer {
 public:
  virtual ~Rescorer() = default;
  virtual void begin(TrialTile const& tile) = 0;
  virtual void trial(std::uint64_t index, std::vector<double>& scores) = 0;
  /// The observed scores as this rescorer computes them, or none where those of the fits are the same numbers.
  [[nodiscard]] virtual std::vector<double> identity() = 0;
};

/// How the rows of responses that folds use are rearranged, one permutation after the other. One thread's.
class Rearranger {
 public:
  Rearranger(Config const& config, Inputs const& inputs);
  void make(std::uint64_t index);
  /// A target's responses to all rows, rearranged.
  void column(float const* from, float* to) const;

 private:
  std::size_t n_;
  std::vector<std::uint32_t> rows_, source_;
  Permuter permuter_;
  std::vector<float> sign_;
};

/// What fits of all folds leave until it is averaged to one score a target.
class FoldValues {
 public:
  FoldValues(Config const& config, Inputs const& inputs);
  [[nodiscard]] std::size_t rows(std::size_t fold) const;
  /// Appends rows(fold) × T: moments (aggregate: concat), or scores. y: as the fold saw it.
  void add(std::size_t fold, MatrixView<float const> y, TileResult& result, std::vector<double>& out);
  /// `all`: of all folds, one after the other. out: [score][T].
  void average(std::span<double const> all, std::size_t T, std::span<double> out) const;

 private:
  Config const& config_;
  Inputs const& in_;
  bool concat_, outer_;
  std::vector<double> weights_, one_;
  std::vector<Score> scores_;
};

using Folds = std::vector<std::vector<std::unique_ptr<FittedFold>>>;  ///< [layer of the group][fold]

/// scheme: refit and fixed_alpha. `first_layer`: of the group.
[[nodiscard]] std::unique_ptr<Rescorer> make_refitting(Shared const& shared, Observed const& observed,
                                                       Folds const& folds, std::size_t first_layer);
/// scheme: fixed_model.
[[nodiscard]] std::unique_ptr<Rescorer> make_fixed_model(Shared const& shared, Observed const& observed,
                                                         Folds const& folds, std::size_t first_layer);
/// The one that permutation.scheme asks for.
[[nodiscard]] std::unique_ptr<Rescorer> make_rescorer(Shared const& shared, Observed const& observed,
                                                      Folds const& folds, std::size_t first_layer);

}  // namespace striate::encode
