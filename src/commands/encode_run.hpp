#pragma once
/// The work of `encode`, from an open result file to all units done.
#include "encode_tiles.hpp"
#include "striate/commands/command.hpp"

namespace striate::encode {

/// Computes every unit that the result lacks. False where a stop came first. Collective.
[[nodiscard]] bool compute(Context& context, Config const& config, Inputs const& inputs, Layout const& layout,
                           Memory const& memory, ResultFile& result);

}  // namespace striate::encode
