// Feature-weighted receptive fields, one tile: every field in turn, then each target's own.
#include "field_fold.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "feature_products.hpp"
#include "grid_scores.hpp"
#include "striate/base/error.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {
namespace {

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

/// Some targets of a tile.
Responses pick(Responses const& r, std::span<std::size_t const> who, Buffer<float>& memory) {
  Responses some;
  some.targets = who.size();
  some.width = padded_cols(who.size());
  some.used = r.used;
  some.blocks = r.blocks;
  some.y = memory.grow(r.used * some.width);
  std::fill(some.y + r.used * who.size(), some.y + r.used * some.width, 0.0F);
  for (std::size_t k = 0; k < who.size(); ++k) {
    std::copy_n(r.y + who[k] * r.used, r.used, some.y + k * r.used);
    some.mean.push_back(r.mean[who[k]]);
    some.sd.push_back(r.sd[who[k]]);
    auto const sums = r.block_sum.begin() + static_cast<std::ptrdiff_t>(who[k] * r.blocks);
    some.block_sum.insert(some.block_sum.end(), sums, sums + static_cast<std::ptrdiff_t>(r.blocks));
  }
  return some;
}

}  // namespace

/// What a target has chosen so far.
struct FieldFold::Best {
  double score = -std::numeric_limits<double>::infinity();
  std::size_t field = 0, alpha = 0;
};

/// Targets that chose the same field; `who`: where they stand in the block.
struct FieldFold::Group {
  std::size_t field;
  std::span<std::size_t const> who;
  Responses r;
};

void FieldFold::tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const {
  if (Y.rows != s_.rows.n) {
    fail(Exit::internal, "a tile of {} rows met a fold of {} rows", Y.rows, s_.rows.n);
  }
  std::size_t const t = Y.cols;
  clear_result(s_.options, s_.rows, s_.rows.inner(), t, 3, weight_rows(), out);
  for (std::size_t first = 0; first < t; first += target_tile) {
    block(Y.columns(first, std::min(target_tile, t - first)), first, out, work);
  }
}

void FieldFold::block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const {
  Responses r;
  load_responses(s_.rows, Y, out.flag.data() + first, r, work.y);
  std::vector<Best> best(r.targets);
  for (std::size_t f = 0; s_.rows.inner() > 0 && f < s_.candidates.size(); ++f) {
    search(f, r, first, best, out, work);
  }
  settle(first, best, out);
  outer(r, first, best, out, work);
}

/// What project() needs of all sets together.
FeatureProducts FieldFold::feature_products(FieldCandidate const& c, Responses const& r, Workspace& work) const {
  if (by_rows(s_.rows, s_.features)) {
    return {};
  }
  return block_products(blas_engine(), nullptr, s_.rows, s_.features, c.x, {r.y, r.used, r.used, r.width}, work);
}

/// Vᵀ Xᵀ y of a set: depth × width with leading dimension padded_rows(depth), in work.result.
float const* FieldFold::project(FieldCandidate const& c, std::size_t set, Responses const& r,
                                FeatureProducts const& products, Workspace& work) const {
  FieldSet const& of = c.sets[set];
  float* z = work.result.grow(std::max<std::size_t>(1, padded_rows(of.depth) * r.width));
  if (by_rows(s_.rows, s_.features)) {
    std::size_t ld = 0;
    float const* y = training_responses(s_.rows, r, set, ld, work.rows);
    panel_product(of.rotate, of.depth, s_.rows.sets[set].train.size(), y, ld, r.width, z, work.slivers);
    return z;
  }
  float const* raw = set_products(blas_engine(), s_.rows, s_.features, c.stats, r, set, products, work).host;
  panel_product(of.rotate, of.depth, s_.features, raw, padded_rows(s_.features), r.width, z, work.slivers);
  return z;
}

/// Scores of every alpha with one field in every inner fold.
void FieldFold::search(std::size_t field, Responses const& r, std::size_t first, std::vector<Best>& best,
                       TileResult& out, Workspace& work) const {
  FieldCandidate const& c = s_.candidates[field];
  Skeleton const& skeleton = s_.skeletons[c.skeleton];
  std::size_t const a = c.alphas.size(), q = skeleton.chosen.size(), T = r.targets, k = s_.options.scores.size(),
                    folds = s_.rows.inner();
  std::vector<double> mean_scores(T * a, 0.0), all(s_.rows.n_test > 0 ? 0 : folds * k * T * a);
  GridScores const scores{s_.rows, s_.options, skeleton, s_.combine[c.skeleton], a};
  auto const products = feature_products(c, r, work);
  for (std::size_t set = 0; set < folds; ++set) {
    FieldSet const& of = c.sets[set];
    std::size_t const e = s_.rows.sets[set].test.size(), rows = padded_rows(e), size = rows * r.width,
                      ld = padded_rows(of.depth);
    float const* z = project(c, set, r, products, work);
    float* p = work.predictions.grow(size * q);
    float* shrunk = work.gathered.grow(std::max<std::size_t>(1, of.depth * r.width));
    for (std::size_t j = 0; j < q; ++j) {
      double const alpha = c.alphas[skeleton.chosen[j]];
      for (std::size_t i = 0; i < of.depth * r.width; ++i) {
        std::size_t const axis = i % of.depth;
        shrunk[i] = static_cast<float>(z[i / of.depth * ld + axis] / (of.values[axis] + alpha));
      }
      panel_product(of.test, e, of.depth, shrunk, of.depth, r.width, p + j * size, work.slivers);
    }
    for (std::size_t t = 0; t < T; ++t) {
      if (out.flag[first + t] == TargetFlag::ok) {
        scores.add(r, set, t, p + t * rows, size, mean_scores.data() + t * a,
                   all.empty() ? nullptr : all.data() + (set * k * T + t) * a, work);
      }
    }
  }
  for (std::size_t t = 0; t < T; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    double const* mine = mean_scores.data() + t * a;
    std::size_t top = a - 1;
    for (std::size_t i = a - 1; i-- > 0;) {  // a tie goes to the larger alpha
      top = mine[i] > mine[top] ? i : top;
    }
    Best& was = best[t];
    if (mine[top] > was.score ||
        (mine[top] == was.score && c.alphas[top] > s_.candidates[was.field].alphas[was.alpha])) {
      was = {mine[top], field, top};
      if (!all.empty()) {
        write_inner_scores(all, folds, T, a, t, top, first + t, out);
      }
    }
  }
}

void FieldFold::settle(std::size_t first, std::vector<Best> const& best, TileResult& out) const {
  std::size_t const total = out.alpha.size();
  for (std::size_t t = 0; t < best.size(); ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    auto const& alphas = s_.candidates[best[t].field].alphas;
    out.alpha[first + t] = alphas[best[t].alpha];
    out.edge_low += alphas.size() > 1 && best[t].alpha == 0 ? 1 : 0;
    out.edge_high += alphas.size() > 1 && best[t].alpha + 1 == alphas.size() ? 1 : 0;
    Field const& f = s_.fields[best[t].field];
    double const of[] = {f.x, f.y, f.sigma};
    for (std::size_t k = 0; s_.maps && k < 3; ++k) {
      out.extra[k * total + first + t] = of[k];
    }
  }
}

/// Held-out predictions and weights: targets are grouped by their field.
void FieldFold::outer(Responses const& r, std::size_t first, std::vector<Best> const& best, TileResult& out,
                      Workspace& work) const {
  if (s_.rows.n_test == 0 && !s_.options.coefficients) {
    return;
  }
  std::vector<std::size_t> order;
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) {
      order.push_back(t);
    }
  }
  std::ranges::stable_sort(order, {}, [&](std::size_t t) { return best[t].field; });
  Buffer<float> memory;
  for (std::size_t at = 0, end = 0; at < order.size(); at = end) {
    std::size_t const field = best[order[at]].field;
    for (end = at; end < order.size() && best[order[end]].field == field; ++end) {
    }
    std::span<std::size_t const> const who(order.data() + at, end - at);
    fit({field, who, pick(r, who, memory)}, first, best, out, work);
  }
}

void FieldFold::fit(Group const& group, std::size_t first, std::vector<Best> const& best, TileResult& out,
                    Workspace& work) const {
  FieldCandidate const& c = s_.candidates[group.field];
  FieldSet const& of = c.sets.back();
  Responses const& r = group.r;
  float const* z = project(c, s_.rows.inner(), r, feature_products(c, r, work), work);
  float* shrunk = work.gathered.grow(std::max<std::size_t>(1, of.depth * r.width));
  std::fill_n(shrunk, of.depth * r.width, 0.0F);
  for (std::size_t g = 0; g < r.targets; ++g) {
    double const alpha = c.alphas[best[group.who[g]].alpha];
    for (std::size_t i = 0; i < of.depth; ++i) {
      shrunk[g * of.depth + i] = static_cast<float>(z[g * padded_rows(of.depth) + i] / (of.values[i] + alpha));
    }
  }
  std::size_t const e = s_.rows.n_test, rows = padded_rows(e);
  if (e > 0) {
    float* p = work.predictions.grow(rows * r.width);
    panel_product(of.test, e, of.depth, shrunk, of.depth, r.width, p, work.slivers);
    for (std::size_t g = 0; g < r.targets; ++g) {
      float const* mine = p + g * rows;
      std::size_t const to = first + group.who[g];
      write_scores(s_.options, test_moments(r, g, s_.rows.outer().test, 0, mine, work.small), r.sd[g], to, out);
      write_predictions(s_.options, mine, e, r.mean[g], r.sd[g], to, out);
    }
  }
  if (s_.options.coefficients) {
    weights(group, shrunk, first, out, work);
  }
}

void FieldFold::weights(Group const& group, float const* z, std::size_t first, TileResult& out, Workspace& work) const {
  FieldCandidate const& c = s_.candidates[group.field];
  Responses const& r = group.r;
  std::size_t const depth = c.sets.back().depth, rows = padded_rows(s_.features),
                    width = stats_size(s_.rows.sets.size());
  float* w = work.predictions.grow(rows * r.width);
  panel_product(c.back, s_.features, depth, z, depth, r.width, w, work.slivers);
  for (std::size_t g = 0; g < r.targets; ++g) {
    double const unit = s_.options.standardize_responses ? 1 / r.sd[g] : 1;
    std::size_t const at = first + group.who[g];
    float* to = out.weights.data() + at * weight_rows();
    to[0] = static_cast<float>(group.field);
    double offset = 0;
    for (std::size_t i = 0; i < s_.features; ++i) {
      double const v = w[g * rows + i];
      offset += v * c.stats[i * width];
      to[1 + i] = static_cast<float>(v * unit);
    }
    out.intercept[at] = s_.options.standardize_responses ? -offset * unit : r.mean[g] - offset;
  }
}

void FieldFold::coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                             float* out) const {
  FieldGrid const& grid = s_.options.rf;
  for (std::size_t t = 0; t < weights.cols; ++t) {
    float const* w = weights.col(t);
    if (w[0] != w[0]) {
      std::fill_n(out + t * x.cols, x.cols, missing);
      continue;
    }
    Field const& f = s_.fields[static_cast<std::size_t>(w[0])];
    std::size_t column = 0;
    float const* b = w + 1;
    for (MapShape const& map : s_.shapes) {
      std::size_t const pixels = map.rows * map.cols, count = map.channels * pixels;
      std::size_t const low = std::max(first, column), end = std::min(first + x.cols, column + count);
      auto const across = low < end ? masses(f.x, f.sigma, grid.width, map.cols) : std::vector<double>();
      auto const down = low < end ? masses(-f.y, f.sigma, grid.height, map.rows) : std::vector<double>();
      for (std::size_t j = low; j < end; ++j) {
        std::size_t const unit = j - column, pixel = unit % pixels;
        out[t * x.cols + j - first] =
            static_cast<float>(b[unit / pixels] * across[pixel % map.cols] * down[pixel / map.cols]);
      }
      column += count;
      b += map.channels;
    }
  }
}

}  // namespace striate::detail
