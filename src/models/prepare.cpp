#include "prepare.hpp"

#include <algorithm>
#include <cmath>

#include "grid_scores.hpp"
#include "striate/base/error.hpp"

namespace striate::detail {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

}  // namespace

Preparer::Preparer(Design const& design, FoldPlan const& plan, ModelOptions const& options, Fit fit, Team& team,
                   double budget, std::vector<Band> bands, std::vector<std::vector<double>> weightings, bool select)
    : design_(design), team_(team), budget_(budget), state_(std::make_unique<FoldState>()), s_(*state_) {
  s_.options = options;
  s_.ols = fit != Fit::ridge;
  s_.fit = fit;
  s_.counts = s_.by_components() ? options.components : s_.counts;
  s_.bands = std::move(bands);
  s_.weightings = std::move(weightings);
  s_.p = design.X.cols();
  if (s_.p == 0) {
    fail(Exit::data, "the layer has no features (0 columns); check the mask or the layer's name");
  }
  s_.alphas = s_.ols ? std::vector<double>{0.0} : options.alphas;
  bool const refit_only = plan.outer.test.empty();
  bool const with_inner =
      !s_.closed_form() && (select || s_.candidates() * s_.weightings.size() > 1 || refit_only);
  if (with_inner && plan.inner.empty()) {
    fail(Exit::data, "{} but there are no inner folds; set cv.inner.folds to 2 or more",
         refit_only ? "no outer fold has test rows" : "there are several settings to choose among");
  }
  s_.rows = make_rows(plan, design.X.rows(), with_inner);
  shape_ = shape_of(s_.p, design.targets, design.standardize, design.pca, options, fit, s_.alphas.size());
  shape_.bands = s_.bands.size();
  shape_.candidates = s_.weightings.size();
  if (s_.banded()) {
    shape_.standardize = std::ranges::any_of(s_.bands, [](Band const& b) { return b.standardize; });
  }
  s_.form = choose_form(s_.rows, shape_);
  left_out_ = predicts_left_out(s_.rows, shape_);
}

std::unique_ptr<FoldState> Preparer::run() {
  allocate();
  while (!all_groups()) {
  }
  finish();
  return std::move(state_);
}

/// False where a factorisation failed: the alphas that failed are dropped and everything is done again.
bool Preparer::all_groups() {
  for (std::size_t first = 0; first < grams_; first += group_) {
    std::size_t const last = std::min(grams_, first + group_);
    bool const one_gram = is_dual(s_.form) && grams_ == 1;
    bool const streamed = have_stats_ && group_ >= grams_;
    if (!streamed) {
      if (shape_.reduced && reduced_trace_.empty() && last < grams_) {  // traces of the outer kernels come first
        stream(grams_ - 1, grams_);
      }
      stream(first, last);
    }
    if (first == 0) {
      choose_alphas();
      layout();
    }
    std::size_t const first_set = one_gram || !is_dual(s_.form) ? 0 : first;
    std::size_t const last_set = one_gram || !is_dual(s_.form) ? s_.rows.sets.size() : last;
    if (is_spectral(s_.form)) {
      decompose(first_set, last_set);
    } else if (!factor(first_set, last_set)) {
      return false;
    }
    operators(first_set, last_set);
    keep_components(last_set);
    if (!is_dual(s_.form)) {
      break;
    }
  }
  gram_.reset();
  gram_y_.reset();
  centre_.reset();
  if (!is_spectral(s_.form)) {
    interpolate();
  } else if (!keeps_sides_) {
    end_spectral();
  }
  return true;
}

/// Components of all sets are there.
void Preparer::end_spectral() {
  if (shape_.cca) {
    choose_penalty();
  }
  spectral_hats();
  left_out_factors();
}

/// Absolute alphas, ascending, and their skeleton.
void Preparer::choose_alphas() {
  double mean = 0;  // of the bands: the trace of their kernels at equal weights
  trace_ = 0;
  traces_.clear();
  for (std::size_t part = 0; !is_spectral(s_.form) && part < s_.parts(); ++part) {
    double const mine = trace_per_row(part);
    traces_.push_back(mine);
    mean += mine / static_cast<double>(s_.parts());
    trace_ = std::max(trace_, mine);
  }
  if (s_.report.alphas.empty() && !s_.ols) {  // first time: nothing has been dropped
    auto& a = s_.alphas;
    std::sort(a.begin(), a.end());
    a.erase(std::unique(a.begin(), a.end()), a.end());
    if (s_.options.relative_alphas && !is_spectral(s_.form)) {
      for (auto& x : a) {
        x *= mean > 0 ? mean : 1;
      }
    }
  }
  s_.report.alphas = s_.alphas;
  bool const plain = s_.options.exact_grid || is_spectral(s_.form);
  s_.skeleton = plain ? full_skeleton(s_.alphas.size())
                      : alpha_skeleton(s_.alphas, trace_ * static_cast<double>(s_.rows.n_train));
}

/// Places of everything that outlives prepare, in one shared allocation. Matrices are packed for panel_product.
void Preparer::layout() {
  std::size_t const q = s_.q(), a = s_.alphas.size(), sets = s_.rows.sets.size();
  bool const spectral = is_spectral(s_.form), coefficients = s_.options.coefficients;
  std::size_t at = 0;
  auto place = [&](std::size_t floats) {
    std::size_t const here = at;
    at += round_up(floats * 4, 64);
    return here;
  };
  for (auto* v : {&inner_at_, &basis_at_, &values_at_, &cross_at_, &cca_at_, &most_}) {
    v->assign(sets, 0);
  }
  std::size_t const candidates = s_.weightings.size();
  outer_at_.assign(s_.banded() ? candidates : a, 0);
  inverse_at_.assign(s_.banded() ? candidates * q : a, 0);
  x_at_.clear();
  s_.sets.assign(sets, {});
  for (std::size_t s = 0; s < sets; ++s) {
    auto const& rows = s_.rows.sets[s];
    std::size_t const m = is_dual(s_.form) ? rows.train.size() : s_.p, e = rows.test.size();
    std::size_t const depth = most_[s] = spectral ? most_components(shape_, rows.train.size()) : m;
    s_.sets[s].basis_rows = rows.train.size();
    s_.sets[s].depth = depth;
    if (spectral) {
      basis_at_[s] = place(shape_.variants * packed_size(depth, rows.train.size()));
      values_at_[s] = place(shape_.variants * 2 * (depth + 2));
      cross_at_[s] = place(shape_.variants * e * depth);
      cca_at_[s] = shape_.cca ? place(shape_.variants * 2 * cca_numbers(depth)) : 0;
    }
    if (s + 1 < sets) {
      s_.sets[s].next = packed_size(q * panel_round(e), depth);
      inner_at_[s] = place(candidates * s_.sets[s].next);
      continue;
    }
    for (auto& outer : outer_at_) {
      outer = place(packed_size(s_.banded() ? q * s_.parts() * panel_round(e) : e, depth));
    }
    for (auto& inverse : inverse_at_) {
      inverse = coefficients && !spectral ? place(packed_size(m, m)) : 0;
    }
    back_at_ = coefficients && spectral ? place(shape_.variants * packed_size(m, depth)) : 0;
  }
  for (std::size_t b = 0; s_.form == Form::primal && b < s_.rows.blocks.blocks(); ++b) {
    x_at_.push_back(place(packed_size(s_.p, s_.rows.blocks.begin[b + 1] - s_.rows.blocks.begin[b])));
  }
  if (left_out_) {
    vectors_at_ = place(packed_size(s_.rows.n_train, most_.back()));
    outside_at_ = place(2 * s_.rows.n_train);
    left_out_at_ = place(2 * a * s_.rows.n_train);
  }
  place_operators(place);
  place_components(place);
  flags_at_ = place(2 * std::max(sets * q * candidates, sets));
  if (keeps_sides_) {
    return place_sides();
  }
  if (static_cast<double>(at) > budget_) {
    fail(
        Exit::limit,
        "a fold of {} stimuli needs {:.1f} GiB for its hat matrices but the budget is {:.1f} GiB; raise memory, or use "
        "fewer alphas or inner folds{}",
        s_.rows.n_train, static_cast<double>(at) / gib, budget_ / gib,
        s_.banded() ? ", or a smaller model.n_iter" : "");
  }
  hats_.reset();
  hats_ = team_.shared(at);
  s_.report.shared_bytes = static_cast<double>(at + s_.p * stats_size(sets) * 8);
}

/// Primal: Xᵀ of each block of training rows, less the outer training mean.
void Preparer::pack_features() {
  constexpr std::size_t features_per_unit = 4 * panel_rows;
  std::size_t const used = s_.rows.row.size(), per_block = (s_.p + features_per_unit - 1) / features_per_unit;
  auto const& begin = s_.rows.blocks.begin;
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < per_block * x_at_.size(); ++u) {
    std::size_t const b = u / per_block, first = u % per_block * features_per_unit, rows = begin[b + 1] - begin[b];
    slots.push_back({x_at_[b] + first * rows * 4, panel_round(std::min(features_per_unit, s_.p - first)) * rows * 4});
  }
  auto const* x = reinterpret_cast<float const*>(x_.get());
  auto const shift = shifts(0, s_.p);
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    std::size_t const b = u / per_block, first = u % per_block * features_per_unit;
    pack_rows<float>({.from = x + begin[b] + first * used, .row_stride = used, .row_shift = shift.data() + first},
                     std::min(features_per_unit, s_.p - first), begin[b + 1] - begin[b], at(slots[u].offset),
                     s_.engine().packing());
  });
}

void Preparer::finish() {
  std::size_t const sets = s_.rows.sets.size();
  bool const spectral = is_spectral(s_.form);
  if (s_.form == Form::primal) {
    pack_features();
  }
  x_.reset();
  for (std::size_t s = 0; s < sets; ++s) {
    s_.sets[s].inner = at(inner_at_[s]);
    s_.sets[s].basis = at(spectral ? basis_of(s, variant_) : basis_at_[s]);
  }
  for (auto offset : outer_at_) {
    s_.outer.push_back(at(offset));
  }
  for (auto offset : inverse_at_) {
    s_.inverse.push_back(at(offset));
  }
  for (auto offset : x_at_) {
    s_.x.push_back(at(offset));
  }
  s_.basis_back = at(spectral ? back_of(variant_) : back_at_);
  if (spectral) {
    auto const* values = reinterpret_cast<double const*>(hats_.get() + values_of(sets - 1, variant_)) + 2;
    s_.eigenvalues.assign(values, values + s_.sets.back().depth);
  }
  if (left_out_) {
    s_.vectors = at(vectors_at_);
    s_.left_out = reinterpret_cast<double const*>(hats_.get() + left_out_at_);
  }
  keep_operators();
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    s_.components.push_back(components_at_[part] == 0 ? nullptr : at(components_at_[part]));
  }
  s_.stats = reinterpret_cast<double const*>(stats_.get());
  s_.owned = {stats_, hats_};
  s_.factors = s_.engine().cache();
  s_.combine = combination_of(s_.skeleton, s_.alphas.size());
  auto& r = s_.report;
  r.form = shape_.cca ? kernel_cca : shape_.pls ? kernel_pls : name_of(s_.form);
  r.alphas = s_.alphas;
  r.skeleton = s_.q();
  if (s_.by_components()) {
    choose_counts();
  }
  r.rank = is_spectral(s_.form) ? s_.sets.back().depth : 0;
  if (sides_ == nullptr) {
    count_constant();
  }
  r.flops_per_target = cost_of(s_.rows, shape_, s_.form, s_.q(), budget_).flops_per_target;
}

void Preparer::count_constant() {
  std::size_t const sets = s_.rows.sets.size(), width = stats_size(sets);
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  for (std::size_t j = 0; j < s_.p; ++j) {
    s_.report.constant_features += stats[j * width + 2 * sets] == 0 ? 1 : 0;
  }
}

std::unique_ptr<FoldState> prepare_fold(Design const& design, FoldPlan const& plan, ModelOptions const& options,
                                        Fit fit, Team& team, double memory_budget, bool select) {
  return Preparer(design, plan, options, fit, team, memory_budget, {}, {{1}}, select).run();
}

std::unique_ptr<FoldState> prepare_banded(Design const& design, FoldPlan const& plan, ModelOptions const& options,
                                          std::vector<Band> bands, std::vector<std::vector<double>> candidates,
                                          Team& team, double memory_budget) {
  bool const select = options.refine && bands.size() > 1;
  return Preparer(design, plan, options, Fit::ridge, team, memory_budget, std::move(bands), std::move(candidates), select)
      .run();
}

}  // namespace striate::detail
