// One tile of targets: project, multiply by the stacked hats of a fold, score, choose, refit.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "epilogue.hpp"
#include "fold.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// What is known of the responses of a tile. Columns are padded with zeros.
struct Responses {
  std::size_t targets = 0, width = 0, used = 0, blocks = 0;
  float* y = nullptr;                  ///< used × width, less the outer training mean
  std::vector<double> mean, sd;        ///< per target, of the outer training rows
  std::vector<double> block_sum;       ///< [target][block], of y
};

class Fitted final : public FittedFold {
 public:
  explicit Fitted(std::unique_ptr<FoldState> state) : state_(std::move(state)), s_(*state_) {}
  void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const override;
  [[nodiscard]] FoldReport const& report() const override { return s_.report; }
  [[nodiscard]] std::size_t weight_rows() const override { return is_dual(s_.form) ? s_.rows.n_train : s_.p; }
  void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights, float* out) const override;

 private:
  void block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const;
  void load(MatrixView<float const> Y, std::size_t first, TileResult& out, Responses& r, Workspace& work) const;
  [[nodiscard]] TargetFlag load_target(float const* y, std::size_t t, Responses& r) const;
  [[nodiscard]] double training_mean(Responses const& r, std::size_t t, std::size_t set) const;
  float const* project(Responses const& r, std::size_t set, std::size_t& ld, Workspace& work) const;
  float const* feature_products(Responses const& r, std::size_t set, Workspace& work) const;
  void inner(Responses const& r, std::size_t first, TileResult& out, std::vector<double>& mean_scores, std::vector<double>& all,
             Workspace& work) const;
  void inner_target(Responses const& r, std::size_t set, std::size_t t, float const* p, double* mean_scores, double* all,
                    Workspace& work) const;
  void choose(std::size_t first, Responses const& r, std::vector<double> const& mean_scores, std::vector<double> const& all,
              TileResult& out, std::vector<std::size_t>& chosen) const;
  void outer(Responses const& r, std::size_t first, std::vector<std::size_t> const& chosen, TileResult& out, Workspace& work) const;
  void test_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group, float const* z,
                  TileResult& out, Workspace& work) const;
  void weight_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group, float const* z,
                    TileResult& out, Workspace& work) const;
  [[nodiscard]] double scaled(Score score, double value, double sd) const {
    return score == Score::mse && s_.options.standardize_responses ? value / (sd * sd) : value;
  }
  [[nodiscard]] bool selects() const { return s_.rows.inner() > 0; }
  [[nodiscard]] bool tests() const { return s_.rows.n_test > 0; }

  std::unique_ptr<FoldState> state_;
  FoldState const& s_;
};

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
  std::fill(out.weights.begin(), out.weights.end(), std::numeric_limits<float>::quiet_NaN());
  out.intercept.assign(s_.options.coefficients ? t : 0, nan);
  out.degenerate = out.edge_low = out.edge_high = 0;
  for (std::size_t first = 0; first < t; first += target_tile) {
    block(Y.columns(first, std::min(target_tile, t - first)), first, out, work);
  }
}

void Fitted::block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const {
  Responses r;
  load(Y, first, out, r, work);
  std::vector<std::size_t> chosen(r.targets, 0);
  if (selects()) {
    std::vector<double> mean_scores, all;
    inner(r, first, out, mean_scores, all, work);
    choose(first, r, mean_scores, all, out, chosen);
  } else {
    for (std::size_t t = 0; t < r.targets; ++t) {
      out.alpha[first + t] = out.flag[first + t] == TargetFlag::ok ? s_.alphas[0] : nan;
    }
  }
  if (tests() || s_.options.coefficients) {
    outer(r, first, chosen, out, work);
  }
}

void Fitted::load(MatrixView<float const> Y, std::size_t first, TileResult& out, Responses& r, Workspace& work) const {
  r.targets = Y.cols;
  r.width = padded_cols(Y.cols);
  r.used = s_.rows.row.size();
  r.blocks = s_.rows.blocks.blocks();
  r.y = work.y.grow(r.used * r.width);
  r.mean.assign(r.targets, 0);
  r.sd.assign(r.targets, 1);
  r.block_sum.assign(r.targets * r.blocks, 0);
  std::fill(r.y + r.used * r.targets, r.y + r.used * r.width, 0.0F);
  for (std::size_t t = 0; t < r.targets; ++t) {
    TargetFlag const flag = load_target(Y.col(t), t, r);
    out.flag[first + t] = flag;
    if (flag != TargetFlag::ok) {  // its neighbours never see it
      std::fill_n(r.y + t * r.used, r.used, 0.0F);
      std::fill_n(r.block_sum.begin() + static_cast<std::ptrdiff_t>(t * r.blocks), r.blocks, 0.0);
    }
  }
}

TargetFlag Fitted::load_target(float const* y, std::size_t t, Responses& r) const {
  float* out = r.y + t * r.used;
  float zero = 0;
  for (std::size_t i = 0; i < r.used; ++i) {
    out[i] = y[s_.rows.row[i]];
    zero += out[i] * 0.0F;
  }
  if (!(zero == 0.0F)) {
    return TargetFlag::not_finite;
  }
  auto const& blocks = s_.rows.blocks;
  std::vector<float> low(r.blocks), high(r.blocks);
  double sum = 0;
  for (std::size_t b = 0; b < r.blocks; ++b) {
    low[b] = high[b] = out[blocks.begin[b]];
    for (std::size_t i = blocks.begin[b]; i < blocks.begin[b + 1]; ++i) {
      low[b] = std::min(low[b], out[i]);
      high[b] = std::max(high[b], out[i]);
      sum += out[i];
    }
  }
  for (std::size_t set = 0; set < s_.rows.sets.size(); ++set) {
    float l = std::numeric_limits<float>::infinity(), h = -l;
    for (auto b : blocks.sets[set]) {
      l = std::min(l, low[b]);
      h = std::max(h, high[b]);
    }
    auto const& test = s_.rows.sets[set].test;
    bool const varies = test.empty() || std::any_of(test.begin(), test.end(), [&](auto i) { return out[i] != out[test[0]]; });
    if (!(h > l) || !varies) {
      return TargetFlag::constant;
    }
  }
  auto const n = static_cast<double>(s_.rows.n_train);
  double const mean = sum / n;
  double square = 0;
  for (std::size_t b = 0; b < r.blocks; ++b) {
    double part = 0;
    for (std::size_t i = blocks.begin[b]; i < blocks.begin[b + 1]; ++i) {
      out[i] = static_cast<float>(static_cast<double>(out[i]) - mean);
      part += out[i];
      square += static_cast<double>(out[i]) * out[i];
    }
    r.block_sum[t * r.blocks + b] = part;
  }
  for (std::size_t i = s_.rows.n_train; i < r.used; ++i) {
    out[i] = static_cast<float>(static_cast<double>(out[i]) - mean);
  }
  r.mean[t] = mean;
  r.sd[t] = std::sqrt(square / n);
  return TargetFlag::ok;
}

double Fitted::training_mean(Responses const& r, std::size_t t, std::size_t set) const {
  double sum = 0;
  for (auto b : s_.rows.blocks.sets[set]) {
    sum += r.block_sum[t * r.blocks + b];
  }
  return sum / static_cast<double>(s_.rows.sets[set].train.size());
}

/// z of a set: what its hats multiply. depth × width.
float const* Fitted::project(Responses const& r, std::size_t set, std::size_t& ld, Workspace& work) const {
  auto const& hats = s_.sets[set];
  float const* z = r.y;
  ld = r.used;
  if (!is_dual(s_.form)) {
    z = feature_products(r, set, work);
    ld = padded_rows(s_.p);
  } else if (set < s_.rows.inner()) {
    ld = s_.rows.sets[set].train.size();
    float* rows = work.rows.grow(ld * r.width);
    for (std::size_t t = 0; t < r.width; ++t) {
      float* to = rows + t * ld;
      for (auto b : s_.rows.blocks.sets[set]) {
        auto const from = s_.rows.blocks.begin[b], end = s_.rows.blocks.begin[b + 1];
        to = std::copy(r.y + t * r.used + from, r.y + t * r.used + end, to);
      }
    }
    z = rows;
  }
  if (is_spectral(s_.form)) {
    float* c = work.result.grow(padded_rows(hats.depth) * r.width);
    panel_product(hats.basis, hats.depth, hats.basis_rows, z, ld, r.width, c, work.slivers);
    z = c;
    ld = padded_rows(hats.depth);
  }
  return z;
}

/// Xᵀ(y − ȳ) over the training rows of a set: sums of per-block products, which all sets share.
float const* Fitted::feature_products(Responses const& r, std::size_t set, Workspace& work) const {
  std::size_t const ld = padded_rows(s_.p), size = ld * r.width, width = stats_size(s_.rows.sets.size());
  auto const& blocks = s_.rows.blocks;
  if (set == 0) {
    float* c = work.products.grow(size * (r.blocks + 1));
    for (std::size_t b = 0; b < r.blocks; ++b) {
      panel_product(s_.x[b], s_.p, blocks.begin[b + 1] - blocks.begin[b], r.y + blocks.begin[b], r.used, r.width, c + (b + 1) * size,
                    work.slivers);
    }
    std::copy_n(c + size, size, c);  // slot 0: the sum of all blocks
    for (std::size_t b = 1; b < r.blocks; ++b) {
      float const* part = c + (b + 1) * size;
      for (std::size_t i = 0; i < size; ++i) {
        c[i] += part[i];
      }
    }
  }
  float const* all = work.products.data();
  auto const& mine = blocks.sets[set];
  if (mine.size() == r.blocks) {
    return all;
  }
  float* z = work.rows.grow(size);
  bool const few = mine.size() * 2 <= r.blocks;  // add what is in, or take away what is out
  auto const n = static_cast<double>(s_.rows.sets[set].train.size());
  std::vector<float> mean(s_.p);
  for (std::size_t j = 0; j < s_.p; ++j) {
    mean[j] = static_cast<float>(n * s_.stats[j * width + 1 + 2 * set]);
  }
  for (std::size_t t = 0; t < r.width; ++t) {
    float* column = z + t * ld;
    auto const centre = t < r.targets ? static_cast<float>(training_mean(r, t, set)) : 0.0F;
    for (std::size_t j = 0; j < s_.p; ++j) {
      column[j] = (few ? 0.0F : all[t * ld + j]) - mean[j] * centre;
    }
    for (std::uint32_t b = 0; b < r.blocks; ++b) {
      bool const in = std::binary_search(mine.begin(), mine.end(), b);
      float const* part = all + (b + 1) * size + t * ld;
      if (in == few) {
        float const sign = few ? 1.0F : -1.0F;
        for (std::size_t j = 0; j < s_.p; ++j) {
          column[j] += sign * part[j];
        }
      }
    }
  }
  return z;
}

/// Scores of every alpha in every inner fold. mean_scores: [target][alpha] of the selecting score; all:
/// [fold][score][target][alpha], only where the plan has no outer test.
void Fitted::inner(Responses const& r, std::size_t first, TileResult& out, std::vector<double>& mean_scores, std::vector<double>& all,
                   Workspace& work) const {
  std::size_t const a = s_.alphas.size(), q = s_.q(), k = s_.options.scores.size(), folds = s_.rows.inner();
  mean_scores.assign(r.targets * a, 0);
  all.assign(tests() ? 0 : folds * k * r.targets * a, 0);
  for (std::size_t set = 0; set < folds; ++set) {
    std::size_t const e = s_.rows.sets[set].test.size();
    std::size_t ld = 0;
    float const* z = project(r, set, ld, work);
    auto const& hats = s_.sets[set];
    std::size_t const rows = padded_rows(q * panel_round(e));
    float* p = work.predictions.grow(rows * r.width);
    panel_product(hats.inner, q * panel_round(e), hats.depth, z, ld, r.width, p, work.slivers);
    for (std::size_t t = 0; t < r.targets; ++t) {
      if (out.flag[first + t] == TargetFlag::ok) {
        inner_target(r, set, t, p + t * rows, mean_scores.data() + t * a,
                     all.empty() ? nullptr : all.data() + (set * k * r.targets + t) * a, work);
      }
    }
  }
}

void Fitted::inner_target(Responses const& r, std::size_t set, std::size_t t, float const* p, double* mean_scores, double* all,
                          Workspace& work) const {
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

void Fitted::choose(std::size_t first, Responses const& r, std::vector<double> const& mean_scores, std::vector<double> const& all,
                    TileResult& out, std::vector<std::size_t>& chosen) const {
  std::size_t const a = s_.alphas.size(), k = s_.options.scores.size(), folds = s_.rows.inner(), total = out.alpha.size();
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    double const* scores = mean_scores.data() + t * a;
    std::size_t best = a - 1;
    for (std::size_t i = a - 1; i-- > 0;) {  // a tie goes to the larger alpha
      best = scores[i] > scores[best] ? i : best;
    }
    chosen[t] = best;
    out.alpha[first + t] = s_.alphas[best];
    out.edge_low += a > 1 && best == 0 ? 1 : 0;
    out.edge_high += a > 1 && best + 1 == a ? 1 : 0;
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

/// Held-out predictions and weights at each target's own alpha: targets are grouped by it.
void Fitted::outer(Responses const& r, std::size_t first, std::vector<std::size_t> const& chosen, TileResult& out, Workspace& work) const {
  std::size_t const set = s_.rows.inner();
  std::size_t ld = 0;
  float const* z = project(r, set, ld, work);
  std::size_t const depth = s_.sets[set].depth;  // 0 where no component varies: every prediction is the mean
  std::vector<std::size_t> order;
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) {
      order.push_back(t);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](auto x, auto y) { return chosen[x] < chosen[y]; });
  float* mine = work.gathered.grow(depth * r.width);
  for (std::size_t at = 0; at < order.size();) {
    std::size_t const alpha = chosen[order[at]];
    std::size_t end = at;
    while (end < order.size() && chosen[order[end]] == alpha) {
      if (depth > 0) {
        std::copy_n(z + order[end] * ld, depth, mine + (end - at) * depth);
      }
      ++end;
    }
    std::fill_n(mine + (end - at) * depth, (padded_cols(end - at) - (end - at)) * depth, 0.0F);
    std::span<std::size_t const> const group(order.data() + at, end - at);
    if (tests()) {
      test_group(r, first, alpha, group, mine, out, work);
    }
    if (s_.options.coefficients) {
      weight_group(r, first, alpha, group, mine, out, work);
    }
    at = end;
  }
}

void Fitted::test_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group, float const* z,
                        TileResult& out, Workspace& work) const {
  auto const& hats = s_.sets.back();
  std::size_t const e = s_.rows.n_test, total = out.alpha.size(), rows = padded_rows(e);
  float* p = work.predictions.grow(rows * padded_cols(group.size()));
  panel_product(s_.outer[alpha], e, hats.depth, z, hats.depth, padded_cols(group.size()), p, work.slivers);
  for (std::size_t g = 0; g < group.size(); ++g) {
    std::size_t const t = group[g];
    Moments m;
    m.n = static_cast<double>(e);
    double* y = work.small.grow(e);
    test_responses(r.y + t * r.used, s_.rows.outer().test.data(), e, 0, y, m.y, m.yy);
    Sums sums;
    prediction_sums(p + g * rows, e, rows, 1, y, &sums);
    m.f = sums.f;
    m.ff = sums.ff;
    m.yf = sums.fy;
    out.degenerate += constant_prediction(m) ? 1 : 0;
    for (std::size_t c = 0; c < s_.options.scores.size(); ++c) {
      Score const which = s_.options.scores[c];
      out.score[c * total + first + t] = scaled(which, score(which, m), r.sd[t]);
    }
    for (std::size_t i = 0; s_.options.predictions && i < e; ++i) {
      double const deviation = p[g * rows + i];
      out.prediction[(first + t) * e + i] =
          static_cast<float>(s_.options.standardize_responses ? deviation / r.sd[t] : deviation + r.mean[t]);
    }
  }
}

void Fitted::weight_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group, float const* z,
                          TileResult& out, Workspace& work) const {
  auto const& hats = s_.sets.back();
  std::size_t const m = hats.basis_rows, width = stats_size(s_.rows.sets.size());
  std::size_t const rows = padded_rows(m), cols = padded_cols(group.size());
  float* w = work.predictions.grow(rows * cols);
  if (!is_spectral(s_.form)) {
    panel_product(s_.inverse[alpha], m, m, z, m, cols, w, work.slivers);
  } else {
    std::vector<float> shrunk(hats.depth * cols);
    for (std::size_t i = 0; i < shrunk.size(); ++i) {
      shrunk[i] = static_cast<float>(z[i] / (s_.eigenvalues[i % hats.depth] + s_.alphas[alpha]));
    }
    panel_product(s_.basis_back, m, hats.depth, shrunk.data(), hats.depth, cols, w, work.slivers);
  }
  for (std::size_t g = 0; g < group.size(); ++g) {
    std::size_t const t = group[g];
    double const unit = s_.options.standardize_responses ? 1 / r.sd[t] : 1;
    float* to = out.weights.data() + (first + t) * m;
    double offset = 0;
    for (std::size_t i = 0; i < m; ++i) {
      double const v = w[g * rows + i];
      offset += v * (is_dual(s_.form) ? s_.mean_product[i] : s_.stats[i * width]);
      to[i] = static_cast<float>(v * unit);
    }
    out.intercept[first + t] = s_.options.standardize_responses ? -offset * unit : r.mean[t] - offset;
  }
}

void Fitted::coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights, float* out) const {
  std::size_t const count = x.cols, t = weights.cols, width = stats_size(s_.rows.sets.size()), sets = s_.rows.sets.size();
  if (!is_dual(s_.form)) {
    for (std::size_t c = 0; c < t; ++c) {
      std::copy_n(weights.col(c) + first, count, out + c * count);
    }
    return;
  }
  std::size_t const n = s_.rows.n_train;
  Buffer<float> panel(n * count);
  for (std::size_t j = 0; j < count; ++j) {
    double const* st = s_.stats + (first + j) * width;
    double const scale = st[2 * sets];
    for (std::size_t i = 0; i < n; ++i) {
      panel[i + j * n] = static_cast<float>((static_cast<double>(x(s_.rows.row[i], j)) - st[0]) * scale * scale);
    }
  }
  blas::gemm('T', 'N', count, t, n, 1.0F, panel.data(), n, weights.data, weights.stride, 0.0F, out, count);
}

}  // namespace

std::unique_ptr<FittedFold> make_fitted(std::unique_ptr<FoldState> state) { return std::make_unique<Fitted>(std::move(state)); }

}  // namespace striate::detail
