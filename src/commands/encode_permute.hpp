#pragma once
/// The permutation test of `encode`: units of targets × permutations, and what follows from them.
///
/// A unit is a tile of targets and a block of permutation indices, for one layer or (permutation.best_layer) for all of
/// them. Two numbers leave it, so that nothing of size targets × permutations is ever stored: per target how many of
/// its permutations reached the observed score, and per permutation the greatest score of its targets. Both are merged
/// exactly, by integer sums and by maxima.
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "encode_data.hpp"
#include "encode_layout.hpp"
#include "encode_tiles.hpp"
#include "striate/stats/permute.hpp"

namespace striate::encode {

/// "/L/permutation/S/what".
[[nodiscard]] std::string permutation_name(std::string const& layer, std::string const& score, std::string const& what);
/// Datasets that hold the test's results, of so many permutations in all.
[[nodiscard]] std::vector<ResultDataset> permutation_results(Config const& config, Inputs const& inputs,
                                                             Layout const& layout, std::size_t permutations);
/// Where units leave their counts (tile after tile, in it block after block) and maxima (tile after tile).
[[nodiscard]] std::vector<ResultDataset> permutation_working(Config const& config, Inputs const& inputs,
                                                             Layout const& layout);
[[nodiscard]] std::string working_name(std::string const& layer, std::string const& score, char const* what);
inline constexpr char const* best_working = "/.striate/permutation_best/exceed";
/// Whether each target's best layer is tested with its choice.
[[nodiscard]] bool tests_best(Layout const& layout);
/// Scores so that greater is more extreme, as permutation.tail says. Score s of those it was made for.
class Extremity {
 public:
  Extremity(std::string const& tail, std::vector<Score> const& scores);
  [[nodiscard]] double operator()(std::size_t s, double value) const {
    return two_tails_ ? std::abs(value) : sign_[s] * value;
  }

 private:
  bool two_tails_;
  std::vector<double> sign_;  ///< of each score
};
/// For each target the greatest of its layers; NaN where none has a score.
[[nodiscard]] std::vector<double> best_of(std::vector<std::vector<double>> const& layers);
/// Which of the test's (t) datasets become maps, for a layer or for the best layer: "p", "q_fdr", "p_max" …
[[nodiscard]] std::vector<std::string> permutation_stats(Config const& config);
[[nodiscard]] std::vector<std::string> best_permutation_stats(Config const& config, Layout const& layout);
/// Whether there is something to permute; warns where there are few arrangements. Throws Error(Exit::data).
void check_permutation(Config const& config, Inputs const& inputs);
/// Rows of Y that any fold uses, ascending: what is rearranged.
[[nodiscard]] std::vector<std::uint32_t> used_rows(Inputs const& inputs);
/// How those of `rows` are rearranged among themselves (its indices count in `rows`). `stream`: 0 for all rows, fold + 1
/// for its test rows. Throws Error(Exit::data), naming the key.
[[nodiscard]] Permuter make_permuter(Config const& config, Inputs const& inputs, std::vector<std::uint32_t> const& rows,
                                     std::size_t stream);

/// What is known before permutations begin. Equal on all ranks.
struct Observed {
  std::vector<std::vector<std::vector<double>>> score;  ///< [layer][score] → (t)
  std::vector<std::vector<double>> alpha;               ///< [layer] → (folds × t); fixed_alpha, alpha_per_target: false
};
/// Read from a flushed file by the first rank, told to the others. Collective.
[[nodiscard]] Observed read_observed(Comm const& comm, Config const& config, Inputs const& inputs,
                                     ResultFile const& result);

class Rescorer;

/// Units of the test that belong to one group of layers.
class PermutationTiles final : public TileWork {
 public:
  /// `layers`: of the group. `make`: the rescorer of a thread, which knows them.
  PermutationTiles(Shared const& shared, TargetBlock const& y, Observed const& observed, std::size_t group,
                   std::size_t layers, std::function<std::unique_ptr<Rescorer>()> make,
                   std::function<void(std::size_t)> said);
  ~PermutationTiles() override;
  /// Main thread, with permutation.stop: before the units of block `block`, those before it being flushed.
  void advance(std::size_t block);
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
