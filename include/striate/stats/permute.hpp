#pragma once
/// Rearrangements of the rows of responses under the hypothesis that they have nothing to do with the features.
///
/// Rearrangement `index` is a function of (seed, stream, index) alone (Philox), whoever makes it. Exchangeability as in
/// Winkler et al. 2014 (NeuroImage 92:381): rows are exchanged within a block, blocks as wholes, runs of a time series
/// are shifted in a circle, or signs are flipped.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

enum class Shuffle {
  rows,      ///< rows change places, only within a block where blocks are given
  blocks,    ///< whole blocks of equal size change places, the order inside is kept
  circular,  ///< the rows of each block (run) move on by a random number of places, the end comes to the front
  sign       ///< signs of rows, of whole blocks where blocks are given
};

[[nodiscard]] std::optional<Shuffle> shuffle_of(std::string_view name);
[[nodiscard]] std::vector<std::string> shuffle_names();

struct PermutationSpec {
  Shuffle shuffle = Shuffle::rows;
  std::vector<std::uint32_t> block;  ///< label of each row, or empty: all rows are one block (for `sign`: n blocks)
  std::vector<std::uint32_t> unit;   ///< repeats of a stimulus move as one (rows); empty: every row by itself
  std::size_t length = 0;            ///< `blocks`: so many neighbouring rows (of one label) are a block; 0: a label is
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  ///< separates independent rearrangements of one index (test rows of several folds)
};

class Permuter {
 public:
  /// Throws Error(Exit::data) where nothing can be exchanged.
  Permuter(PermutationSpec const& spec, std::size_t n);
  /// source[i]: the row of the responses that comes to row i. sign[i]: ±1 (all 1 but for Shuffle::sign).
  void make(std::uint64_t index, std::vector<std::uint32_t>& source, std::vector<float>& sign) const;
  [[nodiscard]] bool flips() const { return shuffle_ == Shuffle::sign; }
  /// log10 of the number of arrangements that can be drawn (repeats of values not considered).
  [[nodiscard]] double log10_arrangements() const;
  /// Rows that stay where they are in every arrangement (pieces without an equal).
  [[nodiscard]] std::size_t fixed_rows() const;

 private:
  using Piece = std::vector<std::uint32_t>;  ///< rows that move together
  using Class = std::vector<Piece>;          ///< pieces that may change places: of one size

  std::size_t n_;
  Shuffle shuffle_;
  std::uint64_t seed_, stream_;
  std::vector<Class> classes_;
};

}  // namespace striate
