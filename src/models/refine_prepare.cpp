// What refinement multiplies by: kernels of each band (or the Gram matrix), and the axes of every candidate's matrix.
#include <algorithm>
#include <cmath>

#include "pls.hpp"
#include "prepare.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {

/// Places in the hats, by bytes; `place` takes floats.
void Preparer::place_operators(std::function<std::size_t(std::size_t)> const& place) {
  s_.refine = {};
  operators_at_.clear();
  if (!refines()) return;
  bool const dual = is_dual(s_.form);
  for (std::size_t set = 0; set < s_.rows.sets.size(); ++set) {
    RefineSet of;
    std::size_t const e = s_.rows.sets[set].test.size();
    of.depth = most_[set];
    of.kernels = dual ? s_.parts() : 1;
    of.blocks = dual || set == s_.rows.inner() ? s_.parts() : 1;
    OperatorPlaces at;
    at.kernel = place(packed_size(of.kernels * panel_round(of.depth), of.depth));
    at.test = place(packed_size(of.blocks * panel_round(e), of.depth));
    at.axes = place(s_.weightings.size() * axes_floats(of.depth));
    operators_at_.push_back(at);
    s_.refine.sets.push_back(of);
  }
  for (auto const& weights : s_.weightings) s_.refine.starts.push_back(without_zeros(weights, traces_));
  for (double trace : traces_) {
    double const largest = trace * static_cast<double>(s_.rows.n_train);  // no eigenvalue is larger
    s_.refine.least.push_back(largest > 0 ? std::log(0.1 / largest) : 0);
  }
  for (auto const& band : s_.bands) s_.refine.edges.push_back(band.first);
  s_.refine.edges.push_back(s_.p);
}

/// Kernel and test rows of one band (dual), or of all features.
void Preparer::operator_unit(std::size_t set, std::size_t part, Scratch& scratch) {
  RefineSet const& of = s_.refine.sets[set];
  std::size_t const m = of.depth, e = s_.rows.sets[set].test.size(), block = panel_round(e) * m;
  double* g = scratch.g.grow(m * m);
  double* test = scratch.test.grow(std::max<std::size_t>(1, m * e * of.blocks));
  float* tests = at(operators_at_[set].test);
  if (is_dual(s_.form)) {
    Weights alone(s_.parts(), 0.0);
    alone[part] = 1;
    dual_kernel(set, alone, g, false);
    mirror(g, m);
    pack_rows<double>({.from = g, .row_stride = m}, m, m, at(operators_at_[set].kernel) + part * panel_round(m) * m);
    dual_test(set, alone, test);
    pack_rows<double>({.from = test, .row_stride = m}, e, m, tests + part * block);
    return;
  }
  Weights const ones(s_.parts(), 1.0);
  primal_gram(set, ones, g);
  mirror(g, m);
  pack_rows<double>({.from = g, .row_stride = m}, m, m, at(operators_at_[set].kernel));
  tests_of(set, ones, test);
  for (std::size_t b = 0; b < of.blocks; ++b) {
    pack_rows<double>({.from = test + b * m * e, .row_stride = m}, e, m, tests + b * block);
  }
}

/// Eigenvectors of a candidate's matrix; in primal forms of that of weighted features.
void Preparer::axes_unit(std::size_t set, std::size_t candidate, Scratch& scratch) {
  std::size_t const m = s_.refine.sets[set].depth;
  Weights const& weights = s_.refine.starts[candidate];
  double* g = scratch.g.grow(m * m);
  double* vectors = scratch.cross.grow(m * m);
  is_dual(s_.form) ? dual_kernel(set, weights, g) : primal_gram(set, weights, g);
  float* to = at(operators_at_[set].axes) + candidate * axes_floats(m);
  float* back = to + packed_size(m, m);
  auto* values = reinterpret_cast<double*>(back + packed_size(m, m));
  blas::eigen_top(m, g, m, m, values, vectors);
  for (std::size_t i = 0; i < m; ++i) values[i] = std::max(values[i], 0.0);
  pack_rows<double>({.from = vectors, .row_stride = m}, m, m, to);
  pack_rows<double>({.from = vectors, .depth_stride = m}, m, m, back);
}

void Preparer::operators(std::size_t first_set, std::size_t last_set) {
  if (!refines()) return;
  if (is_dual(s_.form)) centre(first_set, last_set);
  struct Unit {
    std::size_t set, number;
    bool axes;
  };
  std::vector<Unit> units;
  Slots slots;
  for (std::size_t set = first_set; set < last_set; ++set) {
    RefineSet const& of = s_.refine.sets[set];
    OperatorPlaces const& at = operators_at_[set];
    std::size_t const m = of.depth, kernel = panel_round(m) * m * 4,
                      test = of.blocks / of.kernels * panel_round(s_.rows.sets[set].test.size()) * m * 4;
    for (std::size_t b = 0; b < of.kernels; ++b) {
      units.push_back({set, b, false});
      slots.push_back({{at.kernel + b * kernel, kernel}, {at.test + b * test, test}});
    }
    for (std::size_t c = 0; c < s_.weightings.size(); ++c) {
      units.push_back({set, c, true});
      slots.push_back({{at.axes + c * axes_floats(m) * 4, axes_floats(m) * 4}});
    }
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    units[u].axes ? axes_unit(units[u].set, units[u].number, *scratch)
                  : operator_unit(units[u].set, units[u].number, *scratch);
    pool_.give(std::move(scratch));
  });
}

void Preparer::keep_operators() {
  for (std::size_t set = 0; set < s_.refine.sets.size(); ++set) {
    RefineSet& of = s_.refine.sets[set];
    std::size_t const packed = packed_size(of.depth, of.depth);
    of.kernel = at(operators_at_[set].kernel);
    of.test = at(operators_at_[set].test);
    for (std::size_t c = 0; c < s_.weightings.size(); ++c) {
      float const* to = at(operators_at_[set].axes) + c * axes_floats(of.depth);
      of.to.push_back(to);
      of.back.push_back(to + packed);
      of.values.push_back(reinterpret_cast<double const*>(to + 2 * packed));
    }
  }
}

}  // namespace striate::detail
