// One tile of targets: multiply by the stacked hats of each inner fold, score, choose.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "epilogue.hpp"
#include "fitted.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

void Fitted::tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const {
  if (Y.rows != s_.rows.n) {
    fail(Exit::internal, "a tile of {} rows met a fold of {} rows", Y.rows, s_.rows.n);
  }
  std::size_t const t = Y.cols, k = s_.options.scores.size();
  out.score.assign(k * t, nan);
  out.inner_score.assign(tests() ? 0 : s_.rows.inner() * k * t, nan);
  out.alpha.assign(t, nan);
  out.flag.assign(t, TargetFlag::ok);
  out.prediction.resize(s_.options.predictions ? s_.rows.n_test * t : 0);
  std::fill(out.prediction.begin(), out.prediction.end(), std::numeric_limits<float>::quiet_NaN());
  out.weights.resize(s_.options.coefficients ? weight_rows() * t : 0);
  out.intercept.assign(s_.options.coefficients ? t : 0, nan);
  out.extra.assign(s_.bands.size() * (s_.options.split ? 3 : 1) * t, nan);
  out.degenerate = out.edge_low = out.edge_high = 0;
  for (std::size_t first = 0; first < t; first += target_tile) {
    block(Y.columns(first, std::min(target_tile, t - first)), first, out, work);
  }
}

void Fitted::block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const {
  Responses r;
  load(Y, first, out, r, work);
  Choice chosen{std::vector<double>(r.targets, -std::numeric_limits<double>::infinity()),
                std::vector<std::size_t>(r.targets, 0), std::vector<std::size_t>(r.targets, 0)};
  std::vector<double> mean_scores, all;
  for (std::size_t candidate = 0; selects() && candidate < s_.candidates.size(); ++candidate) {
    inner(r, first, candidate, out, mean_scores, all, work);
    choose(first, r, candidate, mean_scores, all, out, chosen);
  }
  settle(first, r, chosen, out);
  if (s_.banded()) {
    banded_outer(r, first, chosen, out, work);
  } else if (tests() || s_.options.coefficients) {
    outer(r, first, chosen.alpha, out, work);
  }
}

/// Scores of every alpha in every inner fold, with the bands so weighted. mean_scores: [target][alpha] of the selecting
/// score; all: [fold][score][target][alpha], only where the plan has no outer test.
void Fitted::inner(Responses const& r, std::size_t first, std::size_t candidate, TileResult& out,
                   std::vector<double>& mean_scores, std::vector<double>& all, Workspace& work) const {
  std::size_t const a = s_.alphas.size(), q = s_.q(), k = s_.options.scores.size(), folds = s_.rows.inner();
  mean_scores.assign(r.targets * a, 0);
  all.assign(tests() ? 0 : folds * k * r.targets * a, 0);
  for (std::size_t set = 0; set < folds; ++set) {
    std::size_t const e = s_.rows.sets[set].test.size();
    std::size_t ld = 0;
    float const* z = project(r, set, candidate == 0 && set == 0, ld, work);
    auto const& hats = s_.sets[set];
    std::size_t const rows = padded_rows(q * panel_round(e));
    float* p = work.predictions.grow(rows * r.width);
    panel_product(hats.inner + candidate * hats.next, q * panel_round(e), hats.depth, z, ld, r.width, p, work.slivers);
    for (std::size_t t = 0; t < r.targets; ++t) {
      if (out.flag[first + t] == TargetFlag::ok) {
        inner_target(r, set, t, p + t * rows, mean_scores.data() + t * a,
                     all.empty() ? nullptr : all.data() + (set * k * r.targets + t) * a, work);
      }
    }
  }
}

void Fitted::inner_target(Responses const& r, std::size_t set, std::size_t t, float const* p, double* mean_scores,
                          double* all, Workspace& work) const {
  std::size_t const a = s_.alphas.size(), q = s_.q();
  auto const& test = s_.rows.sets[set].test;
  std::size_t const e = test.size();
  std::size_t stride = panel_round(e);
  if (!s_.skeleton.exact()) {  // predictions at all alphas from those of the skeleton
    float* w = work.result.grow(q * a + e * a);
    for (std::size_t i = 0; i < q * a; ++i) {
      w[i] = static_cast<float>(s_.skeleton.weight[i]);
    }
    blas::gemm('N', 'N', e, a, q, 1.0F, p, stride, w, q, 0.0F, w + q * a, e);
    p = w + q * a;
    stride = e;
  }
  Moments m;
  m.n = static_cast<double>(e);
  double* y = work.small.grow(e);
  test_responses(r.y + t * r.used, test.data(), e, training_mean(r, t, set), y, m.y, m.yy);
  auto* sums = reinterpret_cast<Sums*>(work.moments.grow(a * 3));
  prediction_sums(p, e, stride, a, y, sums);
  auto const folds = static_cast<double>(s_.rows.inner());
  for (std::size_t i = 0; i < a; ++i) {
    m.f = sums[i].f;
    m.ff = sums[i].ff;
    m.yf = sums[i].fy;
    mean_scores[i] += score(s_.options.inner_score, m) / folds;
    for (std::size_t c = 0; all != nullptr && c < s_.options.scores.size(); ++c) {
      Score const which = s_.options.scores[c];
      all[c * r.targets * a + i] = scaled(which, score(which, m), r.sd[t]);
    }
  }
}

/// A candidate replaces an earlier one where it is better, or as good at a larger alpha.
void Fitted::choose(std::size_t first, Responses const& r, std::size_t candidate,
                    std::vector<double> const& mean_scores, std::vector<double> const& all, TileResult& out,
                    Choice& chosen) const {
  std::size_t const a = s_.alphas.size(), k = s_.options.scores.size(), folds = s_.rows.inner(),
                    total = out.alpha.size();
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    double const* scores = mean_scores.data() + t * a;
    std::size_t best = a - 1;
    for (std::size_t i = a - 1; i-- > 0;) {  // a tie goes to the larger alpha
      best = scores[i] > scores[best] ? i : best;
    }
    bool const better = scores[best] > chosen.score[t] || (scores[best] == chosen.score[t] && best > chosen.alpha[t]);
    if (candidate > 0 && !better) {
      continue;
    }
    chosen.score[t] = scores[best];
    chosen.alpha[t] = best;
    chosen.candidate[t] = candidate;
    if (all.empty()) {
      continue;
    }
    for (std::size_t c = 0; c < k; ++c) {
      double sum = 0;
      for (std::size_t f = 0; f < folds; ++f) {
        double const value = all[((f * k + c) * r.targets + t) * a + best];
        out.inner_score[(f * k + c) * total + first + t] = value;
        sum += value;
      }
      out.score[c * total + first + t] = sum / static_cast<double>(folds);
    }
  }
}

void Fitted::settle(std::size_t first, Responses const& r, Choice const& chosen, TileResult& out) const {
  std::size_t const a = s_.alphas.size();
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) {
      out.alpha[first + t] = s_.alphas[chosen.alpha[t]];
      out.edge_low += a > 1 && chosen.alpha[t] == 0 ? 1 : 0;
      out.edge_high += a > 1 && chosen.alpha[t] + 1 == a ? 1 : 0;
    }
  }
}

std::unique_ptr<FittedFold> make_fitted(std::unique_ptr<FoldState> state) {
  return std::make_unique<Fitted>(std::move(state));
}

}  // namespace striate::detail
