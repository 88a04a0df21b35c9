// The outer fold: held-out predictions and coefficients of every target at its own alpha.
#include <algorithm>
#include <cmath>
#include <limits>

#include "fitted.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {

namespace {

constexpr std::size_t features_at_once = 480;  ///< whole groups of panels

}  // namespace

/// Held-out predictions and weights at each target's own alpha: targets are grouped by it.
/// z: what project() makes of the outer training rows.
void Fitted::outer(Responses const& r, std::size_t first, std::vector<std::size_t> const& chosen, float const* z,
                   std::size_t ld, TileResult& out, Workspace& work) const {
  std::size_t const set = s_.rows.inner();
  std::size_t const depth = s_.sets[set].depth;  // 0 where no component varies: every prediction is the mean
  std::vector<std::size_t> order;
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) {
      order.push_back(t);
    }
  }
  for (std::size_t t = 0; s_.options.coefficients && t < r.targets; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      std::fill_n(out.weights.begin() + static_cast<std::ptrdiff_t>((first + t) * weight_rows()), weight_rows(),
                  std::numeric_limits<float>::quiet_NaN());
    }
  }
  // Components that were not chosen get a projection of 0: one product for all.
  auto const alpha_of = [&](std::size_t t) { return s_.by_components() ? 0 : chosen[t]; };
  std::stable_sort(order.begin(), order.end(), [&](auto x, auto y) { return chosen[x] < chosen[y]; });
  float* mine = work.gathered.grow(depth * r.width);
  for (std::size_t at = 0; at < order.size();) {
    std::size_t const alpha = alpha_of(order[at]);
    std::size_t end = at;
    while (end < order.size() && alpha_of(order[end]) == alpha) {
      float* to = mine + (end - at) * depth;
      if (depth > 0) {
        std::copy_n(z + order[end] * ld, depth, to);
      }
      if (s_.by_components()) {
        std::fill(to + s_.counts[chosen[order[end]]], to + depth, 0.0F);
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

void Fitted::test_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group,
                        float const* z, TileResult& out, Workspace& work) const {
  auto const& hats = s_.sets.back();
  std::size_t const e = s_.rows.n_test, rows = padded_rows(e);
  float* p = work.predictions.grow(rows * padded_cols(group.size()));
  panel_product(s_.outer[alpha], e, hats.depth, z, hats.depth, padded_cols(group.size()), p, work.slivers);
  for (std::size_t g = 0; g < group.size(); ++g) {
    std::size_t const t = group[g];
    float const* mine = p + g * rows;
    write_scores(s_.options, test_moments(r, t, s_.rows.outer().test, 0, mine, work.small), r.sd[t], first + t, out);
    write_predictions(s_.options, mine, e, r.mean[t], r.sd[t], first + t, out);
  }
}

void Fitted::weight_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group,
                          float const* z, TileResult& out, Workspace& work) const {
  auto const& hats = s_.sets.back();
  std::size_t const m = weight_rows(), width = stats_size(s_.rows.sets.size());
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

namespace {

/// Rows [begin, end) of out (x.cols × t): deviations of these columns of x, the layer's from `first` on, over squared
/// scales, times w (training rows × padded_cols(t)).
void weigh_features(FoldState const& s, MatrixView<float const> x, std::size_t first, std::size_t begin, std::size_t end,
                    std::vector<float> const& w, std::size_t t, float* out) {
  std::size_t const n = s.rows.n_train, cols = padded_cols(t), most = std::min(end - begin, features_at_once),
                    sets = s.rows.sets.size(), width = stats_size(sets);
  Buffer<float> panel(n * most), packed(packed_size(most, n)), product(padded_rows(most) * cols), scratch;
  for (std::size_t from = begin; from < end; from += most) {
    std::size_t const some = std::min(most, end - from), ld = padded_rows(some);
    for (std::size_t j = 0; j < some; ++j) {
      double const* st = s.stats + (first + from + j) * width;
      double const scale = st[2 * sets];
      for (std::size_t i = 0; i < n; ++i) {
        panel[i + j * n] =
            static_cast<float>((static_cast<double>(x(s.rows.row[i], from + j)) - st[0]) * scale * scale);
      }
    }
    pack_rows<float>({.from = panel.data(), .row_stride = n}, some, n, packed.data());
    std::fill(packed.data() + panel_round(some) * n, packed.data() + packed_size(some, n), 0.0F);
    panel_product(packed.data(), some, n, w.data(), n, cols, product.data(), scratch);
    for (std::size_t c = 0; c < t; ++c) {
      std::copy_n(product.data() + c * ld, some, out + c * x.cols + from);
    }
  }
}

}  // namespace

void Fitted::coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                          float* out) const {
  std::size_t const count = x.cols, t = weights.cols;
  if (!is_dual(s_.form)) {
    for (std::size_t c = 0; c < t; ++c) {
      std::copy_n(weights.col(c) + first, count, out + c * count);
    }
    return;
  }
  std::size_t const n = s_.rows.n_train;
  std::vector<float> w(n * padded_cols(t), 0);
  for (std::size_t c = 0; c < t; ++c) {
    std::copy_n(weights.col(c), n, w.begin() + static_cast<std::ptrdiff_t>(c * n));
  }
  weigh_features(s_, x, first, 0, count, w, t, out);
  for (std::size_t b = 0; b < s_.components.size(); ++b) {  // bands with pca weigh by projections of the weights
    Band const& band = s_.bands[b];
    std::size_t const low = std::max(first, band.first), end = std::min(first + count, band.first + band.count);
    if (s_.components[b] == nullptr || low >= end) {
      continue;
    }
    for (std::size_t c = 0; c < t; ++c) {
      std::vector<double> mine(weights.col(c), weights.col(c) + n);
      s_.along_components(b, mine.data());
      std::copy(mine.begin(), mine.end(), w.begin() + static_cast<std::ptrdiff_t>(c * n));
    }
    weigh_features(s_, x, first, low - first, end - first, w, t, out);
  }
  for (std::size_t c = 0; s_.banded() && c < t; ++c) {
    for (std::size_t j = 0; j < count; ++j) {
      out[j + c * count] *= weights(n + s_.part_of(first + j), c);
    }
  }
}

}  // namespace striate::detail
