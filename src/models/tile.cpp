// One tile of targets: multiply by the stacked hats of each inner fold, score, choose.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "epilogue.hpp"
#include "feature_products.hpp"
#include "fitted.hpp"
#include "grid_scores.hpp"
#include "striate/base/error.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {

void Fitted::tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const { run(Y, {}, out, work); }

void Fitted::tile_at(MatrixView<float const> Y, std::span<double const> alpha, TileResult& out, Workspace& work) const {
  if (alpha.size() != Y.cols) {
    fail(Exit::internal, "tile_at: {} alphas for {} targets", alpha.size(), Y.cols);
  }
  run(Y, alpha, out, work);
}

/// `alpha` empty: to be chosen.
void Fitted::run(MatrixView<float const> Y, std::span<double const> alpha, TileResult& out, Workspace& work) const {
  if (Y.rows != s_.rows.n) {
    fail(Exit::internal, "a tile of {} rows met a fold of {} rows", Y.rows, s_.rows.n);
  }
  std::size_t const t = Y.cols, extras = s_.fit == Fit::cca ? 1 : s_.bands.size() * (s_.options.split ? 3 : 1);
  clear_result(s_.options, s_.rows, inner_rows(), t, extras, weight_rows(), out);
  for (std::size_t first = 0; first < t; first += s_.options.width) {
    block(Y.columns(first, std::min(s_.options.width, t - first)), alpha, first, out, work);
  }
}

/// Where the engine computes, from responses that are loaded: they, and what all sets share.
void Fitted::begin(Responses& r, FeatureProducts& products, Workspace& work) const {
  r.tile = s_.engine().load(r.y, r.used, r.used, r.width);
  if (s_.form == Form::primal) {
    products = block_products(s_.engine(), s_.factors.get(), s_.rows, s_.p, s_.x, r.tile, work);
  }
  if (s_.closed_form()) {
    r.projected = project(r, s_.rows.inner(), products, work);
  }
}

void Fitted::score_candidates(Responses const& r, std::size_t first, std::size_t weighting,
                              FeatureProducts const& products, TileResult& out, std::vector<double>& mean_scores,
                              std::vector<double>& all, Workspace& work) const {
  if (s_.closed_form()) {
    closed_form(r, first, out, mean_scores, all, work);
  } else {
    inner(r, first, weighting, products, out, mean_scores, all, work);
  }
}

void Fitted::block(MatrixView<float const> Y, std::span<double const> alpha, std::size_t first, TileResult& out,
                   Workspace& work) const {
  Responses r;
  FeatureProducts products;
  load(Y, first, out, r, work);
  auto const turn = s_.engine().turn();
  begin(r, products, work);
  Choice chosen{std::vector<double>(r.targets, -std::numeric_limits<double>::infinity()),
                std::vector<std::size_t>(r.targets, 0), std::vector<std::size_t>(r.targets, 0),
                std::vector<std::uint8_t>(r.targets, 0)};
  std::vector<double> mean_scores, all;
  if (!alpha.empty()) {
    take(alpha, first, out, chosen.alpha);
    if (!tests() && !s_.options.scores.empty()) {
      score_candidates(r, first, 0, products, out, mean_scores, all, work);
    }
    for (std::size_t t = 0; t < r.targets && !all.empty(); ++t) {
      if (out.flag[first + t] == TargetFlag::ok) {
        write_inner_scores(all, inner_rows(), r.targets, s_.candidates(), t, chosen.alpha[t], first + t, out);
      }
    }
  } else {
    for (std::size_t weighting = 0; selects() && weighting < s_.weightings.size(); ++weighting) {
      score_candidates(r, first, weighting, products, out, mean_scores, all, work);
      choose(first, r, weighting, mean_scores, all, out, chosen);
    }
    if (!s_.refine.sets.empty()) {
      refine(r, first, products, chosen, out, work);
    }
    settle(first, r, chosen, out);
  }
  if (s_.banded()) {
    banded_outer(r, first, chosen, products, out, work);
  } else if (tests() || s_.options.coefficients) {
    TileMatrix const z = s_.closed_form() ? r.projected : project(r, s_.rows.inner(), products, work);
    outer(r, first, chosen.alpha, z, out, work);
  }
}

void Fitted::choices(MatrixView<float const> Y, std::vector<double>& scores, std::vector<TargetFlag>& flag,
                     Workspace& work) const {
  TileResult out;
  out.flag.assign(Y.cols, TargetFlag::ok);
  scores.clear();
  for (std::size_t first = 0; first < Y.cols; first += s_.options.width) {
    Responses r;
    FeatureProducts products;
    load(Y.columns(first, std::min(s_.options.width, Y.cols - first)), first, out, r, work);
    auto const turn = s_.engine().turn();
    begin(r, products, work);
    std::vector<double> mean_scores, all;
    score_candidates(r, first, 0, products, out, mean_scores, all, work);
    scores.insert(scores.end(), mean_scores.begin(), mean_scores.end());
  }
  flag = out.flag;
}

/// Alphas, or numbers of components, that were chosen before: the nearest of the grid, which is the same number but for what a file does to it.
void Fitted::take(std::span<double const> alpha, std::size_t first, TileResult& out,
                  std::vector<std::size_t>& chosen) const {
  for (std::size_t t = 0; t < chosen.size(); ++t) {
    double const wanted = alpha[first + t];
    if (std::isnan(wanted)) {
      out.flag[first + t] = TargetFlag::constant;
    }
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < s_.candidates(); ++i) {
      best = std::abs(s_.candidate(i) - wanted) < std::abs(s_.candidate(best) - wanted) ? i : best;
    }
    chosen[t] = best;
    out.alpha[first + t] = s_.candidate(best);
  }
}

/// Scores of every alpha in every inner fold, with the bands so weighted. mean_scores: [target][alpha] of the selecting
/// score; all: [fold][score][target][alpha], only where the plan has no outer test.
void Fitted::inner(Responses const& r, std::size_t first, std::size_t weighting, FeatureProducts const& products,
                   TileResult& out, std::vector<double>& mean_scores, std::vector<double>& all, Workspace& work) const {
  std::size_t const a = s_.candidates(), q = s_.q(), k = s_.options.scores.size(), folds = s_.rows.inner();
  mean_scores.assign(r.targets * a, 0);
  all.assign(tests() ? 0 : folds * k * r.targets * a, 0);
  std::vector<std::size_t> targets;
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) {
      targets.push_back(t);
    }
  }
  GridScores const grid{s_.rows, s_.options, s_.skeleton, s_.combine, s_.alphas.size()};
  std::vector<double> shift(targets.size());
  for (std::size_t set = 0; set < folds; ++set) {
    auto const& test = s_.rows.sets[set].test;
    auto const& hats = s_.sets[set];
    auto const at = [&](std::size_t t) { return all.empty() ? nullptr : all.data() + (set * k * r.targets + t) * a; };
    TileMatrix const z = project(r, set, products, work);
    for (std::size_t i = 0; s_.by_components() && i < targets.size(); ++i) {
      std::size_t const t = targets[i];
      inner_components(r, set, t, z.host + t * z.ld, mean_scores.data() + t * a, at(t), work);
    }
    if (s_.by_components()) {
      continue;
    }
    for (std::size_t i = 0; i < targets.size(); ++i) {
      shift[i] = training_mean(s_.rows, r, targets[i], set);
    }
    std::size_t const stride = panel_round(test.size()), rows = q * stride;
    float* p = work.predictions.grow(padded_rows(rows) * r.width);
    TileMatrix const predicted = s_.product({hats.inner + weighting * hats.next, rows, hats.depth}, z, p, work.slivers);
    Moments m;
    m.n = static_cast<double>(test.size());
    s_.engine().sums({.predictions = predicted,
                      .y = r.tile,
                      .rows = test,
                      .targets = targets,
                      .shift = shift,
                      .stride = stride,
                      .stacked = q,
                      .alphas = a,
                      .combine = s_.skeleton.exact() ? nullptr : s_.combine.data()},
                     work.small, work.moments, [&](std::size_t i, double y, double yy, Sums const* sums) {
                       m.y = y;
                       m.yy = yy;
                       grid.take(r, targets[i], m, sums, mean_scores.data() + targets[i] * a, at(targets[i]));
                     });
  }
}

/// The same for every number of components: predictions grow term by term, and are scored after each.
void Fitted::inner_components(Responses const& r, std::size_t set, std::size_t t, float const* z, double* mean_scores,
                              double* all, Workspace& work) const {
  auto const& test = s_.rows.sets[set].test;
  auto const& hats = s_.sets[set];
  std::size_t const e = test.size(), a = s_.candidates();
  Moments m;
  m.n = static_cast<double>(e);
  double* y = work.small.grow(panel_round(e));
  test_responses(r.y + t * r.used, test.data(), e, training_mean(s_.rows, r, t, set), y, m.y, m.yy);
  std::fill(y + e, y + panel_round(e), 0.0);
  auto* sums = reinterpret_cast<Sums*>(work.moments.grow((hats.depth + 1) * 3));
  cumulative_sums(hats.inner, panel_round(e), hats.depth, z, y, sums);
  auto const folds = static_cast<double>(s_.rows.inner());
  for (std::size_t i = 0; i < a; ++i) {
    Sums const& sum = sums[s_.counts[i]];
    m.f = sum.f;
    m.ff = sum.ff;
    m.yf = sum.fy;
    mean_scores[i] += score(s_.options.inner_score, m) / folds;
    for (std::size_t c = 0; all != nullptr && c < s_.options.scores.size(); ++c) {
      Score const which = s_.options.scores[c];
      all[c * r.targets * a + i] = scaled(s_.options, which, score(which, m), r.sd[t]);
    }
  }
}

/// A weighting replaces an earlier one where it is better, or as good at a larger alpha.
void Fitted::choose(std::size_t first, Responses const& r, std::size_t weighting,
                    std::vector<double> const& mean_scores, std::vector<double> const& all, TileResult& out,
                    Choice& chosen) const {
  std::size_t const a = s_.candidates();
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    double const* scores = mean_scores.data() + t * a;
    std::size_t best = a - 1;
    for (std::size_t i = a - 1; i-- > 0;) {  // a tie goes to the larger alpha, to fewer components
      best = scores[i] > scores[best] ? i : best;
    }
    bool const better = scores[best] > chosen.score[t] || (scores[best] == chosen.score[t] && best > chosen.alpha[t]);
    if (weighting > 0 && !better) {
      continue;
    }
    chosen.score[t] = scores[best];
    chosen.alpha[t] = best;
    chosen.candidate[t] = weighting;
    if (!all.empty()) {
      write_inner_scores(all, inner_rows(), r.targets, a, t, best, first + t, out);
    }
  }
}

void Fitted::settle(std::size_t first, Responses const& r, Choice const& chosen, TileResult& out) const {
  std::size_t const a = s_.candidates();
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok && chosen.refined[t] == 0) {
      out.alpha[first + t] = s_.candidate(chosen.alpha[t]);
      if (s_.fit == Fit::cca) {
        out.extra[first + t] = s_.penalty;
      }
      out.edge_low += a > 1 && chosen.alpha[t] == 0 ? 1 : 0;
      out.edge_high += a > 1 && chosen.alpha[t] + 1 == a ? 1 : 0;
    }
  }
}

std::unique_ptr<FittedFold> make_fitted(std::unique_ptr<FoldState> state) {
  return std::make_unique<Fitted>(std::move(state));
}

}  // namespace striate::detail
