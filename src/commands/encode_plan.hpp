#pragma once
/// What a permutation test and the bootstrap add to the plan: time and memory. Printed estimates and the division of
/// memory; nothing that a result depends on.
#include "encode_layout.hpp"

namespace striate::encode {

/// Of all units together.
struct TestCost {
  double flops = 0;  ///< counted
  double work = 0;   ///< as time: ModelCost::prepare_work
};
/// The fits are prepared again for the test (all folds of a layer, or of all layers, then stand at once).
[[nodiscard]] TestCost test_cost(Config const& config, Inputs const& inputs, Layout const& layout, Costs const& costs);

/// Bytes of a rank beside what fits take: scores of whole maps on their way to the file, and from it.
[[nodiscard]] double maps_bytes(Config const& config, Inputs const& inputs, Layout const& layout, int threads);
/// The same of the bootstrap: tiles of all threads, or what is read of regions in the end.
[[nodiscard]] double bootstrap_bytes(Config const& config, Inputs const& inputs, Layout const& layout, int threads);
/// Bytes of a node: fits of all folds that a unit needs, while the last of them is prepared.
[[nodiscard]] double held_folds_bytes(Layout const& layout, Costs const& costs);

}  // namespace striate::encode
