// Lasso and elastic net, one tile: every target walks down the grid of each training set with warm starts; at each alpha,
// working sets are solved target by target, then the gradients of the whole batch are taken panel by panel.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sparse_fold.hpp"
#include "sparse_kernels.hpp"
#include "striate/base/error.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {
namespace {

/// Duality gaps, of the variance of the responses, at which a fit counts as solved: where it is used, and on the way.
constexpr double solved = 1e-9, passing = 1e-4;
constexpr std::size_t most_rounds = 100;

}  // namespace

struct SparseFold::Batch {
  explicit Batch(Workspace& workspace) : work(workspace) {}
  Workspace& work;
  Responses r;
  std::vector<TargetFlag> flag;
  std::vector<std::size_t> good;        ///< targets that are fitted
  std::vector<std::size_t> live;        ///< of those, the ones that still walk
  Buffer<float> parts;                  ///< Xᵀy of each block: [block][target][padded feature]
  Buffer<double> c, gradient, y;        ///< [target][padded p] twice; test responses [target][row]
  Buffer<double> scratch;
  std::vector<Descent> descent;         ///< per target, of the current set
  std::vector<Sparse> active;
  std::vector<std::vector<float>> value;  ///< of `active`
  std::vector<double> yy, top, sd;      ///< variance; max |c|; unit of alpha: of the training rows of the current set
  std::vector<double> y_sum, y_square;  ///< of the test responses of the current set
  Buffer<float> prediction;             ///< [target][padded test row]
  std::vector<double> mean_scores;      ///< [target][alpha]
  std::vector<double> all;              ///< [inner fold][score][target][alpha], only without an outer test
  std::vector<std::size_t> chosen;      ///< per target, into alphas
};

void SparseFold::tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const {
  if (Y.rows != s_.rows.n) {
    fail(Exit::internal, "a tile of {} rows met a fold of {} rows", Y.rows, s_.rows.n);
  }
  std::size_t const t = Y.cols;
  clear_result(s_.options, s_.rows, s_.rows.inner(), t, 1, s_.p, out);
  Batch b(work);
  for (std::size_t first = 0; first < t; first += s_.batch) {
    batch(Y.columns(first, std::min(s_.batch, t - first)), first, out, b);
  }
}

void SparseFold::batch(MatrixView<float const> Y, std::size_t first, TileResult& out, Batch& b) const {
  std::size_t const T = Y.cols, a = s_.alphas.size(), folds = s_.rows.inner(), k = s_.options.scores.size();
  load_responses(s_.rows, Y, out.flag.data() + first, b.r, b.work.y);
  b.good.clear();
  for (std::size_t t = 0; t < T; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) {
      b.good.push_back(t);
    }
  }
  b.descent.resize(std::max(b.descent.size(), T));
  b.active.resize(b.descent.size());
  b.value.resize(b.descent.size());
  for (auto* v : {&b.yy, &b.top, &b.sd, &b.y_sum, &b.y_square}) {
    v->assign(T, 0);
  }
  b.mean_scores.assign(T * a, 0);
  b.all.assign(s_.rows.n_test > 0 ? 0 : folds * k * T * a, 0);
  products(b);
  for (std::size_t set = 0; set < folds; ++set) {
    begin_set(b, set);
    inner(b, set);
  }
  choose(b, first, out);
  outer(b, first, out);
}

/// Xᵀ(y − ȳ) of every block of training rows.
void SparseFold::products(Batch& b) const {
  std::size_t const size = padded_rows(s_.p) * b.r.width;
  auto const& begin = s_.rows.blocks.begin;
  float* parts = b.parts.grow(size * b.r.blocks);
  for (std::size_t i = 0; i < b.r.blocks; ++i) {
    panel_product(s_.x[i], s_.p, begin[i + 1] - begin[i], b.r.y + begin[i], b.r.used, b.r.width, parts + i * size,
                  b.work.slivers);
  }
}

void SparseFold::begin_set(Batch& b, std::size_t set) const {
  std::size_t const padded = s_.sets[set].gram.padded(), e = s_.rows.sets[set].test.size();
  b.c.grow(padded * b.r.targets);
  b.gradient.grow(padded * b.r.targets);
  b.y.grow(std::max<std::size_t>(1, e) * b.r.targets);
  b.prediction.grow(std::max<std::size_t>(1, round_up(e, test_rows)) * b.r.targets);
  for (auto t : b.good) {
    begin_target(b, set, t);
  }
}

/// Xᵀy/n on standardised features, from the blocks of the set, and the moments of the responses.
void SparseFold::begin_target(Batch& b, std::size_t set, std::size_t t) const {
  std::size_t const padded = s_.sets[set].gram.padded(), width = stats_size(s_.rows.sets.size()),
                    ld = padded_rows(s_.p), size = ld * b.r.width;
  auto const& rows = s_.rows.sets[set];
  auto const n = static_cast<double>(rows.train.size());
  double const mean = training_mean(s_.rows, b.r, t, set);
  double* c = b.c.data() + t * padded;
  std::fill_n(c, padded, 0.0);
  for (auto i : s_.rows.blocks.sets[set]) {
    float const* part = b.parts.data() + i * size + t * ld;
    for (std::size_t j = 0; j < s_.p; ++j) {
      c[j] += static_cast<double>(part[j]);
    }
  }
  double top = 0;
  for (std::size_t j = 0; j < s_.p; ++j) {
    double const* of = s_.stats + j * width + 1 + 2 * set;
    c[j] = (c[j] / n - of[0] * mean) * of[1];
    top = std::max(top, std::fabs(c[j]));
  }
  double square = 0;
  for (auto i : rows.train) {
    double const v = static_cast<double>(b.r.y[t * b.r.used + i]) - mean;
    square += v * v;
  }
  b.yy[t] = square / n;
  b.top[t] = top;
  b.sd[t] = s_.options.standardize_responses ? std::sqrt(b.yy[t]) : 1;
  test_responses(b.r.y + t * b.r.used, rows.test.data(), rows.test.size(), mean,
                 b.y.data() + t * std::max<std::size_t>(1, rows.test.size()), b.y_sum[t], b.y_square[t]);
  std::copy_n(c, padded, b.gradient.data() + t * padded);
  b.descent[t].start(s_.sets[set].gram, s_.sets[set].inverse, c, b.yy[t]);
}

/// Relative alphas are multiples of the smallest one at which every coefficient is zero, max |Xᵀy|/n / l1_ratio;
/// absolute ones count in the units in which the responses are fitted.
Penalty SparseFold::penalty(Batch const& b, std::size_t t, std::size_t alpha, double tolerance) const {
  double const ratio = s_.options.l1_ratio, a = s_.alphas[alpha];
  double const l1 = s_.options.relative_alphas ? a * b.top[t] : a * ratio * b.sd[t];
  return {l1, l1 * (1 - ratio) / (ratio * b.sd[t]), tolerance * b.yy[t]};
}

/// Moves b.live to an alpha of the grid.
void SparseFold::solve(Batch& b, std::size_t set, std::size_t alpha, double tolerance) const {
  auto const& gram = s_.sets[set].gram;
  std::size_t const padded = gram.padded();
  std::vector<std::vector<std::uint32_t>> enter(b.r.targets);
  std::vector<std::size_t> open = b.live;
  for (auto t : open) {
    b.descent[t].violators(b.gradient.data() + t * padded, penalty(b, t, alpha, tolerance).l1, enter[t]);
  }
  for (std::size_t round = 0; !open.empty() && round < most_rounds; ++round) {
    for (auto t : open) {
      b.descent[t].add(enter[t]);
      b.descent[t].solve(penalty(b, t, alpha, tolerance), b.scratch);
      b.descent[t].active(b.active[t]);
    }
    for (std::size_t panel = 0; panel < gram.panels(); ++panel) {
      double const* from = gram.data + panel * gram_rows * gram.p;
      for (auto t : open) {
        std::size_t const at = t * padded + panel * gram_rows;
        panel_gradient(from, b.active[t].index.data(), b.active[t].value.data(), b.active[t].index.size(),
                       b.c.data() + at, b.gradient.data() + at);
      }
    }
    std::erase_if(open, [&](std::size_t t) {
      return b.descent[t].finished(b.gradient.data() + t * padded, penalty(b, t, alpha, tolerance), enter[t]);
    });
  }
}

/// b.prediction of b.live: deviations from the training mean.
void SparseFold::predict(Batch& b, std::size_t set) const {
  std::size_t const e = s_.rows.sets[set].test.size(), stride = round_up(e, test_rows);
  for (auto t : b.live) {
    b.value[t].assign(b.active[t].value.begin(), b.active[t].value.end());
  }
  for (std::size_t first = 0; first < e; first += test_rows) {
    for (auto t : b.live) {
      panel_predictions(s_.sets[set].test + first * s_.p, b.active[t].index.data(), b.value[t].data(),
                        b.value[t].size(), b.prediction.data() + t * stride + first);
    }
  }
}

/// Scores of every alpha in an inner fold.
void SparseFold::inner(Batch& b, std::size_t set) const {
  std::size_t const a = s_.alphas.size(), k = s_.options.scores.size(), e = s_.rows.sets[set].test.size(),
                    stride = round_up(e, test_rows), T = b.r.targets;
  auto const folds = static_cast<double>(s_.rows.inner());
  b.live = b.good;
  for (std::size_t alpha = 0; alpha < a; ++alpha) {
    solve(b, set, alpha, solved);
    predict(b, set);
    for (auto t : b.live) {
      Sums sums;
      prediction_sums(b.prediction.data() + t * stride, e, stride, 1, b.y.data() + t * e, &sums);
      Moments const m{static_cast<double>(e), b.y_sum[t], b.y_square[t], sums.f, sums.ff, sums.fy};
      b.mean_scores[t * a + alpha] += score(s_.options.inner_score, m) / folds;
      for (std::size_t c = 0; !b.all.empty() && c < k; ++c) {
        Score const which = s_.options.scores[c];
        b.all[((set * k + c) * T + t) * a + alpha] = scaled(s_.options, which, score(which, m), b.r.sd[t]);
      }
    }
  }
}

void SparseFold::choose(Batch& b, std::size_t first, TileResult& out) const {
  std::size_t const a = s_.alphas.size(), T = b.r.targets;
  b.chosen.assign(T, 0);
  for (auto t : b.good) {
    double const* scores = b.mean_scores.data() + t * a;
    std::size_t& best = b.chosen[t];
    for (std::size_t i = 1; i < a; ++i) {  // a tie goes to the larger alpha, which stands first
      best = scores[i] > scores[best] ? i : best;
    }
    if (!b.all.empty()) {
      write_inner_scores(b.all, s_.rows.inner(), T, a, t, best, first + t, out);
    }
  }
}

/// The outer training rows at each target's own alpha, by way of the larger ones.
void SparseFold::outer(Batch& b, std::size_t first, TileResult& out) const {
  std::size_t const set = s_.rows.inner(), a = s_.alphas.size();
  begin_set(b, set);
  for (std::size_t alpha = 0; alpha < a; ++alpha) {
    b.live.clear();
    std::copy_if(b.good.begin(), b.good.end(), std::back_inserter(b.live), [&](auto t) { return b.chosen[t] > alpha; });
    solve(b, set, alpha, passing);
    b.live.clear();
    std::copy_if(b.good.begin(), b.good.end(), std::back_inserter(b.live),
                 [&](auto t) { return b.chosen[t] == alpha; });
    solve(b, set, alpha, solved);
    predict(b, set);
    for (auto t : b.live) {
      std::size_t const active = b.active[t].index.size();
      double const ratio = s_.options.l1_ratio;
      out.alpha[first + t] = penalty(b, t, alpha, 0).l1 / (ratio * b.sd[t]);
      if (!s_.options.relative_alphas) {
        out.alpha[first + t] = s_.alphas[alpha];
      }
      out.extra[first + t] = static_cast<double>(active);
      out.edge_low += a > 1 && alpha + 1 == a ? 1 : 0;
      out.edge_high += a > 1 && alpha == 0 && active > 0 ? 1 : 0;  // beyond an empty model lies nothing
      if (s_.rows.n_test > 0) {
        test(b, t, first + t, out);
      }
      if (s_.options.coefficients) {
        weights(b, t, first + t, out);
      }
    }
  }
}

void SparseFold::test(Batch& b, std::size_t t, std::size_t at, TileResult& out) const {
  std::size_t const e = s_.rows.n_test, stride = round_up(e, test_rows);
  float const* prediction = b.prediction.data() + t * stride;
  Sums sums;
  prediction_sums(prediction, e, stride, 1, b.y.data() + t * e, &sums);
  Moments const m{static_cast<double>(e), b.y_sum[t], b.y_square[t], sums.f, sums.ff, sums.fy};
  write_scores(s_.options, m, b.r.sd[t], at, out);
  write_predictions(s_.options, prediction, e, b.r.mean[t], b.r.sd[t], at, out);
}

/// Coefficients on raw features.
void SparseFold::weights(Batch const& b, std::size_t t, std::size_t at, TileResult& out) const {
  std::size_t const width = stats_size(s_.rows.sets.size());
  double const unit = s_.options.standardize_responses ? 1 / b.r.sd[t] : 1;
  float* to = out.weights.data() + at * s_.p;
  std::fill_n(to, s_.p, 0.0F);
  double offset = 0;
  for (std::size_t k = 0; k < b.active[t].index.size(); ++k) {
    double const* stats = s_.stats + b.active[t].index[k] * width;
    double const raw = b.active[t].value[k] * stats[width - 1];
    offset += raw * stats[0];
    to[b.active[t].index[k]] = static_cast<float>(raw * unit);
  }
  out.intercept[at] = s_.options.standardize_responses ? -offset * unit : b.r.mean[t] - offset;
}

void SparseFold::coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                              float* out) const {
  for (std::size_t c = 0; c < weights.cols; ++c) {
    std::copy_n(weights.col(c) + first, x.cols, out + c * x.cols);
  }
}

}  // namespace striate::detail
