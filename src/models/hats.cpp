// Hat matrices by Cholesky factorisations in float64: one unit of work a (training set, alpha), or an alpha.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "prepare.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {
namespace {

void add_diagonal(double* g, std::size_t n, double value) {
  for (std::size_t i = 0; i < n; ++i) {
    g[i * (n + 1)] += value;
  }
}

/// No eigenvalue of the symmetric matrix is larger. The lower triangle is read.
double largest_row_sum(double const* g, std::size_t n) {
  std::vector<double> sum(n, 0.0);
  for (std::size_t c = 0; c < n; ++c) {
    sum[c] += std::abs(g[c * (n + 1)]);
    for (std::size_t r = c + 1; r < n; ++r) {
      double const x = std::abs(g[r + c * n]);
      sum[c] += x;
      sum[r] += x;
    }
  }
  return *std::max_element(sum.begin(), sum.end());
}

}  // namespace

/// Factors a set's kernel + alpha. False where alpha is too small for the kernel's rounding: what rounding adds to the
/// kernel is about `error`, and where nothing else stands under a pivot the weights are wrong by error / pivot. A kernel
/// of full rank keeps its small alphas.
bool Preparer::factor_dual(double* g, std::size_t n, double alpha) const {
  constexpr double margin = 30;  // scores of what is kept are then right to about 1e-3 at worst
  double const unit = exact() ? 0x1p-53 : 0x1p-24;
  double const error = 2 * unit * largest_row_sum(g, n) / std::sqrt(static_cast<double>(n));
  add_diagonal(g, n, alpha);
  if (!blas::cholesky(n, g, n)) {
    return false;
  }
  double least = g[0];
  for (std::size_t i = 0; i < n; ++i) {
    least = std::min(least, g[i * (n + 1)]);
  }
  return least * least > margin * error;
}

/// Where the hats of an inner set at skeleton alpha j are packed.
float* Preparer::inner_hat(std::size_t set, std::size_t candidate, std::size_t j) const {
  auto const& hats = s_.sets[set];
  return at(inner_at_[set]) + candidate * hats.next + j * panel_round(s_.rows.sets[set].test.size()) * hats.depth;
}

/// Bytes that write_outer writes.
void Preparer::outer_slots(std::size_t candidate, std::size_t j, std::vector<Slot>& slots) const {
  std::size_t const e = s_.rows.n_test, m = most_.back(), alpha = s_.skeleton.chosen[j];
  std::size_t const matrix = s_.banded() ? candidate * s_.q() + j : alpha;
  if (s_.banded()) {
    std::size_t const bytes = s_.parts() * panel_round(e) * m * 4;
    slots.push_back({outer_at_[candidate] + j * bytes, bytes});
  } else {
    slots.push_back({outer_at_[alpha], packed_size(e, m) * 4});
  }
  if (s_.options.coefficients) {
    slots.push_back({inverse_at_[matrix], packed_size(m, m) * 4});
  }
}

/// Outer hats and, where coefficients are wanted, the inverse, of one alpha (banded: of each band, at a skeleton alpha).
/// scale (primal) turns Xᵀy of raw features into that of standardised ones, and weights back.
void Preparer::write_outer(std::size_t candidate, std::size_t j, double const* solved, double const* inverse,
                           double const* scale) {
  std::vector<Slot> slots;
  outer_slots(candidate, j, slots);
  std::size_t const m = most_.back(), e = s_.rows.n_test;
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    pack_rows<double>({.from = solved + part * m * e, .row_stride = m, .depth_scale = scale}, e, m,
                      at(slots[0].offset) + part * panel_round(e) * m, s_.engine().packing());
  }
  if (inverse != nullptr) {
    pack_rows<double>({.from = inverse, .row_stride = m, .row_scale = scale, .depth_scale = scale}, m, m,
                      at(slots[1].offset), s_.engine().packing());
  }
}

bool Preparer::block_inverse_unit(std::size_t candidate, std::size_t j, Scratch& scratch) {
  std::size_t const n = s_.rows.n_train, alpha = s_.skeleton.chosen[j];
  double* g = scratch.g.grow(n * n);
  double* test = scratch.test.grow(n * s_.rows.n_test * s_.parts());
  dual_kernel(s_.rows.inner(), s_.weightings[candidate], g);
  if (!factor_dual(g, n, s_.alphas[alpha])) {
    return false;
  }
  if (s_.rows.n_test > 0) {
    std::size_t const columns = tests_of(s_.rows.inner(), s_.weightings[candidate], test);
    blas::cholesky_solve(n, columns, g, n, test, n);
  }
  blas::cholesky_inverse(n, g, n);
  write_outer(candidate, j, test, s_.options.coefficients ? g : nullptr, nullptr);
  std::vector<double> ones(n, 0.0);  // G⁻¹1 / sqrt(1ᵀG⁻¹1): B = G⁻¹ − ones onesᵀ
  for (std::size_t c = 0; c < n; ++c) {
    for (std::size_t r = 0; r < n; ++r) {
      ones[r] += g[r + c * n];
    }
  }
  double const total = std::sqrt(std::accumulate(ones.begin(), ones.end(), 0.0));
  for (auto& x : ones) {
    x /= total;
  }
  for (std::size_t set = 0; set < s_.rows.inner(); ++set) {
    if (!block_inverse_inner(inner_hat(set, candidate, j), set, g, ones.data(), scratch)) {
      return false;
    }
  }
  return true;
}

/// Leaves the rows out that are no training rows of the set; keeps the hats of its test rows. False where alpha is too
/// small for the rounding of the inverse.
bool Preparer::block_inverse_inner(float* out, std::size_t set, double const* inverse, double const* ones,
                                   Scratch& scratch) {
  std::size_t const n = s_.rows.n_train;
  auto const& rows = s_.rows.sets[set];
  std::vector<std::uint32_t> left;
  std::set_difference(s_.rows.outer().train.begin(), s_.rows.outer().train.end(), rows.train.begin(), rows.train.end(),
                      std::back_inserter(left));
  std::size_t const nr = rows.train.size(), nl = left.size(), e = rows.test.size();
  double* block = scratch.block.grow(nl * nl);
  double* cross = scratch.cross.grow(nr * nl);
  for (std::size_t c = 0; c < nl; ++c) {
    double const* column = inverse + left[c] * n;
    double const here = ones[left[c]];
    for (std::size_t r = 0; r < nl; ++r) {
      block[r + c * nl] = column[left[r]] - ones[left[r]] * here;
    }
    for (std::size_t r = 0; r < nr; ++r) {
      cross[r + c * nr] = column[rows.train[r]] - ones[rows.train[r]] * here;
    }
  }
  if (!blas::cholesky(nl, block, nl)) {
    return false;
  }
  double const* hat = cross;
  if (left == rows.test) {
    blas::cholesky_solve_right(nr, nl, block, nl, cross, nr);
  } else {
    std::vector<double> unit(nl * e, 0.0);
    for (std::size_t c = 0; c < e; ++c) {
      auto const at = std::lower_bound(left.begin(), left.end(), rows.test[c]) - left.begin();
      unit[static_cast<std::size_t>(at) + c * nl] = 1;
    }
    blas::cholesky_solve(nl, e, block, nl, unit.data(), nl);
    double* wanted = scratch.wanted.grow(nr * e);
    blas::gemm('N', 'N', nr, e, nl, 1.0, cross, nr, unit.data(), nl, 0.0, wanted, nr);
    hat = wanted;
  }
  double const mean = 1 / static_cast<double>(nr);  // hats give deviations from the training mean
  pack_rows<double>({.from = hat, .row_stride = nr, .factor = -1, .offset = -mean}, e, nr, out, s_.engine().packing());
  return true;
}

bool Preparer::set_unit(std::size_t set, std::size_t candidate, std::size_t j, Scratch& scratch) {
  Weights const& weights = s_.weightings[candidate];
  auto const& rows = s_.rows.sets[set];
  std::size_t const alpha = s_.skeleton.chosen[j], e = rows.test.size();
  bool const outer = set + 1 == s_.rows.sets.size(), dual = s_.form == Form::dual;
  std::size_t const m = dual ? rows.train.size() : s_.p;
  double* g = scratch.g.grow(m * m);
  double* test = scratch.test.grow(m * e * (outer ? s_.parts() : 1));
  std::vector<double> scale;
  bool fine = false;
  if (dual) {
    dual_kernel(set, weights, g);
    fine = factor_dual(g, m, s_.alphas[alpha]);
  } else {
    primal_gram(set, weights, g);
    scale = scales(set, weights);
    add_diagonal(g, m, s_.alphas[alpha]);
    fine = blas::cholesky(m, g, m);
  }
  if (!fine) {
    return false;
  }
  if (e > 0) {
    std::size_t const columns = tests_of(set, weights, test);
    blas::cholesky_solve(m, columns, g, m, test, m);
  }
  double const* d = dual ? nullptr : scale.data();
  if (!outer) {
    pack_rows<double>({.from = test, .row_stride = m, .depth_scale = d}, e, m, inner_hat(set, candidate, j),
                      s_.engine().packing());
    return true;
  }
  if (s_.options.coefficients) {
    blas::cholesky_inverse(m, g, m);
  }
  write_outer(candidate, j, test, s_.options.coefficients ? g : nullptr, d);
  return true;
}

/// One unit a (candidate, alpha) (block-inverse) or a (set, candidate, alpha). False where alphas had to be dropped.
bool Preparer::factor(std::size_t first_set, std::size_t last_set) {
  if (is_dual(s_.form)) {
    centre(s_.form == Form::block_inverse ? s_.rows.inner() : first_set, last_set);
  }
  std::size_t const q = s_.q(), sets = s_.rows.sets.size(), per_set = q * s_.weightings.size();
  bool const together = s_.form == Form::block_inverse;
  std::size_t const count = together ? per_set : per_set * (last_set - first_set);
  Slots slots(count);
  for (std::size_t u = 0; u < count; ++u) {
    std::size_t const j = u % q, candidate = u / q % s_.weightings.size(), mine = first_set + u / per_set;
    for (std::size_t set = together ? 0 : mine; set < (together ? sets : mine + 1); ++set) {
      if (set + 1 < sets) {
        std::size_t const bytes = panel_round(s_.rows.sets[set].test.size()) * most_[set] * 4;
        slots[u].push_back({inner_at_[set] + candidate * s_.sets[set].next * 4 + j * bytes, bytes});
      } else {
        outer_slots(candidate, j, slots[u]);
      }
    }
    slots[u].push_back({flags_at_ + u * 8, 8});
  }
  auto* flags = reinterpret_cast<double*>(hats_.get() + flags_at_);
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    std::size_t const candidate = u / q % s_.weightings.size();
    bool const fine = together ? block_inverse_unit(candidate, u % q, *scratch)
                               : set_unit(first_set + u / per_set, candidate, u % q, *scratch);
    flags[u] = fine ? 1 : -1;
    pool_.give(std::move(scratch));
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
    fail(Exit::data,
         "no alpha is large enough for these features (the largest that failed is {:g}; their Gram matrix is singular "
         "to "
         "rounding); add larger alphas",
         worst);
  }
  return false;
}

/// Outer hats and inverses of the alphas that are not in the skeleton.
void Preparer::interpolate() {
  if (s_.skeleton.exact() || s_.banded()) {  // banded: predictions are interpolated, target by target
    return;
  }
  std::size_t const q = s_.q(), m = most_.back(), hat = packed_size(s_.rows.n_test, m);
  std::size_t const inverse = s_.options.coefficients ? packed_size(m, m) : 0;
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
      float* to = at(place[a]) + first;
      for (std::size_t i = 0; i < n; ++i) {
        to[i] = static_cast<float>(sum[i]);
      }
    }
  };
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    combine(missing[u], outer_at_, hat);
    combine(missing[u], inverse_at_, inverse);
  });
}

}  // namespace striate::detail
