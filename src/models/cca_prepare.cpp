// Canonical correlation from Gram matrices alone. With the kernel K = QΛQᵀ of the centred features and the leading
// principal components U of the responses (orthonormal: whitened), the penalised hat H = K(K + κI)⁻¹ has in them the
// matrix UᵀHU = BPBᵀ: P holds the squared canonical correlations, C = UB the response variates of the training rows,
// and K_test (K + κI)⁻¹ C predicts them in test rows. A target's prediction from k pairs is Σ_i≤k predicted variate i
// ⟨c_i, y⟩, which is the shape that pls has, too.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "prepare.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {

/// Leading eigenvectors of the responses' Gram matrix.
struct ResponseAxes {
  std::vector<double> values, vectors;  ///< vectors: n × values.size()
};

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double correlation(double const* a, double const* b, std::size_t n) {
  double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ma += a[i] / static_cast<double>(n);
    mb += b[i] / static_cast<double>(n);
  }
  for (std::size_t i = 0; i < n; ++i) {
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
    ab += (a[i] - ma) * (b[i] - mb);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : nan;
}

/// Of the responses' Gram matrix (n × n, lower triangle; destroyed).
ResponseAxes response_axes(double* g, std::size_t n, double pca, double rounding) {
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    total += g[i * (n + 1)];
  }
  std::size_t const all = std::max<std::size_t>(1, n - 1);
  std::size_t keep = pca >= 1 ? std::min(all, static_cast<std::size_t>(pca)) : all;
  ResponseAxes axes{std::vector<double>(keep), std::vector<double>(n * keep)};
  blas::eigen_top(n, g, n, keep, axes.values.data(), axes.vectors.data());
  if (pca > 0 && pca < 1) {  // as scikit-learn: the fewest whose summed share exceeds the fraction
    double sum = 0;
    std::size_t share = 0;
    while (share < keep && sum / total <= pca) {
      sum += axes.values[share++];
    }
    keep = share;
  }
  while (keep > 0 && !(axes.values[keep - 1] > axes.values[0] * static_cast<double>(n) * rounding)) {
    --keep;
  }
  axes.values.resize(keep);
  axes.vectors.resize(n * keep);
  return axes;
}

}  // namespace

double* Preparer::cca_of(std::size_t set, std::size_t variant) const {
  return reinterpret_cast<double*>(hats_.get() + cca_at_[set]) + variant * cca_numbers(most_[set]);
}

/// Products of the responses of a set between training and test rows (n × e), and of each test row with itself, centred
/// on the training rows. `mean`: of response_matrix.
void Preparer::response_products(std::size_t set, std::vector<double> const& mean, double* cross, double* self) const {
  auto const& rows = s_.rows.sets[set];
  std::size_t const n = rows.train.size(), e = rows.test.size();
  double const* g = response_gram(set);
  gather(packed_y_, g, rows.train, rows.test, cross, n);
  for (std::size_t j = 0; j < e; ++j) {
    double column = 0;
    for (std::size_t i = 0; i < n; ++i) {
      column += cross[i + j * n] / static_cast<double>(n);
    }
    for (std::size_t i = 0; i < n; ++i) {
      cross[i + j * n] -= mean[i] + column - mean[n];
    }
    self[j] = packed_y_.at(g, rows.test[j], rows.test[j]) - 2 * column + mean[n];
  }
}

/// Principal axes of both sides, and what follows from them at every penalty.
struct Preparer::CcaSet {
  std::size_t n = 0, e = 0, most = 0,
              count = 0;  ///< training and test rows; pairs there is room for, and that there are
  FeatureSide x;
  std::size_t keep = 0;  ///< axes of the features
  ResponseAxes y;
  std::vector<double> w, a;  ///< QᵀU, Uᵀ × products of training and test responses
  double total = 0;          ///< squares of the test responses
  [[nodiscard]] std::size_t r() const { return y.values.size(); }
};

/// Axes of the features: those of the kernel, or of its leading part with pca.
void Preparer::cca_features(std::size_t set, FeatureSide const& side, Scratch& scratch) {
  std::size_t const n = s_.rows.sets[set].train.size(), e = s_.rows.sets[set].test.size(), most = most_axes(shape_, n);
  double* k = scratch.g.grow(n * n);
  dual_kernel(set, s_.weightings[0], k);
  tests_of(set, s_.weightings[0], side.test);
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    trace += k[i * (n + 1)];
  }
  blas::eigen_top(n, k, n, most, side.values, side.axes);
  std::size_t const keep = trace > 0 ? kept(side.values, most, trace, n) : 0;
  side.found[0] = static_cast<double>(keep);
  if (keep > 0 && e > 0) {
    blas::gemm('T', 'N', keep, e, n, 1.0, side.axes, n, side.test, n, 0.0, side.held, keep);
  }
}

/// Components of a training set at every penalty, their errors and correlations in its test rows.
void Preparer::cca_unit(std::size_t set, FeatureSide const& side, Scratch& scratch) {
  CcaSet of;
  of.n = s_.rows.sets[set].train.size();
  of.e = s_.rows.sets[set].test.size();
  of.x = side;
  of.keep = static_cast<std::size_t>(side.found[0]);
  of.most = most_[set];
  std::size_t const n = of.n, e = of.e;
  double* g = scratch.block.grow(n * n);
  auto const mean = response_matrix(set, g);
  double const unit = std::numeric_limits<double>::epsilon() * (response_products_wide() ? 8 : 1e7);
  of.y = response_axes(g, n, s_.options.response_pca, unit);
  of.count = std::min({of.most, of.keep, of.r()});
  std::vector<double> cross(n * e), self(e);
  response_products(set, mean, cross.data(), self.data());
  for (double v : self) {
    of.total += v;
  }
  of.w.resize(of.keep * of.r());
  of.a.resize(of.r() * e);
  if (of.count > 0) {
    blas::gemm('T', 'N', of.keep, of.r(), n, 1.0, side.axes, n, of.y.vectors.data(), n, 0.0, of.w.data(), of.keep);
  }
  if (of.count > 0 && e > 0) {
    blas::gemm('T', 'N', of.r(), e, n, 1.0, of.y.vectors.data(), n, cross.data(), n, 0.0, of.a.data(), of.r());
  }
  for (std::size_t variant = 0; variant < shape_.variants; ++variant) {
    cca_pairs(set, of, variant, side.test, scratch);
  }
}

/// The pairs at one penalty.
void Preparer::cca_pairs(std::size_t set, CcaSet const& of, std::size_t variant, double const* test, Scratch& scratch) {
  std::size_t const n = of.n, keep = of.keep, r = of.r(), count = of.count;
  double const kappa = penalties_[variant];
  double* out = cca_of(set, variant);
  std::fill_n(out, cca_numbers(of.most), nan);
  out[0] = static_cast<double>(count);
  out[1] = out[2] = of.total;
  if (count == 0) {
    write_components(set, {}, nullptr, nullptr, test, nullptr, scratch, variant);
    return;
  }
  std::vector<double> root(of.w), m(r * r), b(r * count), rho(count), c(n * count), rotations(n * count);
  for (std::size_t i = 0; i < keep * r; ++i) {
    root[i] *= std::sqrt(of.x.values[i % keep] / (of.x.values[i % keep] + kappa));
  }
  blas::gemm('T', 'N', r, r, keep, 1.0, root.data(), keep, root.data(), keep, 0.0, m.data(), r);
  blas::eigen_top(r, m.data(), r, count, rho.data(), b.data());
  std::vector<double> small(keep * count);  // what multiplies Qᵀ K_test
  blas::gemm('N', 'N', keep, count, r, 1.0, of.w.data(), keep, b.data(), r, 0.0, small.data(), keep);
  for (std::size_t i = 0; i < keep * count; ++i) {
    small[i] /= of.x.values[i % keep] + kappa;
  }
  blas::gemm('N', 'N', n, count, r, 1.0, of.y.vectors.data(), n, b.data(), r, 0.0, c.data(), n);
  blas::gemm('N', 'N', n, count, keep, 1.0, of.x.axes, n, small.data(), keep, 0.0, rotations.data(), n);
  write_components(set, std::vector<double>(count, 1.0), c.data(), rotations.data(), test, nullptr, scratch, variant);
  if (of.e > 0) {
    held_out(of, small, b, out + 3, out + 3 + of.most);
  }
}

/// In the test rows: squared errors over all targets after each pair, and the correlation of the pair.
void Preparer::held_out(CcaSet const& of, std::vector<double> const& small, std::vector<double> const& b,
                        double* errors, double* correlations) {
  std::size_t const e = of.e, keep = of.keep, r = of.r(), count = of.count;
  std::vector<double> f(e * count), p(e * count), v(e * count), energy(count * count), scaled(b), weighted(b);
  for (std::size_t i = 0; i < r * count; ++i) {
    scaled[i] /= of.y.values[i % r];
    weighted[i] *= of.y.values[i % r];
  }
  blas::gemm('T', 'N', e, count, keep, 1.0, of.x.held, keep, small.data(), keep, 0.0, f.data(), e);
  blas::gemm('T', 'N', e, count, r, 1.0, of.a.data(), r, b.data(), r, 0.0, p.data(), e);
  blas::gemm('T', 'N', e, count, r, 1.0, of.a.data(), r, scaled.data(), r, 0.0, v.data(), e);
  blas::gemm('T', 'N', count, count, r, 1.0, b.data(), r, weighted.data(), r, 0.0, energy.data(), count);
  auto const dot = [&](double const* x, double const* y) { return std::inner_product(x, x + e, y, 0.0); };
  double error = of.total;
  for (std::size_t j = 0; j < count; ++j) {
    double const* mine = f.data() + j * e;
    error -= 2 * dot(mine, p.data() + j * e);
    for (std::size_t l = 0; l <= j; ++l) {
      error += (l < j ? 2 : 1) * dot(mine, f.data() + l * e) * energy[l + j * count];
    }
    errors[j] = error;
    correlations[j] = e > 1 ? correlation(mine, v.data() + j * e, e) : nan;
  }
}

/// The penalty of the least error in the test rows of the inner sets.
void Preparer::choose_penalty() {
  std::size_t const sets = s_.rows.sets.size(), inner = s_.rows.inner();
  std::size_t least = most_.back();
  for (std::size_t s = 0; s < sets; ++s) {
    least = std::min(least, static_cast<std::size_t>(cca_of(s, 0)[0]));
  }
  double best = -std::numeric_limits<double>::infinity();
  variant_ = 0;
  for (std::size_t v = 0; inner > 0 && v < shape_.variants; ++v) {
    for (std::size_t count : s_.counts) {
      double explained = 0;
      for (std::size_t s = 0; s < inner; ++s) {
        double const* of = cca_of(s, v);
        explained += of[1] > 0 ? 1 - of[2 + std::min(count, least)] / of[1] : 0;
      }
      if (explained >= best) {  // a tie goes to the larger penalty
        best = explained;
        variant_ = v;
      }
    }
  }
  s_.penalty = penalties_[variant_];
  double const* of = cca_of(sets - 1, variant_);
  s_.report.variates.assign(s_.options.components.front(), nan);
  std::copy_n(of + 3 + most_.back(), static_cast<std::size_t>(of[0]), s_.report.variates.begin());
}

}  // namespace striate::detail
