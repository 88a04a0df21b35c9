#pragma once
/// Gradients of layers: rank correlation of the index of a target's best layer with its place, in an order of regions,
/// along an axis of the image, or by values of a file (after Güçlü and van Gerven 2015,
/// doi:10.1523/JNEUROSCI.5023-14.2015).
///
/// Neighbouring targets are not independent, so that targets are never permuted: p comes from the rearranged rows of
/// the permutation test, whose maps are as smooth as noise makes them; standard errors from the outer folds.
#include <string>
#include <vector>

#include "encode_inputs.hpp"
#include "encode_layout.hpp"

namespace striate::encode {

/// Whether the settings go together. Throws Error(Exit::config).
void check_gradient(Config const& config);
/// Where each target lies. First rank. Throws Error(Exit::data | Exit::config | Exit::no_input), naming the key.
[[nodiscard]] std::vector<Gradient> load_gradients(Config const& config, Inputs const& inputs);
/// Datasets and texts of result.h5.
void add_gradients(Config const& config, Inputs const& inputs, Layout const& layout, ResultSpec& spec);
/// Writes them from the scores and, where maps of permutations are kept, from those. First rank alone.
void derive_gradients(Config const& config, Inputs const& inputs, Layout const& layout, ResultFile& result);
/// gradient.tsv, from the datasets.
[[nodiscard]] std::string gradient_table(Config const& config, Inputs const& inputs, ResultFile const& result);

}  // namespace striate::encode
