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
void Fitted::outer(Responses const& r, std::size_t first, std::vector<std::size_t> const& chosen, TileMatrix const& z,
                   TileResult& out, Workspace& work) const {
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
      ++end;
    }
    std::span<std::size_t const> const group(order.data() + at, end - at);
    TileMatrix const its = s_.engine().columns(z, group, mine);
    for (std::size_t g = 0; s_.by_components() && g < group.size(); ++g) {
      std::fill(mine + g * depth + s_.counts[chosen[group[g]]], mine + (g + 1) * depth, 0.0F);
    }
    if (tests()) {
      test_group(r, first, alpha, group, its, out, work);
    }
    if (s_.options.coefficients) {
      weight_group(r, first, alpha, group, its, out, work);
    }
    at = end;
  }
}

void Fitted::test_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group,
                        TileMatrix const& z, TileResult& out, Workspace& work) const {
  std::size_t const e = s_.rows.n_test;
  TileMatrix const p = s_.product({s_.outer[alpha], e, s_.sets.back().depth}, z,
                                  work.predictions.grow(padded_rows(e) * z.width), work.slivers);
  s_.engine().sums(
      {.predictions = p, .y = r.tile, .rows = s_.rows.outer().test, .targets = group, .gathered = true, .stride = e},
      work.small, work.moments, [&](std::size_t g, double y, double yy, Sums const* sums) {
        Moments const m{static_cast<double>(e), y, yy, sums->f, sums->ff, sums->fy};
        write_scores(s_.options, m, r.sd[group[g]], first + group[g], out);
      });
  float const* mine = s_.options.predictions ? s_.engine().host(p, work.predictions) : nullptr;
  for (std::size_t g = 0; mine != nullptr && g < group.size(); ++g) {
    std::size_t const t = group[g];
    write_predictions(s_.options, mine + g * p.ld, e, r.mean[t], r.sd[t], first + t, out);
  }
}

void Fitted::weight_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group,
                          TileMatrix const& z, TileResult& out, Workspace& work) const {
  auto const& hats = s_.sets.back();
  std::size_t const m = weight_rows(), width = stats_size(s_.rows.sets.size()), depth = hats.depth;
  float* to_host = work.predictions.grow(padded_rows(m) * z.width);
  TileMatrix product;
  std::vector<float> shrunk;
  if (!is_spectral(s_.form)) {
    product = s_.product({s_.inverse[alpha], m, m}, z, to_host, work.slivers);
  } else {
    float const* from = s_.engine().host(z, work.gathered);
    shrunk.resize(depth * z.width);
    for (std::size_t i = 0; i < shrunk.size(); ++i) {
      float const v = from[i / depth * z.ld + i % depth];
      shrunk[i] = static_cast<float>(v / (s_.eigenvalues[i % depth] + s_.alphas[alpha]));
    }
    product = s_.product({s_.basis_back, m, depth}, s_.engine().load(shrunk.data(), depth, depth, z.width), to_host,
                         work.slivers);
  }
  float const* w = s_.engine().host(product, work.predictions);
  std::size_t const rows = product.ld;
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
    if (s_.components[b] == nullptr) {  // of models without bands, always
      continue;
    }
    Band const& band = s_.bands[b];
    std::size_t const low = std::max(first, band.first), end = std::min(first + count, band.first + band.count);
    if (low >= end) {
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
