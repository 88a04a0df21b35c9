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
  double const least = values[0] * order * std::numeric_limits<double>::epsilon() * (wide_gram(shape_, s_.rows.row.size()) ? 8 : 1e7);
  while (keep > 0 && !(values[keep - 1] > least)) {
    --keep;
  }
  return keep;
}

void Preparer::spectral_unit(std::size_t set) {
  auto const& rows = s_.rows.sets[set];
  std::size_t const m = s_.sets[set].basis_rows, most = ld_[set], e = rows.test.size();
  std::vector<double> g, test, scale;
  if (s_.form == Form::spectral_dual) {
    dual_matrices(rows, gram_of(set), g, test);
  } else {
    primal_matrices(set, g, test);
    scale = scales(set);
  }
  double total = 0;
  for (std::size_t i = 0; i < m; ++i) {
    total += g[i * (m + 1)];
  }
  Buffer<double> vectors(m * most);
  std::vector<double> values(most);
  blas::eigen_top(m, g.data(), m, most, values.data(), vectors.data());
  std::size_t const keep = kept(values.data(), most, total, m);
  auto* info = reinterpret_cast<double*>(hats_.get() + values_at_[set]);
  info[0] = static_cast<double>(keep);
  info[1] = std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(keep), 0.0);
  std::copy_n(values.begin(), keep, info + 2);
  std::vector<double> cross(keep * e);
  if (keep > 0 && e > 0) {
    blas::gemm('T', 'N', keep, e, m, 1.0, vectors.data(), m, test.data(), m, 0.0, cross.data(), keep);
  }
  float* out = at(cross_at_[set]);
  for (std::size_t c = 0; c < e; ++c) {
    for (std::size_t i = 0; i < keep; ++i) {
      out[i + c * most] = static_cast<float>(cross[i + c * keep]);
    }
  }
  float* basis = at(basis_at_[set]);
  for (std::size_t c = 0; c < keep; ++c) {
    for (std::size_t i = 0; i < m; ++i) {
      basis[i + c * m] = static_cast<float>(vectors[i + c * m] * (scale.empty() ? 1 : scale[i]));
    }
  }
}

void Preparer::decompose(std::size_t first_set, std::size_t last_set) {
  Slots slots;
  for (std::size_t s = first_set; s < last_set; ++s) {
    std::size_t const ld = ld_[s];
    slots.push_back({{basis_at_[s], s_.sets[s].basis_rows * ld * 4},
                     {values_at_[s], (ld + 2) * 8},
                     {cross_at_[s], ld * s_.rows.sets[s].test.size() * 4}});
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) { spectral_unit(first_set + u); });
}

/// cross / (λ + α) for every alpha.
void Preparer::spectral_hats() {
  std::size_t const sets = s_.rows.sets.size(), a = s_.alphas.size();
  auto info = [&](std::size_t s) { return reinterpret_cast<double const*>(hats_.get() + values_at_[s]); };
  if (s_.options.relative_alphas && !s_.ols) {
    double const trace = info(sets - 1)[1] / static_cast<double>(s_.rows.n_train);
    for (auto& x : s_.alphas) {
      x *= trace > 0 ? trace : 1;
    }
  }
  Slots slots;
  for (std::size_t s = 0; s < sets; ++s) {
    std::size_t const bytes = ld_[s] * s_.rows.sets[s].test.size() * 4;
    for (std::size_t i = 0; i < a; ++i) {
      slots.push_back({{s + 1 < sets ? inner_at_[s] + i * bytes : outer_at_[i], bytes}});
    }
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    std::size_t const s = u / a, ld = ld_[s];
    double const alpha = s_.alphas[u % a];
    double const* values = info(s) + 2;
    auto const keep = static_cast<std::size_t>(info(s)[0]);
    float const* cross = at(cross_at_[s]);
    float* out = at(slots[u][0].offset);
    for (std::size_t c = 0; c < s_.rows.sets[s].test.size(); ++c) {
      for (std::size_t i = 0; i < keep; ++i) {
        out[i + c * ld] = static_cast<float>(static_cast<double>(cross[i + c * ld]) / (values[i] + alpha));
      }
    }
  });
}

}  // namespace striate::detail
