#pragma once
/// The parts of `permute` → its result directory.
#include <filesystem>

#include "encode_null.hpp"

namespace striate {

/// Which share of the permutations a job does: part `i` of `k`, from 1.
struct Part {
  std::size_t i = 1, k = 1;
  /// Indices [first, second) of `n` permutations that begin at `from`.
  [[nodiscard]] std::pair<std::size_t, std::size_t> range(std::size_t from, std::size_t n) const {
    return {from + n * (i - 1) / k, from + n * i / k};
  }
  [[nodiscard]] std::filesystem::path file(std::filesystem::path const& folder) const {
    return folder / fmt::format("part-{}-of-{}.h5", i, k);
  }
};

/// What merging needs to know.
struct Merge {
  encode::Config const& config;  ///< of the encode, with this test's permutation block
  encode::Inputs const& inputs;
  encode::Observed const& observed;
  std::filesystem::path folder;
  std::size_t parts = 1, from = 0, n = 0;  ///< n: of all parts
  encode::Null earlier;                    ///< of the encode itself, where it made the permutations before `from`
  nlohmann::ordered_json identity;         ///< of each part, but for `part`
  Team& team;                              ///< whose threads of this rank fit tails
};

/// Writes result.h5, maps/ and summary.tsv where every part is complete; says how many are not. First rank alone.
void merge_parts(Merge const& merge);

}  // namespace striate
