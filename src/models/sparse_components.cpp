#include "sparse_components.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "responses.hpp"
#include "striate/base/error.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

class SparseComponents final : public FittedFold {
 public:
  SparseComponents(std::unique_ptr<FoldState> state, ModelOptions const& options)
      : s_(*state), options_(options), alphas_(options.alphas), report_(state->report) {
    std::sort(alphas_.begin(), alphas_.end(), std::greater<>());
    alphas_.erase(std::unique(alphas_.begin(), alphas_.end()), alphas_.end());
    report_.alphas.assign(alphas_.rbegin(), alphas_.rend());
    report_.skeleton = alphas_.size();
    least_squares_ = make_fitted(std::move(state));
  }
  void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const override;
  [[nodiscard]] FoldReport const& report() const override { return report_; }
  [[nodiscard]] std::size_t weight_rows() const override { return least_squares_->weight_rows(); }
  void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                    float* out) const override {
    least_squares_->coefficients(x, first, weights, out);
  }

 private:
  /// What is known of a training set, per target.
  struct Set {
    float const* z = nullptr;  ///< depth × width, leading dimension ld: what least squares multiplies by its hats
    std::size_t ld = 0;
    std::vector<double> top, sd;  ///< max |c|; unit of alpha
  };
  struct Tile {
    Responses r;
    std::vector<TargetFlag> flag;
    Set set;
    std::vector<double> mean_scores, all;
    std::vector<std::size_t> chosen;
  };

  void block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const;
  void begin(std::size_t set, Tile& t, Workspace& work) const;
  [[nodiscard]] double correlation(std::size_t set, std::size_t k, double z) const;
  std::size_t shrink(std::size_t set, Tile const& tile, std::size_t t, std::size_t alpha, float* out) const;
  [[nodiscard]] double l1(Set const& set, std::size_t t, std::size_t alpha) const {
    return options_.relative_alphas ? alphas_[alpha] * set.top[t] : alphas_[alpha] * options_.l1_ratio * set.sd[t];
  }
  void inner(std::size_t set, std::size_t alpha, Tile& tile, Workspace& work) const;
  void choose(std::size_t first, Tile& tile, TileResult& out) const;
  void outer(std::size_t first, Tile& tile, TileResult& out, Workspace& work) const;
  void test(std::size_t first, Tile const& tile, float const* z, TileResult& out, Workspace& work) const;
  void weights(std::size_t first, Tile const& tile, float* z, TileResult& out, Workspace& work) const;

  FoldState const& s_;
  ModelOptions options_;
  std::vector<double> alphas_;  ///< descending
  FoldReport report_;
  std::unique_ptr<FittedFold> least_squares_;  ///< owns s_
};

void SparseComponents::tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const {
  if (Y.rows != s_.rows.n) {
    fail(Exit::internal, "a tile of {} rows met a fold of {} rows", Y.rows, s_.rows.n);
  }
  std::size_t const t = Y.cols, k = options_.scores.size();
  out.score.assign(k * t, nan);
  out.inner_score.assign(s_.rows.n_test > 0 ? 0 : s_.rows.inner() * k * t, nan);
  out.alpha.assign(t, nan);
  out.extra.assign(t, nan);
  out.flag.assign(t, TargetFlag::ok);
  out.prediction.assign(options_.predictions ? s_.rows.n_test * t : 0, std::numeric_limits<float>::quiet_NaN());
  out.weights.assign(options_.coefficients ? weight_rows() * t : 0, std::numeric_limits<float>::quiet_NaN());
  out.intercept.assign(options_.coefficients ? t : 0, nan);
  out.degenerate = out.edge_low = out.edge_high = 0;
  for (std::size_t first = 0; first < t; first += target_tile) {
    block(Y.columns(first, std::min(target_tile, t - first)), first, out, work);
  }
}

void SparseComponents::block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const {
  Tile tile;
  load_responses(s_.rows, Y, out.flag.data() + first, tile.r, work.y);
  auto const flags = out.flag.begin() + static_cast<std::ptrdiff_t>(first);
  tile.flag.assign(flags, flags + static_cast<std::ptrdiff_t>(Y.cols));
  std::size_t const T = Y.cols, a = alphas_.size(), folds = s_.rows.inner();
  tile.mean_scores.assign(T * a, 0);
  tile.all.assign(s_.rows.n_test > 0 ? 0 : folds * options_.scores.size() * T * a, 0);
  for (std::size_t set = 0; set < folds; ++set) {
    begin(set, tile, work);
    for (std::size_t alpha = 0; alpha < a; ++alpha) {
      inner(set, alpha, tile, work);
    }
  }
  choose(first, tile, out);
  outer(first, tile, out, work);
}

/// Projects the training responses of a set on its components.
void SparseComponents::begin(std::size_t set, Tile& tile, Workspace& work) const {
  auto const& hats = s_.sets[set];
  auto const& train = s_.rows.sets[set].train;
  auto const& r = tile.r;
  float* rows = work.rows.grow(train.size() * r.width);
  tile.set.ld = padded_rows(hats.depth);
  tile.set.top.assign(r.targets, 0);
  tile.set.sd.assign(r.targets, 1);
  for (std::size_t t = 0; t < r.width; ++t) {
    for (std::size_t i = 0; i < train.size(); ++i) {
      rows[t * train.size() + i] = r.y[t * r.used + train[i]];
    }
  }
  float* z = work.result.grow(std::max<std::size_t>(1, tile.set.ld * r.width));
  panel_product(hats.basis, hats.depth, train.size(), rows, train.size(), r.width, z, work.slivers);
  tile.set.z = z;
  for (std::size_t t = 0; t < r.targets; ++t) {
    for (std::size_t k = 0; k < hats.depth; ++k) {
      tile.set.top[t] = std::max(tile.set.top[t], std::fabs(correlation(set, k, z[t * tile.set.ld + k])));
    }
    double const mean = training_mean(s_.rows, r, t, set);
    double square = 0;
    for (std::size_t i = 0; i < train.size(); ++i) {
      double const v = static_cast<double>(rows[t * train.size() + i]) - mean;
      square += v * v;
    }
    tile.set.sd[t] = options_.standardize_responses ? std::sqrt(square / static_cast<double>(train.size())) : 1;
  }
}

/// Component k of Xᵀy/n. z is vᵀy in dual forms, where the component's scores are √λ v, and vᵀXᵀy in primal ones.
double SparseComponents::correlation(std::size_t set, std::size_t k, double z) const {
  double const root = is_dual(s_.form) ? std::sqrt(s_.sets[set].values[k]) : 1;
  return root * z / static_cast<double>(s_.rows.sets[set].train.size());
}

/// What the hats of least squares multiply at an alpha; returns how many components are not zero.
std::size_t SparseComponents::shrink(std::size_t set, Tile const& tile, std::size_t t, std::size_t alpha,
                                     float* out) const {
  auto const& hats = s_.sets[set];
  double const least = l1(tile.set, t, alpha), n = static_cast<double>(s_.rows.sets[set].train.size());
  double const ratio = options_.l1_ratio, l2 = least * (1 - ratio) / (ratio * tile.set.sd[t]);
  std::size_t active = 0;
  for (std::size_t k = 0; k < hats.depth; ++k) {
    double const z = tile.set.z[t * tile.set.ld + k], size = std::fabs(correlation(set, k, z));
    double const variance = hats.values[k] / n;
    bool const stays = tile.flag[t] == TargetFlag::ok && size > least;
    out[k] = stays ? static_cast<float>(z * (size - least) / size * variance / (variance + l2)) : 0.0F;
    active += stays ? 1 : 0;
  }
  return active;
}

void SparseComponents::inner(std::size_t set, std::size_t alpha, Tile& tile, Workspace& work) const {
  auto const& hats = s_.sets[set];
  auto const& rows = s_.rows.sets[set].test;
  auto const& r = tile.r;
  std::size_t const e = rows.size(), T = r.targets, a = alphas_.size(), k = options_.scores.size(),
                    stride = padded_rows(panel_round(e));
  float* z = work.gathered.grow(std::max<std::size_t>(1, hats.depth * r.width));
  std::fill_n(z, hats.depth * r.width, 0.0F);
  for (std::size_t t = 0; t < T; ++t) {
    (void)shrink(set, tile, t, alpha, z + t * hats.depth);
  }
  float* p = work.predictions.grow(stride * r.width);
  panel_product(hats.inner, panel_round(e), hats.depth, z, hats.depth, r.width, p, work.slivers);
  for (std::size_t t = 0; t < T; ++t) {
    if (tile.flag[t] != TargetFlag::ok) {
      continue;
    }
    Moments const m =
        test_moments(r, t, rows, training_mean(s_.rows, r, t, set), p + t * stride, work.small);
    tile.mean_scores[t * a + alpha] += score(options_.inner_score, m) / static_cast<double>(s_.rows.inner());
    for (std::size_t c = 0; !tile.all.empty() && c < k; ++c) {
      tile.all[((set * k + c) * T + t) * a + alpha] = scaled(options_, options_.scores[c], score(options_.scores[c], m), r.sd[t]);
    }
  }
}

void SparseComponents::choose(std::size_t first, Tile& tile, TileResult& out) const {
  std::size_t const a = alphas_.size(), T = tile.r.targets;
  tile.chosen.assign(T, 0);
  for (std::size_t t = 0; t < T; ++t) {
    double const* scores = tile.mean_scores.data() + t * a;
    std::size_t& best = tile.chosen[t];
    for (std::size_t i = 1; i < a; ++i) {  // a tie goes to the larger alpha, which stands first
      best = scores[i] > scores[best] ? i : best;
    }
    if (!tile.all.empty() && tile.flag[t] == TargetFlag::ok) {
      write_inner_scores(tile.all, s_.rows.inner(), T, a, t, best, first + t, out);
    }
  }
}

void SparseComponents::outer(std::size_t first, Tile& tile, TileResult& out, Workspace& work) const {
  std::size_t const set = s_.rows.inner(), depth = s_.sets[set].depth, a = alphas_.size();
  begin(set, tile, work);
  float* z = work.gathered.grow(std::max<std::size_t>(1, depth * tile.r.width));
  std::fill_n(z, depth * tile.r.width, 0.0F);
  for (std::size_t t = 0; t < tile.r.targets; ++t) {
    std::size_t const alpha = tile.chosen[t], active = shrink(set, tile, t, alpha, z + t * depth);
    if (tile.flag[t] != TargetFlag::ok) {
      continue;
    }
    out.alpha[first + t] = options_.relative_alphas ? l1(tile.set, t, alpha) / (options_.l1_ratio * tile.set.sd[t])
                                                    : alphas_[alpha];
    out.extra[first + t] = static_cast<double>(active);
    out.edge_low += a > 1 && alpha + 1 == a ? 1 : 0;
    out.edge_high += a > 1 && alpha == 0 && active > 0 ? 1 : 0;  // beyond an empty model lies nothing
  }
  if (s_.rows.n_test > 0) {
    test(first, tile, z, out, work);
  }
  if (options_.coefficients) {
    weights(first, tile, z, out, work);
  }
}

void SparseComponents::test(std::size_t first, Tile const& tile, float const* z, TileResult& out,
                            Workspace& work) const {
  auto const& r = tile.r;
  std::size_t const e = s_.rows.n_test, depth = s_.sets.back().depth, stride = padded_rows(e);
  float* p = work.predictions.grow(stride * r.width);
  panel_product(s_.outer[0], e, depth, z, depth, r.width, p, work.slivers);
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (tile.flag[t] != TargetFlag::ok) {
      continue;
    }
    float const* mine = p + t * stride;
    write_scores(options_, test_moments(r, t, s_.rows.outer().test, 0, mine, work.small), r.sd[t], first + t, out);
    write_predictions(options_, mine, e, r.mean[t], r.sd[t], first + t, out);
  }
}

void SparseComponents::weights(std::size_t first, Tile const& tile, float* z, TileResult& out, Workspace& work) const {
  auto const& hats = s_.sets.back();
  auto const& r = tile.r;
  std::size_t const m = weight_rows(), rows = padded_rows(m), width = stats_size(s_.rows.sets.size());
  for (std::size_t i = 0; i < hats.depth * r.width; ++i) {
    z[i] = static_cast<float>(z[i] / hats.values[i % hats.depth]);
  }
  float* w = work.predictions.grow(rows * r.width);
  panel_product(s_.basis_back, m, hats.depth, z, hats.depth, r.width, w, work.slivers);
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (tile.flag[t] != TargetFlag::ok) {
      continue;
    }
    double const unit = options_.standardize_responses ? 1 / r.sd[t] : 1;
    float* to = out.weights.data() + (first + t) * m;
    double offset = 0;
    for (std::size_t i = 0; i < m; ++i) {
      double const v = w[t * rows + i];
      offset += v * (is_dual(s_.form) ? s_.mean_product[i] : s_.stats[i * width]);
      to[i] = static_cast<float>(v * unit);
    }
    out.intercept[first + t] = options_.standardize_responses ? -offset * unit : r.mean[t] - offset;
  }
}

}  // namespace

std::unique_ptr<FittedFold> make_sparse_components(std::unique_ptr<FoldState> state, ModelOptions const& options) {
  return std::make_unique<SparseComponents>(std::move(state), options);
}

}  // namespace striate::detail
