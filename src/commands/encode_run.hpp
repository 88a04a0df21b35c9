#pragma once
/// The work of `encode` and `permute`, from an open result file to all units done.
#include "encode_permute.hpp"
#include "encode_tiles.hpp"
#include "striate/commands/command.hpp"

namespace striate::encode {

/// Computes every unit that the result lacks. False where a stop came first. Collective.
[[nodiscard]] bool compute(Context& context, Config const& config, Inputs const& inputs, Layout const& layout,
                           Memory const& memory, ResultFile& result);
/// The same for a layout of permutations alone, whose scores are known.
[[nodiscard]] bool compute_permutations(Context& context, Config const& config, Inputs const& inputs,
                                        Layout const& layout, Memory const& memory, Observed const& observed,
                                        ResultFile& result);

}  // namespace striate::encode
