#pragma once
/// Noise ceilings from repeated measurements of the same stimuli, and from other subjects.
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

/// Spearman and Brown: the reliability of a measurement `longer` times as long as one of reliability r.
[[nodiscard]] double spearman_brown(double r, double longer);

/// How many presentations stand behind the rows that are predicted: harmonic means, as NSD takes them (its variance of
/// the noise of an average over stimuli shown A times thrice, B twice, C once: (A/3 + B/2 + C)/(A + B + C)).
struct Presentations {
  double row = 1;       ///< over all rows; 1 where every presentation is a row
  double repeated = 1;  ///< over the stimuli that were repeated, whose mean split_half_reliability speaks of
};
[[nodiscard]] Presentations presentations(std::span<std::uint32_t const> stimulus, bool averaged);

/// NSD's noise ceiling, in percent of the variance that can be explained in averages over `rows` presentations:
/// 100 ncsnr² / (ncsnr² + 1/rows).
[[nodiscard]] double noise_ceiling_percent(double ncsnr, double rows);

/// Between subjects, after Nili et al. 2014 (doi:10.1371/journal.pcbi.1003553): per target, Pearson r of this subject's
/// responses with the mean of the others' (lower bound) and with the mean of everybody's (upper bound), each subject's
/// responses z-scored over stimuli before they are averaged, as Nili et al. do for correlations. Y: subjects · n rows
/// × t; this subject's n rows first, then the others', all in the same order of stimuli. NaN where the target is
/// constant or not finite in any subject.
void between_subjects(MatrixView<float const> Y, std::size_t subjects, std::span<double> lower,
                      std::span<double> upper);

}  // namespace striate
