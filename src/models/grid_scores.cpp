#include "grid_scores.hpp"

#include "epilogue.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {

std::vector<float> combination_of(Skeleton const& skeleton, std::size_t alphas) {
  std::size_t const q = skeleton.chosen.size(), across = round_up(alphas, combined_lanes);
  std::vector<float> combine(skeleton.exact() ? 0 : q * across, 0.0F);
  for (std::size_t i = 0; !skeleton.exact() && i < q * alphas; ++i) {
    combine[i % q * across + i / q] = static_cast<float>(skeleton.weight[i]);
  }
  return combine;
}

void GridScores::add(Responses const& r, std::size_t set, std::size_t t, float const* p, std::size_t stride,
                     double* mean_scores, double* all, Workspace& work) const {
  std::size_t const a = alphas, q = skeleton.chosen.size();
  auto const& test = rows.sets[set].test;
  std::size_t const e = test.size();
  Moments m;
  m.n = static_cast<double>(e);
  double* y = work.small.grow(e);
  test_responses(r.y + t * r.used, test.data(), e, training_mean(rows, r, t, set), y, m.y, m.yy);
  auto* sums = reinterpret_cast<Sums*>(work.moments.grow(round_up(a, combined_lanes) * 3));
  if (skeleton.exact()) {
    prediction_sums(p, e, stride, a, y, sums);
  } else {  // predictions at all alphas from those of the skeleton
    combined_sums(p, e, stride, q, combine.data(), round_up(a, combined_lanes), y, sums);
  }
  take(r, t, m, sums, mean_scores, all);
}

void GridScores::take(Responses const& r, std::size_t t, Moments m, Sums const* sums, double* mean_scores,
                      double* all) const {
  std::size_t const a = alphas;
  auto const folds = static_cast<double>(rows.inner());
  for (std::size_t i = 0; i < a; ++i) {
    m.f = sums[i].f;
    m.ff = sums[i].ff;
    m.yf = sums[i].fy;
    mean_scores[i] += score(options.inner_score, m) / folds;
    for (std::size_t c = 0; all != nullptr && c < options.scores.size(); ++c) {
      Score const which = options.scores[c];
      all[c * r.targets * a + i] = scaled(options, which, score(which, m), r.sd[t]);
    }
  }
}

}  // namespace striate::detail
