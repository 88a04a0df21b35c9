// Alphas scored without inner folds: by the predictions of left-out training rows, or by generalised cross-validation
// (Golub, Heath and Wahba 1979). Standardisation and pca are those of all training rows.
#include <algorithm>
#include <cmath>

#include "epilogue.hpp"
#include "fitted.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {
namespace {

/// Lengths that `project` gives the left singular vectors.
std::vector<double> lengths(FoldState const& s) {
  std::vector<double> length(s.eigenvalues.size(), 1.0);
  for (std::size_t k = 0; !is_dual(s.form) && k < length.size(); ++k) {
    length[k] = std::sqrt(s.eigenvalues[k]);
  }
  return length;
}

/// Whether the components span all that an intercept leaves of the training rows.
bool spans(FoldState const& s) { return s.eigenvalues.size() + 1 == s.rows.n_train; }

}  // namespace

/// As inner().
void Fitted::closed_form(Responses const& r, std::size_t first, TileResult const& out, std::vector<double>& mean_scores,
                         std::vector<double>& all, Workspace& work) const {
  std::size_t const a = s_.alphas.size(), ld = r.projected.ld;
  float const* z = s_.engine().host(r.projected, work.rows);
  mean_scores.assign(r.targets * a, 0);
  all.assign(tests() ? 0 : s_.options.scores.size() * r.targets * a, 0);
  if (s_.vectors != nullptr) {
    left_out(r, first, z, ld, out, mean_scores, all, work);
  }
  if (s_.options.selection == Selection::gcv) {
    generalised(r, first, z, ld, out, mean_scores);
  }
}

/// Residuals of left-out rows are made of residuals, not of predictions: both shrink together where leverages near 1.
void Fitted::left_out(Responses const& r, std::size_t first, float const* z, std::size_t ld, TileResult const& out,
                      std::vector<double>& mean_scores, std::vector<double>& all, Workspace& work) const {
  std::size_t const a = s_.alphas.size(), n = s_.rows.n_train, depth = s_.eigenvalues.size();
  std::size_t rows = padded_rows(n);
  auto const length = lengths(s_);
  float* shrunk = work.gathered.grow(depth * r.width);
  float* p = work.predictions.grow(rows * r.width);
  auto const product = [&](auto const& factor) {
    std::vector<double> f(depth);
    for (std::size_t k = 0; k < depth; ++k) {
      f[k] = factor(k) / length[k];
    }
    for (std::size_t t = 0; t < r.width; ++t) {
      for (std::size_t k = 0; k < depth; ++k) {
        shrunk[k + t * depth] = static_cast<float>(z[k + t * ld] * f[k]);
      }
    }
    TileMatrix const made =
        s_.product({s_.vectors, n, depth}, s_.engine().load(shrunk, depth, depth, r.width), p, work.slivers);
    p = s_.engine().host(made, work.predictions);
    rows = made.ld;
  };
  float* outside = nullptr;  // what no component reaches
  if (!spans(s_)) {
    outside = work.products.grow(n * r.width);
    product([](std::size_t) { return 1.0; });
    for (std::size_t t = 0; t < r.width; ++t) {
      for (std::size_t i = 0; i < n; ++i) {
        outside[i + t * n] = r.y[i + t * r.used] - p[i + t * rows];
      }
    }
  }
  for (std::size_t i = 0; i < a; ++i) {
    product([&](std::size_t k) { return s_.alphas[i] / (s_.eigenvalues[k] + s_.alphas[i]); });
    double const* grow = s_.left_out + i * n;
    for (std::size_t t = 0; t < r.targets; ++t) {
      if (out.flag[first + t] != TargetFlag::ok) {
        continue;
      }
      float* mine = p + t * rows;
      float const* y = r.y + t * r.used;
      for (std::size_t j = 0; j < n; ++j) {
        double const residual = outside == nullptr ? mine[j] : static_cast<double>(mine[j]) + outside[j + t * n];
        mine[j] = static_cast<float>(y[j] - residual * grow[j]);
      }
      Moments const m = test_moments(r, t, s_.rows.outer().train, 0, mine, work.small);
      mean_scores[t * a + i] = score(s_.options.inner_score, m);
      for (std::size_t c = 0; !all.empty() && c < s_.options.scores.size(); ++c) {
        Score const which = s_.options.scores[c];
        all[(c * r.targets + t) * a + i] = scaled(s_.options, which, score(which, m), r.sd[t]);
      }
    }
  }
}

/// n RSS / (n − tr H)², the intercept counted in the trace, as the share of the target's variance that it leaves.
void Fitted::generalised(Responses const& r, std::size_t first, float const* z, std::size_t ld, TileResult const& out,
                         std::vector<double>& mean_scores) const {
  std::size_t const a = s_.alphas.size(), depth = s_.eigenvalues.size();
  auto const n = static_cast<double>(s_.rows.n_train);
  auto const length = lengths(s_);
  std::vector<double> square(depth * a), freedom(a, spans(s_) ? 0 : n - 1 - static_cast<double>(depth)), rss(a);
  for (std::size_t k = 0; k < depth; ++k) {
    for (std::size_t i = 0; i < a; ++i) {
      double const left = s_.alphas[i] / (s_.eigenvalues[k] + s_.alphas[i]);
      square[k * a + i] = left * left / (length[k] * length[k]);
      freedom[i] += left;
    }
  }
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    double total = 0, inside = 0;
    for (std::size_t j = 0; j < s_.rows.n_train; ++j) {
      double const y = r.y[j + t * r.used];
      total += y * y;
    }
    std::fill(rss.begin(), rss.end(), 0.0);
    for (std::size_t k = 0; k < depth; ++k) {
      double const v = z[k + t * ld], vv = v * v;
      inside += vv / (length[k] * length[k]);
      for (std::size_t i = 0; i < a; ++i) {
        rss[i] += vv * square[k * a + i];
      }
    }
    double const outside = spans(s_) ? 0 : std::max(0.0, total - inside);
    for (std::size_t i = 0; i < a; ++i) {
      mean_scores[t * a + i] = 1 - n * n * (rss[i] + outside) / (freedom[i] * freedom[i] * total);
    }
  }
}

}  // namespace striate::detail
