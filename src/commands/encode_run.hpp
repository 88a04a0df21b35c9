#pragma once
/// The work of `encode` and `permute`, from an open result file to all units done.
#include "encode_permute.hpp"
#include "encode_tiles.hpp"
#include "striate/commands/command.hpp"
#include "striate/math/engine.hpp"

namespace striate::encode {

/// Where the job's products are made; says so in context.details, and in context.identity what of it changes results.
/// Throws Error(Exit::config). Collective.
[[nodiscard]] std::shared_ptr<Engine const> make_engine(Context& context, Config const& config);

/// Computes every unit that the result lacks. False where a stop came first. Collective.
[[nodiscard]] bool compute(Context& context, Config const& config, Inputs const& inputs, Layout const& layout,
                           Memory const& memory, ResultFile& result, Engine const& engine = blas_engine());
/// The same for a layout of permutations alone, whose scores are known.
[[nodiscard]] bool compute_permutations(Context& context, Config const& config, Inputs const& inputs,
                                        Layout const& layout, Memory const& memory, Observed const& observed,
                                        ResultFile& result, Engine const& engine = blas_engine());

}  // namespace striate::encode
