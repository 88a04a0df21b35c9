#pragma once
/// What permutations left, merged: null distributions and p-values.
#include <cstdint>
#include <vector>

#include "encode_permute.hpp"
#include "encode_spatial.hpp"
#include "encode_tail.hpp"

namespace striate::encode {

/// Of some permutations. Two of them add up exactly, whatever ran where.
struct Null {
  std::size_t n = 0;
  std::vector<std::vector<std::vector<std::uint64_t>>> exceed;  ///< [layer][score] → (t)
  std::vector<std::vector<std::vector<double>>> max;            ///< [layer][score] → (n), as Extremity
  std::vector<std::uint64_t> best_exceed;                       ///< (t); empty where the best layer is not tested
  std::vector<std::vector<std::vector<std::uint64_t>>> stop;  ///< [layer][score] → (t), 0: never; with permutation.stop
  std::vector<std::uint64_t> best_stop;
  std::vector<SpatialNull> spatial;                             ///< [layer]; of the first score, where asked for
  std::vector<TailSource> tails;                                ///< where tails are fitted: to be given by who reads
  void append(Null const& more);
};
/// From the units in a file. Not collective.
[[nodiscard]] Null read_null(Config const& config, Inputs const& inputs, Layout const& layout, ResultFile const& result);

/// Writes exceed, p, corrected p, null_max of every layer and score, and of the best layer. `score`: as observed. `team`:
/// its threads of this rank fit tails.
void write_permutation(Config const& config, Inputs const& inputs, Null const& null,
                       std::vector<std::vector<std::vector<double>>> const& score, Team& team, ResultFile& out);
/// The same for an encode result whose units are done. First rank alone.
void derive_permutation(Config const& config, Inputs const& inputs, Layout const& layout, Team& team,
                        ResultFile& result);

}  // namespace striate::encode
