#pragma once
/// The parts of `permute` → its result directory.
#include <filesystem>

#include "encode_null.hpp"
#include "part.hpp"

namespace striate {

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
