// Eigendecompositions of each training set's Gram matrix: pca, and least squares of minimum norm.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "prepare.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {

/// How many of the leading eigenvalues are used. `total` is the trace.
std::size_t Preparer::kept(double const* values, std::size_t count, double total, std::size_t m, double pca) const {
  std::size_t keep = count;
  if (pca > 0 && pca < 1) {  // as scikit-learn: the fewest whose summed share exceeds the fraction
    double sum = 0;
    keep = 0;
    while (keep < count && sum / total <= pca) {
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
  bool const dual = s_.form == Form::spectral_dual;
  std::size_t const m = dual ? rows.train.size() : s_.p, most = most_[set], e = rows.test.size();
  double* g = scratch.g.grow(m * m);
  double* test = scratch.test.grow(m * e);
  std::vector<double> scale;
  if (dual) {
    dual_kernel(set, s_.weightings[0], g);
  } else {
    primal_gram(set, s_.weightings[0], g);
    scale = scales(set, s_.weightings[0]);
  }
  tests_of(set, s_.weightings[0], test);
  double total = 0;
  for (std::size_t i = 0; i < m; ++i) {
    total += g[i * (m + 1)];
  }
  double* vectors = scratch.cross.grow(m * most);
  std::vector<double> values(most);
  blas::eigen_top(m, g, m, most, values.data(), vectors);
  std::size_t const keep = kept(values.data(), most, total, m);
  values.resize(keep);
  write_components(set, values, vectors, vectors, test, dual ? nullptr : scale.data(), scratch);
}

/// What tiles multiply by: projections of training responses are scoresᵀ y (dual) or those of primal_basis; predictions
/// are (rotationsᵀ test)ᵀ / values times them. One column of scores and rotations a value.
void Preparer::write_components(std::size_t set, std::vector<double> const& values, double const* scores,
                                double const* rotations, double const* test, double const* scale, Scratch& scratch,
                                std::size_t variant) {
  bool const dual = is_dual(s_.form);
  std::size_t const keep = values.size(), e = s_.rows.sets[set].test.size(),
                    m = dual ? s_.rows.sets[set].train.size() : s_.p;
  auto* info = reinterpret_cast<double*>(hats_.get() + values_of(set, variant));
  info[0] = static_cast<double>(keep);
  info[1] = std::accumulate(values.begin(), values.end(), 0.0);
  std::copy_n(values.begin(), keep, info + 2);
  if (keep == 0) {
    if (left_out_) {
      write_vectors(nullptr, 1, 1, nullptr, 0);
    }
    return;
  }
  double* cross = scratch.wanted.grow(keep * std::max<std::size_t>(1, e));
  if (e > 0) {
    blas::gemm('T', 'N', keep, e, m, 1.0, rotations, m, test, m, 0.0, cross, keep);
  }
  float* out = at(cross_of(set, variant));
  for (std::size_t i = 0; i < keep * e; ++i) {
    out[i] = static_cast<float>(cross[i]);
  }
  if (dual) {
    pack_rows<double>({.from = scores, .row_stride = m}, keep, m, at(basis_of(set, variant)), s_.engine().packing());
    if (left_out_) {
      write_vectors(scores, 1, m, nullptr, keep);
    }
  } else {
    primal_basis(set, rotations, values, scratch);
  }
  if (set + 1 == s_.rows.sets.size() && s_.options.coefficients) {
    pack_rows<double>({.from = rotations, .depth_stride = m, .row_scale = scale}, m, keep, at(back_of(variant)),
                      s_.engine().packing());
  }
}

/// Vᵀ Xᵀ over the training rows of a set, in float64. Vᵀ (Xᵀ y) with Xᵀ y in float32 would lose the weak components
/// among the rounding of the strong ones, twice over.
void Preparer::primal_basis(std::size_t set, double const* vectors, std::vector<double> const& values,
                            Scratch& scratch) {
  constexpr std::size_t step = 256;
  std::size_t const keep = values.size();
  std::size_t const p = s_.p, used = s_.rows.row.size(), width = stats_size(s_.rows.sets.size());
  auto const& train = s_.rows.sets[set].train;
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  auto const* x = reinterpret_cast<float const*>(x_.get());
  double* part = scratch.test.grow(step * p);
  double* basis = scratch.block.grow(keep * train.size());
  for (std::size_t first = 0; first < train.size(); first += step) {
    std::size_t const rows = std::min(step, train.size() - first);
    for (std::size_t j = 0; j < p; ++j) {
      double const* of = stats + j * width + 1 + 2 * set;
      double const shift = stats[j * width], mean = of[0], scale = of[1];
      for (std::size_t i = 0; i < rows; ++i) {
        part[i + j * rows] = (static_cast<double>(x[train[first + i] + j * used]) - shift - mean) * scale;
      }
    }
    blas::gemm('T', 'T', keep, rows, p, 1.0, vectors, p, part, rows, 0.0, basis + keep * first, keep);
  }
  pack_rows<double>({.from = basis, .depth_stride = keep}, keep, train.size(), at(basis_at_[set]),
                    s_.engine().packing());
  if (left_out_) {
    write_vectors(basis, keep, 1, values.data(), keep);
  }
}

void Preparer::decompose(std::size_t first_set, std::size_t last_set) {
  if (is_dual(s_.form)) {
    centre(first_set, last_set);
  }
  if (shape_.cca) {
    penalties_ = s_.options.alphas;
    double const unit = s_.options.relative_alphas ? trace_per_row(0) : 1;
    for (auto& x : penalties_) {
      x *= unit > 0 ? unit : 1;
    }
  }
  if (keeps_sides_) {
    return keep_sides(first_set, last_set);
  }
  if (shape_.pls) {
    response_grams(first_set, last_set);
  }
  solve(first_set, last_set);
}

void Preparer::solve(std::size_t first_set, std::size_t last_set) {
  Slots slots;
  std::size_t const variants = shape_.variants;
  for (std::size_t s = first_set; s < last_set; ++s) {
    std::size_t const most = most_[s], m = is_dual(s_.form) ? s_.rows.sets[s].train.size() : s_.p;
    slots.push_back({{basis_at_[s], variants * packed_size(most, s_.sets[s].basis_rows) * 4},
                     {values_at_[s], variants * (most + 2) * 8},
                     {cross_at_[s], variants * most * s_.rows.sets[s].test.size() * 4}});
    if (shape_.cca) {
      slots.back().push_back({cca_at_[s], variants * cca_numbers(most) * 8});
    }
    if (s + 1 == s_.rows.sets.size() && s_.options.coefficients) {
      slots.back().push_back({back_at_, variants * packed_size(m, most) * 4});
    }
    if (left_out_) {
      slots.back().push_back({vectors_at_, packed_size(s_.rows.n_train, most) * 4});
      slots.back().push_back({outside_at_, s_.rows.n_train * 8});
    }
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    std::size_t const set = first_set + u;
    s_.fit == Fit::cca   ? cca_unit(set, side_of(set, *scratch), *scratch)
    : s_.fit == Fit::pls ? pls_unit(set, side_of(set, *scratch), *scratch)
                         : spectral_unit(set, *scratch);
    pool_.give(std::move(scratch));
  });
}

/// cross / (λ + α) for every alpha.
void Preparer::spectral_hats() {
  std::size_t const sets = s_.rows.sets.size(), a = s_.alphas.size();
  auto info = [&](std::size_t s) { return reinterpret_cast<double const*>(hats_.get() + values_of(s, variant_)); };
  for (std::size_t s = 0; s < sets; ++s) {
    s_.sets[s].depth = static_cast<std::size_t>(info(s)[0]);
    s_.sets[s].values.assign(info(s) + 2, info(s) + 2 + s_.sets[s].depth);
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
    pack_rows<float>({.from = at(cross_of(s, variant_)), .row_stride = depth, .depth_scale = shrink.data()},
                     s_.rows.sets[s].test.size(), depth, at(slots[u][0].offset), s_.engine().packing());
  });
}

}  // namespace striate::detail
