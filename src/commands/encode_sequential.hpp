#pragma once
/// Sequential stopping of the permutation test (Besag and Clifford 1991): a target is done with as soon as `exceed` of
/// its permutations have reached the observed score. Blocks of permutations go in order, each knowing what those before
/// it counted, so that what is counted depends on nothing but the permutations.
#include <cstdint>
#include <string>
#include <vector>

#include "encode_permute.hpp"
#include "encode_rescore.hpp"

namespace striate::encode {

/// "…/stop" beside where units leave their counts: (t), after how many permutations a target stopped, 0 where it did
/// not.
[[nodiscard]] std::string stop_name(std::string const& layer, std::string const& score);
inline constexpr char const* best_stop = "/.striate/permutation_best/stop";

/// Of one unit: [row][T]. Rows are layer × score of the group, then the best layer where that is tested.
struct Stopped {
  std::vector<std::uint32_t> exceed;
  std::vector<std::uint64_t> stop;
};

/// Of one group of layers.
class Sequential {
 public:
  Sequential(Shared const& shared, Observed const& observed, std::size_t first_layer, std::size_t layers);
  /// Main thread, before the units of block `block` begin, all those before it being flushed: reads what they counted.
  void advance(std::size_t block);
  /// Permutations of block `block` (the one advanced to) for a tile. Targets that are done with are left out.
  [[nodiscard]] Stopped unit(std::size_t tile, std::size_t block, MatrixView<float const> y, Rescorer& rescorer) const;
  void write(std::size_t tile, std::size_t block, Stopped const& stopped) const;

 private:
  class Run;
  struct Row {
    std::string exceed, stop;           ///< datasets
    std::vector<std::uint64_t> before;  ///< (t) exceedances of earlier blocks
    std::vector<std::uint64_t> stopped;
  };
  Shared const& s_;
  Observed const& observed_;
  std::size_t first_layer_, layers_;
  PermutationLayout const& p_;
  bool best_;
  std::vector<Row> rows_;
  std::size_t read_ = 0;  ///< blocks that `before` holds
};

}  // namespace striate::encode
