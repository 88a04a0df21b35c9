// Hat matrices by Cholesky factorisations in float64: one unit of work a (training set, alpha), or an alpha.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "prepare.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {
namespace {

void narrow(double const* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = static_cast<float>(from[i]);
  }
}

void add_diagonal(std::vector<double>& g, std::size_t n, double value) {
  for (std::size_t i = 0; i < n; ++i) {
    g[i * (n + 1)] += value;
  }
}

}  // namespace

double const* Preparer::gram_of(std::size_t set) const {
  std::size_t const g = is_dual(s_.form) && grams_ > 1 ? set - group_first_ : 0;
  return reinterpret_cast<double const*>(gram_.get()) + g * packed_.doubles();
}

std::vector<double> Preparer::scales(std::size_t set) const {
  std::size_t const width = stats_size(s_.rows.sets.size());
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  std::vector<double> scale(s_.p);
  for (std::size_t j = 0; j < s_.p; ++j) {
    scale[j] = stats[j * width + 2 + 2 * set];
  }
  return scale;
}

/// Kernel of the training rows, centred on them, and training × test. The direction of ones, which centring makes
/// exactly null, is lifted to the mean eigenvalue: predictions do not change, and small alphas keep their digits.
void Preparer::dual_matrices(SetRows const& rows, double const* gram, std::vector<double>& g, std::vector<double>& test) const {
  std::size_t const n = rows.train.size(), e = rows.test.size();
  g.resize(n * n);
  test.resize(n * e);
  gather(packed_, gram, rows.train, rows.train, g.data(), n);
  gather(packed_, gram, rows.train, rows.test, test.data(), n);
  std::vector<double> mean(n);
  double all = 0;
  for (std::size_t j = 0; j < n; ++j) {
    mean[j] = std::accumulate(g.begin() + static_cast<std::ptrdiff_t>(j * n), g.begin() + static_cast<std::ptrdiff_t>((j + 1) * n), 0.0) /
              static_cast<double>(n);
    all += mean[j];
  }
  all /= static_cast<double>(n);
  double trace = 0;
  for (std::size_t j = 0; j < n; ++j) {
    double const lift = mean[j] - all;
    for (std::size_t i = 0; i < n; ++i) {
      g[i + j * n] -= mean[i] + lift;
    }
    trace += g[j * (n + 1)];
  }
  for (std::size_t j = 0; j < e; ++j) {
    double* column = test.data() + j * n;
    double const lift = std::accumulate(column, column + n, 0.0) / static_cast<double>(n) - all;
    for (std::size_t i = 0; i < n; ++i) {
      column[i] -= mean[i] + lift;
    }
  }
  if (!is_spectral(s_.form)) {
    double const ones = trace / static_cast<double>(n) / static_cast<double>(n);
    for (auto& x : g) {
      x += ones;
    }
  }
}

/// Gram of the standardised features over a training set, and the standardised test rows, features × test.
void Preparer::primal_matrices(std::size_t set, std::vector<double>& g, std::vector<double>& test) const {
  std::size_t const p = s_.p, used = s_.rows.row.size(), width = stats_size(s_.rows.sets.size());
  auto const& rows = s_.rows.sets[set];
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  auto const* grams = reinterpret_cast<double const*>(gram_.get());
  auto const* x = reinterpret_cast<float const*>(x_.get());
  auto const n = static_cast<double>(rows.train.size());
  g.assign(p * p, 0.0);
  for (auto block : s_.rows.blocks.sets[set]) {
    double const* part = grams + block * packed_.doubles();
    for (std::size_t b = 0; b < packed_.blocks(); ++b) {
      std::size_t bi = 0, bj = 0;
      packed_.position(b, bi, bj);
      double const* from = part + b * packed_.block * packed_.block;
      for (std::size_t c = 0; c < packed_.size(bj); ++c) {
        double* to = g.data() + bi * packed_.block + (bj * packed_.block + c) * p;
        for (std::size_t r = 0; r < packed_.size(bi); ++r) {
          to[r] += from[r + c * packed_.block];
        }
      }
    }
  }
  std::vector<double> const scale = scales(set);
  test.resize(p * rows.test.size());
  for (std::size_t j = 0; j < p; ++j) {
    double const mean_j = stats[j * width + 1 + 2 * set];
    for (std::size_t i = j; i < p; ++i) {  // the lower triangle
      double const mean_i = stats[i * width + 1 + 2 * set];
      g[i + j * p] = (g[i + j * p] - n * mean_i * mean_j) * scale[i] * scale[j];
    }
    for (std::size_t e = 0; e < rows.test.size(); ++e) {
      test[j + e * p] = (static_cast<double>(x[rows.test[e] + j * used]) - mean_j) * scale[j];
    }
  }
}

/// Outer hats and, where coefficients are wanted, the inverse, of one alpha. scale (primal) turns Xᵀy of raw
/// features into that of standardised ones, and weights back.
void Preparer::write_outer(std::size_t alpha, std::size_t m, double const* solved, double const* inverse, double const* scale) {
  std::size_t const e = s_.rows.n_test;
  float* hat = at(outer_at_[alpha]);
  for (std::size_t c = 0; c < e; ++c) {
    for (std::size_t i = 0; i < m; ++i) {
      hat[i + c * m] = static_cast<float>(solved[i + c * m] * (scale == nullptr ? 1 : scale[i]));
    }
  }
  if (inverse != nullptr) {
    float* w = at(inverse_at_[alpha]);
    for (std::size_t c = 0; c < m; ++c) {
      for (std::size_t i = 0; i < m; ++i) {
        w[i + c * m] = static_cast<float>(inverse[i + c * m] * (scale == nullptr ? 1 : scale[i] * scale[c]));
      }
    }
  }
}

bool Preparer::block_inverse_unit(std::size_t j) {
  std::size_t const n = s_.rows.n_train, alpha = s_.skeleton.chosen[j];
  std::vector<double> g, test;
  dual_matrices(s_.rows.outer(), gram_of(0), g, test);
  add_diagonal(g, n, s_.alphas[alpha]);
  if (!blas::cholesky(n, g.data(), n)) {
    return false;
  }
  if (!s_.rows.outer().test.empty()) {
    blas::cholesky_solve(n, s_.rows.n_test, g.data(), n, test.data(), n);
  }
  blas::cholesky_inverse(n, g.data(), n);
  write_outer(alpha, n, test.data(), s_.options.coefficients ? g.data() : nullptr, nullptr);
  std::vector<double> ones(n);
  double total = 0;
  for (std::size_t c = 0; c < n; ++c) {
    ones[c] = std::accumulate(g.begin() + static_cast<std::ptrdiff_t>(c * n), g.begin() + static_cast<std::ptrdiff_t>((c + 1) * n), 0.0);
    total += ones[c];
  }
  for (std::size_t c = 0; c < n; ++c) {
    double const factor = ones[c] / total;
    for (std::size_t r = 0; r < n; ++r) {
      g[r + c * n] -= ones[r] * factor;
    }
  }
  for (std::size_t set = 0; set < s_.rows.inner(); ++set) {
    block_inverse_inner(j, set, g.data());
  }
  return true;
}

/// Leaves the rows out that are no training rows of the set; keeps the hats of its test rows.
void Preparer::block_inverse_inner(std::size_t j, std::size_t set, double const* b) {
  std::size_t const n = s_.rows.n_train;
  auto const& rows = s_.rows.sets[set];
  std::vector<std::uint32_t> left;
  std::set_difference(s_.rows.outer().train.begin(), s_.rows.outer().train.end(), rows.train.begin(), rows.train.end(),
                      std::back_inserter(left));
  std::size_t const nr = rows.train.size(), nl = left.size(), e = rows.test.size();
  std::vector<double> block, cross, wanted;
  block.resize(nl * nl);
  cross.resize(nr * nl);
  for (std::size_t c = 0; c < nl; ++c) {
    double const* column = b + left[c] * n;
    for (std::size_t r = 0; r < nl; ++r) {
      block[r + c * nl] = column[left[r]];
    }
    for (std::size_t r = 0; r < nr; ++r) {
      cross[r + c * nr] = column[rows.train[r]];
    }
  }
  if (!blas::cholesky(nl, block.data(), nl)) {
    fail(Exit::internal, "an inner fold's block is not positive definite at alpha {}", s_.alphas[s_.skeleton.chosen[j]]);
  }
  double const* hat = cross.data();
  if (left == rows.test) {
    blas::cholesky_solve_right(nr, nl, block.data(), nl, cross.data(), nr);
  } else {
    std::vector<double> unit(nl * e, 0.0);
    for (std::size_t c = 0; c < e; ++c) {
      auto const at = std::lower_bound(left.begin(), left.end(), rows.test[c]) - left.begin();
      unit[static_cast<std::size_t>(at) + c * nl] = 1;
    }
    blas::cholesky_solve(nl, e, block.data(), nl, unit.data(), nl);
    wanted.resize(nr * e);
    blas::gemm('N', 'N', nr, e, nl, 1.0, cross.data(), nr, unit.data(), nl, 0.0, wanted.data(), nr);
    hat = wanted.data();
  }
  float* out = at(inner_at_[set]) + j * nr * e;
  double const mean = 1 / static_cast<double>(nr);  // hats give deviations from the training mean
  for (std::size_t i = 0; i < nr * e; ++i) {
    out[i] = static_cast<float>(-hat[i] - mean);
  }
}

bool Preparer::set_unit(std::size_t set, std::size_t j) {
  auto const& rows = s_.rows.sets[set];
  std::size_t const alpha = s_.skeleton.chosen[j], e = rows.test.size();
  bool const outer = set + 1 == s_.rows.sets.size();
  std::vector<double> g, test;
  std::vector<double> scale;
  std::size_t m = rows.train.size();
  if (s_.form == Form::dual) {
    dual_matrices(rows, gram_of(set), g, test);
  } else {
    primal_matrices(set, g, test);
    scale = scales(set);
    m = s_.p;
  }
  add_diagonal(g, m, s_.alphas[alpha]);
  if (!blas::cholesky(m, g.data(), m)) {
    return false;
  }
  if (e > 0) {
    blas::cholesky_solve(m, e, g.data(), m, test.data(), m);
  }
  double const* d = scale.empty() ? nullptr : scale.data();
  if (outer) {
    if (s_.options.coefficients) {
      blas::cholesky_inverse(m, g.data(), m);
    }
    write_outer(alpha, m, test.data(), s_.options.coefficients ? g.data() : nullptr, d);
    return true;
  }
  for (std::size_t c = 0; d != nullptr && c < e; ++c) {
    for (std::size_t i = 0; i < m; ++i) {
      test[i + c * m] *= d[i];
    }
  }
  narrow(test.data(), m * e, at(inner_at_[set]) + j * m * e);
  return true;
}

/// One unit an alpha (block-inverse) or a (set, alpha). False where alphas had to be dropped.
bool Preparer::factor(std::size_t first_set, std::size_t last_set) {
  std::size_t const q = s_.q(), sets = s_.rows.sets.size();
  bool const together = s_.form == Form::block_inverse;
  std::size_t const count = together ? q : q * (last_set - first_set);
  Slots slots(count);
  for (std::size_t u = 0; u < count; ++u) {
    std::size_t const j = u % q, alpha = s_.skeleton.chosen[j];
    for (std::size_t set = together ? 0 : first_set + u / q; set < (together ? sets : first_set + u / q + 1); ++set) {
      std::size_t const bytes = ld_[set] * s_.rows.sets[set].test.size() * 4;
      if (set + 1 < sets) {
        slots[u].push_back({inner_at_[set] + j * bytes, bytes});
        continue;
      }
      slots[u].push_back({outer_at_[alpha], bytes});
      if (s_.options.coefficients) {
        slots[u].push_back({inverse_at_[alpha], s_.sets[set].basis_rows * s_.sets[set].basis_rows * 4});
      }
    }
    slots[u].push_back({flags_at_ + u * 8, 8});
  }
  auto* flags = reinterpret_cast<double*>(hats_.get() + flags_at_);
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    bool const fine = together ? block_inverse_unit(u) : set_unit(first_set + u / q, u % q);
    flags[u] = fine ? 1 : -1;
  });
  std::vector<double> bad;
  for (std::size_t u = 0; u < count; ++u) {
    if (flags[u] < 0) {
      bad.push_back(s_.alphas[s_.skeleton.chosen[u % q]]);
    }
  }
  if (bad.empty()) {
    return true;
  }
  double const worst = *std::max_element(bad.begin(), bad.end());  // whatever is smaller fails too
  while (!s_.alphas.empty() && s_.alphas.front() <= worst) {
    s_.report.dropped_alphas.push_back(s_.alphas.front());
    s_.alphas.erase(s_.alphas.begin());
  }
  if (s_.alphas.empty()) {
    fail(Exit::data, "no alpha is large enough for these features (the largest that failed is {:g}; their Gram matrix is singular to "
         "rounding); add larger alphas", worst);
  }
  return false;
}

/// Outer hats and inverses of the alphas that are not in the skeleton.
void Preparer::interpolate() {
  if (s_.skeleton.exact()) {
    return;
  }
  std::size_t const q = s_.q(), m = ld_.back(), hat = m * s_.rows.n_test;
  std::size_t const inverse = s_.options.coefficients ? m * m : 0;
  std::vector<std::size_t> missing;
  Slots slots;
  for (std::size_t a = 0; a < s_.alphas.size(); ++a) {
    if (!std::binary_search(s_.skeleton.chosen.begin(), s_.skeleton.chosen.end(), a)) {
      missing.push_back(a);
      slots.push_back({{outer_at_[a], hat * 4}, {inverse_at_[a], inverse * 4}});
    }
  }
  auto combine = [&](std::size_t a, std::vector<std::size_t> const& place, std::size_t count) {
    constexpr std::size_t step = 1024;
    double sum[step];
    for (std::size_t first = 0; first < count; first += step) {
      std::size_t const n = std::min(step, count - first);
      std::fill_n(sum, n, 0.0);
      for (std::size_t j = 0; j < q; ++j) {
        double const w = s_.skeleton.weight[a * q + j];
        float const* from = at(place[s_.skeleton.chosen[j]]) + first;
        for (std::size_t i = 0; i < n; ++i) {
          sum[i] += w * static_cast<double>(from[i]);
        }
      }
      narrow(sum, n, at(place[a]) + first);
    }
  };
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    combine(missing[u], outer_at_, hat);
    combine(missing[u], inverse_at_, inverse);
  });
}

}  // namespace striate::detail
