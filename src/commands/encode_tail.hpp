#pragma once
/// permutation.tail_fit for targets one by one: each unit of the test keeps the greatest null scores of its targets,
/// from which, merged over all permutations, a generalised Pareto distribution is fitted (stats/tail.hpp).
///
/// A unit writes them to a place of its own, so that one that is done again after a kill counts once; the greatest of a
/// union do not depend on the order of its parts, so that blocks, ranks and the parts of `permute` add up exactly.
#include <filesystem>
#include <string>
#include <vector>

#include "encode_layout.hpp"
#include "striate/math/team.hpp"
#include "striate/stats/tail.hpp"

namespace striate::encode {

/// (t · Σ over blocks of tail_width) float32: tile after tile of targets, in it block after block of permutations, in
/// that target after target, its values (as Extremity sees them) descending.
[[nodiscard]] std::string tail_name(std::string const& layer, std::string const& score);
inline constexpr char const* best_tail = "/.striate/permutation_best/tail";

/// Values of a target that a block of permutations keeps: kept_tail, or all where the block is shorter.
[[nodiscard]] std::size_t tail_width(PermutationLayout const& p, std::size_t block);
/// Of a target, all blocks together.
[[nodiscard]] std::size_t tail_values(PermutationLayout const& p);
/// Where those of a tile of `targets` targets and a block begin.
[[nodiscard]] std::size_t tail_at(PermutationLayout const& p, std::size_t tile, std::size_t targets, std::size_t block);
/// Bytes that a unit holds of them; that fitting them all takes, at the end, of the first rank.
[[nodiscard]] double tail_bytes(Config const& config, Layout const& layout);
[[nodiscard]] double tail_fit_bytes(Config const& config, Layout const& layout);

/// A file whose units kept tails: open, or to be opened.
struct TailSource {
  PermutationLayout layout;
  ResultFile const* open = nullptr;
  std::filesystem::path file;
};

/// p of each target from the tail of all its null scores. `observed`: (t) as Extremity sees it; `exceed`: (t), of `n`
/// permutations, those of all sources together; `name`: of the tails in each. Bit-identical however they are cut. This
/// rank alone; its threads fit.
[[nodiscard]] std::vector<double> target_tail_p(std::vector<TailSource> const& sources, std::string const& name,
                                                std::vector<double> const& observed,
                                                std::vector<std::uint64_t> const& exceed, std::size_t n,
                                                ShapePrior const& prior, Team& team);

}  // namespace striate::encode
