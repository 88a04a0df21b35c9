#pragma once
/// Noise ceilings from repeated measurements of the same stimuli.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "striate/math/matrix.hpp"

namespace striate {

/// How repeats are halved: per split, for every stimulus with at least two rows, half of its rows (rounded down) go
/// to each side; odd ones are left out. Made once, applied to every tile of targets.
struct HalfSplits {
  std::size_t stimuli = 0;                                    ///< that have two repeats or more
  double longer = 0;  ///< repeats of a stimulus over those in a half, mean over stimuli: 2, or 3 for three repeats
  std::vector<std::vector<std::vector<std::uint32_t>>> a, b;  ///< [split][stimulus] → rows
};

/// `stimulus[row]` numbers the stimulus of each row. Where all halvings are at most `count` in number (every
/// stimulus has two repeats: one way), they are all taken; else `count` random ones keyed by (seed, split) in Philox.
/// Throws Error(Exit::data) where fewer than three stimuli have repeats.
[[nodiscard]] HalfSplits half_splits(std::span<std::uint32_t const> stimulus, std::uint64_t seed,
                                     std::size_t count = 100);

/// Per target: Pearson r between the two half means over stimuli, Spearman-Brown m r / (1 + (m − 1) r) with m =
/// HalfSplits::longer, averaged over splits: the reliability of the mean over all repeats. NaN for a constant or non-finite target. Y: rows × t.
void split_half_reliability(HalfSplits const& splits, MatrixView<float const> Y, std::span<double> out);

/// Noise-ceiling signal-to-noise ratio of Allen et al. 2022 (NSD): sqrt(max(0, 1 − σ²_noise)) / σ_noise with z-scored
/// responses, σ²_noise the mean over stimuli of the variance over repeats (ddof 1). NaN as above.
void ncsnr(std::span<std::uint32_t const> stimulus, MatrixView<float const> Y, std::span<double> out);

}  // namespace striate
