#pragma once
/// The scores of every permutation, where whole maps are kept: what is said of many targets together (a gradient, the
/// best layer of a region) is said of each permuted map, too.
#include <functional>
#include <span>
#include <vector>

#include "encode_layout.hpp"

namespace striate::encode {

/// Calls `use` for each permutation, in order, with the first score of each layer, (t) each, NaN where there is none.
/// From a file whose units are done. Holds a block of permutations at a time. Not collective.
void each_permuted_map(Config const& config, Inputs const& inputs, Layout const& layout, ResultFile const& result,
                       std::function<void(std::vector<std::span<float const>> const& layers)> const& use);

/// Bytes that it holds.
[[nodiscard]] double kept_maps_bytes(Inputs const& inputs, Layout const& layout);

/// The layers of one net: of one store; all of them where a model joins stores.
struct Net {
  std::string name;  ///< of the store in the config, else its file name without endings
  std::size_t first = 0, count = 0;
};
[[nodiscard]] std::vector<Net> nets_of(Config const& config, Inputs const& inputs);

}  // namespace striate::encode
