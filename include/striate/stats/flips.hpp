#pragma once
/// Whether a larger model predicts held-out responses better than a smaller one: sign flips of the improvement.
///
/// d_i = (y_i − smaller_i)² − (y_i − larger_i)² of held-out rows. Where the larger model is no better, d is as likely
/// positive as negative, so that Σ d is compared with that of random signs, the same for all rows of a block that hang
/// together and for all targets. Training sets overlap, and of two models that both predict nothing the one that
/// overfits less wins by chance in all rows alike: alone this test rejects pure noise in 7 to 10 % at 0.05. Therefore
/// the larger model has also to predict better than the training mean, by the same test (an intersection-union test:
/// Berger 1982, Technometrics 24:295), which chance does not do.
#include <cstdint>
#include <span>
#include <vector>

#include "striate/stats/permute.hpp"

namespace striate {

/// Of `tests` improvements and T targets.
struct FlipCounts {
  std::vector<double> statistic;      ///< [test][T] Σ d / √Σ d², the lesser of the two tests; NaN where any d is
  std::vector<std::uint64_t> exceed;  ///< [test][T] flips that reach the observed one, the greater of the two counts
  std::vector<double> max;            ///< [test][n] greatest of both tests over targets, as statistic
};

/// `sums`: [tests + 1][blocks][T], d summed over the rows of each block; the last is of the larger model against the
/// training mean. `flips`: of `blocks` rows, Shuffle::sign; flips [0, n) are made. p = (exceed + 1)/(n + 1). What a
/// target gets does not depend on the others.
[[nodiscard]] FlipCounts flip_improvements(std::vector<double> sums, std::size_t tests, std::size_t blocks,
                                           std::size_t targets, Permuter const& flips, std::size_t n);

}  // namespace striate
