// Eigendecompositions of each training set's Gram matrix: pca, and least squares of minimum norm.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "prepare.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {

/// How many of the leading eigenvalues are used. `total` is the trace.
std::size_t Preparer::kept(double const* values, std::size_t count, double total, std::size_t m) const {
  std::size_t keep = count;
  if (design_.pca > 0 && design_.pca < 1) {  // as scikit-learn: the fewest whose summed share exceeds the fraction
    double sum = 0;
    keep = 0;
    while (keep < count && sum / total <= design_.pca) {
      sum += values[keep++];
    }
  }
  // What rounding makes of a zero eigenvalue: least squares leaves it out; a component of it would be noise.
  double const order = static_cast<double>(std::max(m, s_.rows.n_train));
  double const least =
      values[0] * order * std::numeric_limits<double>::epsilon() * (wide_gram(shape_, s_.rows.row.size()) ? 8 : 1e7);
  while (keep > 0 && !(values[keep - 1] > least)) {
    --keep;
  }
  return keep;
}

void Preparer::spectral_unit(std::size_t set, Scratch& scratch) {
  auto const& rows = s_.rows.sets[set];
  std::size_t const m = s_.sets[set].basis_rows, most = most_[set], e = rows.test.size();
  bool const dual = s_.form == Form::spectral_dual;
  double* g = scratch.g.grow(m * m);
  double* test = scratch.test.grow(m * e);
  std::vector<double> scale;
  if (dual) {
    dual_matrices(set, g, test);
  } else {
    primal_matrices(set, g, test);
    scale = scales(set);
  }
  double total = 0;
  for (std::size_t i = 0; i < m; ++i) {
    total += g[i * (m + 1)];
  }
  double* vectors = scratch.cross.grow(m * most);
  std::vector<double> values(most);
  blas::eigen_top(m, g, m, most, values.data(), vectors);
  std::size_t const keep = kept(values.data(), most, total, m);
  auto* info = reinterpret_cast<double*>(hats_.get() + values_at_[set]);
  info[0] = static_cast<double>(keep);
  info[1] = std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(keep), 0.0);
  std::copy_n(values.begin(), keep, info + 2);
  if (keep == 0) {
    return;
  }
  double* cross = scratch.wanted.grow(keep * std::max<std::size_t>(1, e));
  if (e > 0) {
    blas::gemm('T', 'N', keep, e, m, 1.0, vectors, m, test, m, 0.0, cross, keep);
  }
  float* out = at(cross_at_[set]);
  for (std::size_t i = 0; i < keep * e; ++i) {
    out[i] = static_cast<float>(cross[i]);
  }
  double const* d = dual ? nullptr : scale.data();
  pack_rows<double>({.from = vectors, .row_stride = m, .depth_scale = d}, keep, m, at(basis_at_[set]));
  if (set + 1 == s_.rows.sets.size() && s_.options.coefficients) {
    pack_rows<double>({.from = vectors, .depth_stride = m, .row_scale = d}, m, keep, at(back_at_));
  }
}

void Preparer::decompose(std::size_t first_set, std::size_t last_set) {
  if (is_dual(s_.form)) {
    centre(first_set, last_set);
  }
  Slots slots;
  for (std::size_t s = first_set; s < last_set; ++s) {
    std::size_t const most = most_[s], m = s_.sets[s].basis_rows;
    slots.push_back({{basis_at_[s], packed_size(most, m) * 4},
                     {values_at_[s], (most + 2) * 8},
                     {cross_at_[s], most * s_.rows.sets[s].test.size() * 4}});
    if (s + 1 == s_.rows.sets.size() && s_.options.coefficients) {
      slots.back().push_back({back_at_, packed_size(m, most) * 4});
    }
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    spectral_unit(first_set + u, *scratch);
    pool_.give(std::move(scratch));
  });
}

/// cross / (λ + α) for every alpha.
void Preparer::spectral_hats() {
  std::size_t const sets = s_.rows.sets.size(), a = s_.alphas.size();
  auto info = [&](std::size_t s) { return reinterpret_cast<double const*>(hats_.get() + values_at_[s]); };
  for (std::size_t s = 0; s < sets; ++s) {
    s_.sets[s].depth = static_cast<std::size_t>(info(s)[0]);
  }
  if (s_.options.relative_alphas && !s_.ols) {
    double const trace = info(sets - 1)[1] / static_cast<double>(s_.rows.n_train);
    for (auto& x : s_.alphas) {
      x *= trace > 0 ? trace : 1;
    }
  }
  Slots slots;
  for (std::size_t s = 0; s < sets; ++s) {
    std::size_t const bytes = panel_round(s_.rows.sets[s].test.size()) * s_.sets[s].depth * 4;
    for (std::size_t i = 0; i < a; ++i) {
      slots.push_back({{s + 1 < sets ? inner_at_[s] + i * bytes : outer_at_[i], bytes}});
    }
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    std::size_t const s = u / a, depth = s_.sets[s].depth;
    std::vector<double> shrink(info(s) + 2, info(s) + 2 + depth);
    for (auto& x : shrink) {
      x = 1 / (x + s_.alphas[u % a]);
    }
    pack_rows<float>({.from = at(cross_at_[s]), .row_stride = depth, .depth_scale = shrink.data()},
                     s_.rows.sets[s].test.size(), depth, at(slots[u][0].offset));
  });
}

}  // namespace striate::detail
