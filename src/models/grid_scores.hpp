#pragma once
/// Scores of a target's held-out predictions at every alpha, from those at the skeleton's.
#include "epilogue.hpp"
#include "responses.hpp"
#include "striate/math/skeleton.hpp"

namespace striate::detail {

/// A skeleton's weights for combined_sums; none where every alpha is computed.
[[nodiscard]] std::vector<float> combination_of(Skeleton const& skeleton, std::size_t alphas);

struct GridScores {
  RowPlan const& rows;
  ModelOptions const& options;
  Skeleton const& skeleton;
  std::vector<float> const& combine;  ///< combination_of the skeleton
  std::size_t alphas;

  /// p: predictions of the test rows of inner set `set` at skeleton alphas, `stride` floats apart. Adds the selecting
  /// score over the number of inner sets to mean_scores [alpha], and writes options.scores to all (or null)
  /// [score][target of r][alpha].
  void add(Responses const& r, std::size_t set, std::size_t t, float const* p, std::size_t stride, double* mean_scores,
           double* all, Workspace& work) const;
  /// The same from sums over the test rows: m has n, y and yy.
  void take(Responses const& r, std::size_t t, Moments m, Sums const* sums, double* mean_scores, double* all) const;
};

}  // namespace striate::detail
