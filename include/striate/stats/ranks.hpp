#pragma once
/// Ranks, and correlations of ranks.
#include <span>
#include <vector>

namespace striate {

/// Ranks from 1, ties averaged, as scipy.stats.rankdata. `out` has the length of `values`, which hold no NaN.
void rank(std::span<double const> values, std::span<double> out);

/// Spearman's rank correlation of responses y and predictions f, ties averaged; f in deviations from the mean of its
/// training rows, so that what counts as a constant prediction (0, as for pearson) is told as there. NaN where y is
/// constant or there are fewer than 2 rows.
[[nodiscard]] double spearman(std::span<double const> y, std::span<double const> f);

/// Spearman's rank correlation, ties averaged, as scipy.stats.spearmanr. NaN where either is constant or there are fewer
/// than 2 values. No NaN.
[[nodiscard]] double rank_correlation(std::span<double const> x, std::span<double const> y);

}  // namespace striate
