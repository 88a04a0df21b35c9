#pragma once
/// The permutation test where fits read the responses of all targets (pls, cca): every permutation is fitted anew, from
/// features that were prepared once.
///
/// Pieces of permutation × layer × fold go over the threads and ranks of the job, and leave the fold's scores of all
/// targets in memory of the node. Units of PermutationTiles, a block of permutations each, then count.
#include <memory>
#include <span>
#include <vector>

#include "encode_rescore.hpp"

namespace striate::encode {

using FoldFeatures = std::vector<std::vector<std::unique_ptr<PreparedFeatures>>>;  ///< [layer of the group][fold]

/// Bytes that pieces leave of one layer and permutation.
[[nodiscard]] double trial_bytes(Config const& config, Inputs const& inputs);
/// Of all that a node holds at once, where one block of permutations takes no more.
inline constexpr double most_trials_bytes = 256e6;

class WholeTrials {
 public:
  /// `y`: all targets, loaded. `threads`: of all ranks. Collective.
  WholeTrials(Shared const& shared, TargetBlock const& y, FoldFeatures const& features, std::size_t threads);
  /// Blocks of permutations to be made at once.
  [[nodiscard]] std::size_t blocks() const { return blocks_; }
  /// Fits all permutations of blocks that are not done. Collective.
  void make(std::span<std::uint8_t const> done);
  /// Scores of what was made last.
  [[nodiscard]] std::unique_ptr<Rescorer> rescorer() const;

 private:
  class Scored;
  struct Place {
    std::size_t at = 0, rows = 0;  ///< of a fold, among those of all folds
  };
  struct Worker {  ///< one thread's
    Worker(Config const& config, Inputs const& in) : how(config, in), values(config, in) {}
    Rearranger how;
    FoldValues values;
    TileResult result;
    Workspace work;
    std::vector<float> y;
    std::vector<double> out;
  };
  void piece(std::size_t unit, Worker& worker) const;
  [[nodiscard]] std::span<double const> values(std::uint64_t index, std::size_t layer) const;
  [[nodiscard]] std::size_t doubles() const { return rows_ * t_; }  ///< of a layer and permutation

  Shared const& s_;
  TargetBlock const& y_;
  FoldFeatures const& features_;
  std::size_t t_, rows_ = 0, blocks_ = 1;
  std::vector<Place> places_;         ///< of each fold
  std::vector<std::uint64_t> made_;   ///< permutation indices, ascending
  std::shared_ptr<std::byte> bytes_;  ///< [made][layer][row of any fold][target]
  mutable Pool<std::unique_ptr<Worker>> workers_;
};

}  // namespace striate::encode
