#include "form.hpp"

#include <algorithm>
#include <cmath>

#include "refine.hpp"
#include "striate/base/error.hpp"
#include "striate/math/gram.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr double f64_price = 2;  // a float64 flop costs about two float32 ones
constexpr double pls_products = 60;   // of both Gram matrices with a vector, a component; a quarter of it, but bound by memory
constexpr double cheap_gram = 4e9;  // rows² × features: about a second in float64

double cube(double x) { return x * x * x; }

// What takes how long, in flops of a float32 product (bench/scale; EPYC, OpenBLAS as a Haswell): a flop of the Gram and of
// the factorisations as counted here, a product with a tile, the scores of one prediction, a row of a target's responses.
constexpr double gram_price = 3.3, factor_price = 5.5, product_price = 1.05, score_price = 120, row_price = 400;

struct Work {
  double gram = 0, factor = 0, tile = 0;                  // flops; gram and factor in float64 unless told
  double fixed = 0, scored = 0, banded = 0, responses = 0;  // of tile: with the choice made; predictions; flops beside
  double refit = 0, sides = 0, refit_scratch = 0;  // pls, cca: flops that follow responses; bytes kept, of a thread
  double hats = 0, features = 0, grams = 0, scratch = 0;  // bytes
};

/// Bytes of everything that tiles multiply by, as Preparer::layout places it.
double hat_bytes(RowPlan const& rows, Shape const& shape, Form form, std::size_t q) {
  std::size_t const a = shape.alphas, solved = is_spectral(form) ? a : q;
  std::size_t floats = 0;
  for (std::size_t s = 0; s < rows.sets.size(); ++s) {
    std::size_t const train = rows.sets[s].train.size(), e = rows.sets[s].test.size(),
                      m = is_dual(form) ? train : shape.p;
    std::size_t const depth = is_spectral(form) ? most_components(shape, train) : m;
    bool const outer = s + 1 == rows.sets.size();
    std::size_t const variants = shape.variants;
    floats += is_spectral(form) ? variants * (packed_size(depth, train) + 2 * (depth + 2) + e * depth) : 0;
    floats += shape.cca ? 2 * variants * cca_numbers(depth) : 0;
    if (shape.bands > 0) {
      floats += shape.candidates * packed_size((outer ? shape.bands : 1) * q * panel_round(e), depth);
      floats += outer && shape.coefficients ? shape.candidates * q * packed_size(m, m) : 0;
      floats += outer && shape.coefficients && shape.reduced ? shape.bands * (2 + train * std::min(train, shape.p)) : 0;
      floats += shape.refines(rows) ? refine_floats(m, e, is_dual(form) ? shape.bands : 1,
                                                    is_dual(form) || outer ? shape.bands : 1, shape.candidates)
                                    : 0;
      continue;
    }
    floats += outer ? a * packed_size(e, depth) : packed_size(solved * panel_round(e), depth);
    if (outer && shape.coefficients) {
      floats += is_spectral(form) ? variants * packed_size(m, depth) : a * packed_size(m, m);
    }
  }
  for (std::size_t b = 0; form == Form::primal && b < rows.blocks.blocks(); ++b) {
    floats += packed_size(shape.p, rows.blocks.begin[b + 1] - rows.blocks.begin[b]);
  }
  if (predicts_left_out(rows, shape)) {
    floats += packed_size(rows.n_train, most_components(shape, rows.n_train)) + 2 * (a + 1) * rows.n_train;
  }
  return 4 * static_cast<double>(floats);
}

/// Rounds that targets take in the mean, and what an eigendecomposition costs in m³.
constexpr double refine_rounds = 20, axes_price = 10;

void refinement_work(RowPlan const& rows, Shape const& shape, Form form, Work& w) {
  for (std::size_t s = 0; shape.refines(rows) && s < rows.sets.size(); ++s) {
    bool const dual = is_dual(form), outer = s + 1 == rows.sets.size();
    auto const m = static_cast<double>(dual ? rows.sets[s].train.size() : shape.p);
    auto const e = static_cast<double>(rows.sets[s].test.size()), bands = static_cast<double>(shape.bands);
    w.factor += axes_price * static_cast<double>(shape.candidates) * cube(m);
    w.tile += refine_rounds * 2 * m * (m * (2 + (dual ? bands : 1)) + e * (dual || outer ? bands : 1));
    w.scored += refine_rounds * 60 * bands * e;  // predictions and derivatives in the small space
    w.scratch = std::max(w.scratch, 8 * (2 * m * m + 40 * m));
  }
}

Work work_of(RowPlan const& rows, Shape const& shape, Form form, std::size_t q) {
  Work w;
  auto const n = static_cast<double>(rows.n_train), te = static_cast<double>(rows.n_test),
             p = static_cast<double>(shape.p);
  auto const a = static_cast<double>(shape.alphas), dq = static_cast<double>(q);
  double const used = n + te;
  bool const per_set = shape.per_set() || is_spectral(form);
  auto const sets = static_cast<double>(rows.sets.size());
  double const grams = is_dual(form) ? (shape.per_set() ? sets : 1) : static_cast<double>(rows.blocks.blocks());
  w.grams = grams * gram_bytes(rows, shape, form);
  w.hats = hat_bytes(rows, shape, form, q);
  w.gram = is_dual(form) ? used * used * p * (per_set && shape.per_set() ? sets : 1) : used * p * p;
  if (is_dual(form) && !wide_gram(shape, rows.n_train + rows.n_test)) {
    w.gram /= f64_price;
  }
  if (shape.pls) {
    w.responses = n * n * static_cast<double>(shape.targets) * (shape.response_per_set ? sets : 1);
    w.gram += w.responses / f64_price;
  }
  if (form == Form::block_inverse) {
    w.factor += dq * (cube(n) + 2 * n * n * te);
    w.scratch = 2 * n * n * 8;
  }
  for (std::size_t s = 0; s < rows.sets.size(); ++s) {
    bool const outer = s + 1 == rows.sets.size();
    auto const nr = static_cast<double>(rows.sets[s].train.size()), ne = static_cast<double>(rows.sets[s].test.size());
    double const m = is_dual(form) ? nr : p;
    double const c = is_spectral(form) ? static_cast<double>(most_components(shape, rows.sets[s].train.size())) : m;
    if (is_spectral(form)) {
      double const solved = shape.cca   ? 6 * cube(m) + static_cast<double>(shape.variants) * 6 * m * m * c
                            : shape.pls ? c * pls_products * 4 * m * m
                                        : 0;
      w.refit += solved;
      w.factor += solved + (shape.cca ? 6 * cube(m) : shape.pls ? cube(m) / 3 : 0);
      w.sides += shape.pls ? 8 * static_cast<double>(side_doubles(shape, rows.sets[s])) : 0;
      w.refit_scratch = std::max(w.refit_scratch, 8 * m * (shape.cca ? 4 * m + ne : m + 500 + 4 * c));
      w.factor += shape.pls && !shape.cca && shape.pca == 0 ? 0 : (c * 2 < m ? 4 : 12) * cube(m);  // to tridiagonal form, bound by memory
      w.tile += 2 * c * nr;
      w.factor += is_dual(form) ? 0 : 2 * c * p * nr;
    } else if (form != Form::block_inverse) {
      w.factor += dq * (cube(m) / 3 + 2 * m * m * ne) + (outer && shape.coefficients ? dq * cube(m) * 2 / 3 : 0);
    } else if (!outer) {
      w.factor += dq * (cube(n - nr) / 3 + 2 * (n - nr) * (n - nr) * nr);
    }
    double const basis = form == Form::spectral_primal ? c * nr + 256 * p : shape.pls ? 200 * nr : 0;
    w.scratch = std::max(w.scratch, (m * m * (is_spectral(form) ? (shape.cca ? 6 : shape.pls ? 4 : 3) : 1) + m * ne + basis) * 8);
    double const solved = is_spectral(form) ? a : dq;
    auto const tried = static_cast<double>(std::max(shape.alphas, shape.components) * shape.candidates);
    w.scored += outer ? ne : tried * ne;
    w.fixed += outer ? 2 * ne * c + (is_spectral(form) ? 2 * c * nr : 0) : 0;
    // Each band's prediction has a hat of its own in the outer fit.
    w.banded += outer && shape.bands > 0 ? static_cast<double>(shape.bands * shape.candidates) * dq * 2 * m * m * ne : 0;
    w.tile += outer ? 2 * ne * c : 2 * solved * ne * c;
    if (outer && shape.coefficients) {
      w.tile += 2 * m * c * (shape.bands > 0 ? dq : 1);
    }
  }
  if (shape.bands > 0) {
    auto const candidates = static_cast<double>(shape.candidates);
    w.factor *= candidates;
    for (std::size_t s = 0; s + 1 < rows.sets.size(); ++s) {
      auto const& set = rows.sets[s];
      w.tile += 2 * (candidates - 1) * dq * static_cast<double>(set.test.size()) *
                (is_dual(form) ? static_cast<double>(set.train.size()) : p);
    }
    w.tile += 2 * (static_cast<double>(shape.bands) * dq - 1) * te * (is_dual(form) ? n : p);
    refinement_work(rows, shape, form, w);
    for (std::size_t s = 0; shape.reduced && s < rows.sets.size(); ++s) {  // eigenvectors of each band
      auto const m = static_cast<double>(rows.sets[s].train.size()), e = static_cast<double>(rows.sets[s].test.size());
      w.factor += static_cast<double>(shape.bands) * 12 * cube(m);
      w.scratch = std::max(w.scratch, 8 * (4 * m * m + 2 * m * e));
    }
  }
  w.tile += form == Form::primal ? 2 * n * p : 0;
  if (shape.selection != Selection::folds) {
    auto const c = static_cast<double>(most_components(shape, rows.n_train));
    bool const whole = c + 1 >= n;
    w.tile += predicts_left_out(rows, shape) ? 2 * n * c * (whole ? a : a + 1) : 0;
    w.tile += shape.selection == Selection::gcv ? 2 * c * a : 0;
    w.factor += predicts_left_out(rows, shape) ? 3 * n * c * a : 0;
  }
  w.fixed += form == Form::primal ? 2 * n * p : 0;
  w.features = is_dual(form) ? 0 : used * p * 4;
  return w;
}

}  // namespace

char const* name_of(Form form) {
  switch (form) {
    case Form::block_inverse:
      return "dual block-inverse";
    case Form::dual:
      return "dual";
    case Form::primal:
      return "primal";
    case Form::spectral_dual:
      return "spectral dual";
    case Form::spectral_primal:
      return "spectral primal";
  }
  return "?";
}

Shape shape_of(std::size_t p, std::size_t targets, bool standardize, double pca, ModelOptions const& options, Fit fit,
               std::size_t alphas) {
  Shape s;
  s.p = p;
  s.alphas = alphas;
  s.targets = targets;
  s.standardize = standardize;
  s.selection = fit == Fit::ridge ? options.selection : Selection::folds;
  s.scored = !options.scores.empty();
  s.spectral = fit != Fit::ridge || pca > 0 || s.selection != Selection::folds;
  s.coefficients = options.coefficients;
  s.refine = options.refine;
  s.reduced = std::ranges::any_of(options.band_pca, [](double k) { return k > 0; });
  s.pca = pca;
  s.width = options.width;
  if (fit == Fit::pcr || fit == Fit::pls || fit == Fit::cca) {
    s.components = *std::max_element(options.components.begin(), options.components.end());
    s.cca = fit == Fit::cca;
    s.pls = fit == Fit::pls || s.cca;
    s.variants = s.cca ? options.alphas.size() : 1;
    s.response_per_set = s.pls && options.standardize_responses;
  }
  return s;
}

void check_pca(double pca) {
  if (!(pca >= 0) || (pca > 1 && pca != std::floor(pca))) {
    fail(Exit::config,
         "features.transform.pca is {} (a number of components, or a share of variance below 1, or 0 for none); mend it",
         pca);
  }
}

bool predicts_left_out(RowPlan const& rows, Shape const& shape) {
  return (shape.selection == Selection::loo && shape.alphas > 1) ||
         (shape.selection != Selection::folds && rows.n_test == 0 && shape.scored);
}

std::size_t most_components(Shape const& shape, std::size_t train) {
  std::size_t limit = std::max<std::size_t>(1, std::min(shape.p, train - 1));
  limit = shape.components > 0 ? std::min(limit, shape.components) : limit;
  return shape.pca >= 1 ? std::min(limit, static_cast<std::size_t>(shape.pca)) : limit;
}

std::size_t most_axes(Shape const& shape, std::size_t train) {
  std::size_t const all = std::max<std::size_t>(1, std::min(shape.p, train - 1));
  std::size_t const leading = shape.pca >= 1 ? std::min(all, static_cast<std::size_t>(shape.pca)) : all;
  return shape.cca || shape.pca > 0 ? leading : 0;
}

std::size_t side_doubles(Shape const& shape, SetRows const& rows) {
  std::size_t const n = rows.train.size(), e = rows.test.size(), axes = most_axes(shape, n);
  return (shape.cca ? 0 : round_up(n * n, 8)) + round_up(n * axes, 8) + round_up(axes, 8) + round_up(n * e, 8) +
         (shape.cca ? round_up(axes * e, 8) : 0) + 8;
}

double gram_bytes(RowPlan const& rows, Shape const& shape, Form form) {
  auto const bytes = [](std::size_t order) { return static_cast<double>(PackedShape(order).doubles()) * 8; };
  double const sets = shape.response_per_set && !shape.standardize ? static_cast<double>(rows.sets.size()) : 1;
  double const bands = is_dual(form) && shape.bands > 0 ? static_cast<double>(shape.bands) : 1;
  return bands * bytes(is_dual(form) ? rows.row.size() : shape.p) + (shape.pls ? sets * bytes(shape.cca ? rows.row.size() : rows.n_train) : 0);
}

bool wide_gram(Shape const& shape, std::size_t rows) {
  auto const n = static_cast<double>(rows);
  bool const cheap = n * n * static_cast<double>(shape.p) <= cheap_gram;
  if (shape.components > 0) {  // strong components need no more than float32 of the features
    return cheap;
  }
  return shape.p <= 4 * rows || cheap || (shape.spectral && shape.pca == 0);
}

Form choose_form(RowPlan const& rows, Shape const& shape) {
  std::size_t smallest = rows.n_train;
  for (auto const& s : rows.sets) {
    smallest = std::min(smallest, s.train.size());
  }
  if (shape.pls) {
    return Form::spectral_dual;
  }
  if (shape.spectral) {
    return shape.p < smallest ? Form::spectral_primal : Form::spectral_dual;
  }
  auto const t = static_cast<double>(shape.targets == 0 ? 10000 : shape.targets);
  auto total = [&](Form f) {
    Work const w = work_of(rows, shape, f, shape.alphas);
    return f64_price * (w.gram + w.factor) + t * w.tile;
  };
  Form const dual =
      shape.per_set() || total(Form::dual) < total(Form::block_inverse) ? Form::dual : Form::block_inverse;
  return !shape.reduced && shape.p < smallest && total(Form::primal) < total(dual) ? Form::primal : dual;
}

double shrinking_work(RowPlan const& rows, Shape const& shape, double alphas) {
  double work = row_price * static_cast<double>(rows.n_train + rows.n_test);
  for (auto const& set : rows.sets) {
    auto const c = static_cast<double>(most_components(shape, set.train.size()));
    auto const ne = static_cast<double>(set.test.size());
    work += product_price * 2 * c * static_cast<double>(set.train.size()) +
            alphas * (product_price * 2 * ne * c + score_price * ne + 300 * c);
  }
  return work;
}

ModelCost cost_of(RowPlan const& rows, Shape const& shape, Form form, std::size_t q, double budget) {
  Work const w = work_of(rows, shape, form, q);
  auto const used = static_cast<double>(rows.n_train + rows.n_test), p = static_cast<double>(shape.p);
  ModelCost c;
  c.form = shape.cca ? kernel_cca : shape.pls ? kernel_pls : name_of(form);
  c.prepare_flops = w.gram + w.factor;
  c.flops_per_target = w.tile;
  c.fixed_flops = w.fixed;
  Shape of_responses = shape;
  of_responses.p = shape.targets;
  double const halved = shape.pls && wide_gram(of_responses, rows.n_train) ? w.responses / f64_price : 0;
  c.prepare_work = gram_price * (w.gram + halved) + factor_price * (w.factor + w.banded);
  double const row = row_price * static_cast<double>(rows.n_train + rows.n_test);
  c.work_per_target = product_price * w.tile + score_price * w.scored + row;
  c.fixed_work = product_price * w.fixed + score_price * static_cast<double>(rows.n_test) + row;
  double const stats = p * static_cast<double>(stats_size(rows.sets.size())) * 8;
  c.shared_kept_bytes = w.hats + stats;
  double grams = w.grams;
  double passes = 1;
  if (form == Form::dual || form == Form::spectral_dual) {  // sets are taken in groups where memory is short
    double const one = w.grams / (shape.per_set() ? static_cast<double>(rows.sets.size()) : 1);
    double const room = std::max(one, budget * 0.6 - c.shared_kept_bytes);
    grams = std::min(w.grams, std::floor(room / one) * one);
    passes = std::ceil(w.grams / grams);
  }
  c.shared_bytes = c.shared_kept_bytes + grams + w.features;
  c.private_bytes = std::min(2.0 * p * static_cast<double>(rows.n) * 4,
                             std::max(512e6, 2 * 1024.0 * static_cast<double>(rows.n) * 4));
  std::size_t widest = 0;  // rows of the largest product with a tile, per alpha
  for (auto const& s : rows.sets) {
    widest = std::max(widest, s.test.size());
  }
  widest = std::max(widest, shape.bands * rows.n_test);
  if (shape.bands > 0 && shape.coefficients) {
    widest = std::max(widest, is_dual(form) ? rows.n_train : shape.p);
  }
  double const tile = static_cast<double>(shape.width) *
                      (4 * (3 * used + (form == Form::primal ? p * static_cast<double>(rows.blocks.blocks() + 2) : 0)) +
                       4 * static_cast<double>(widest * shape.alphas) + 8 * 8 * static_cast<double>(shape.alphas));
  double const left_out = shape.selection == Selection::folds ? 0 : static_cast<double>(shape.width) * 4 * 4 * used;
  double refined = 0;
  if (shape.refines(rows)) {
    double const one = refine_bytes(rows, shape.bands, is_dual(form), shape.p);
    std::size_t const deepest = is_dual(form) ? rows.n_train : shape.p;
    auto const width = static_cast<double>(refine_width(one));
    refined = width * (one + 4 * static_cast<double>(deepest * (shape.bands + 5) + shape.bands * widest)) +
              4 * static_cast<double>(is_dual(form) ? 0 : shape.width * shape.p * rows.sets.size());
  }
  c.thread_bytes = std::max(w.scratch, tile + left_out + refined) + 32e6;
  c.read_bytes = passes * p * static_cast<double>(rows.n) * 4;
  if (shape.pls) {
    double const gram = static_cast<double>(PackedShape(shape.cca ? rows.row.size() : rows.n_train).doubles()) * 8;
    c.features_bytes = w.sides + stats;
    c.refit_flops = w.responses + w.refit;
    c.refit_work = gram_price * (w.responses / f64_price + halved) + factor_price * w.refit;
    c.refit_bytes = w.hats + gram + w.refit_scratch +
                    2 * std::max(refit_panel_bytes, 4.0 * gram_panel * static_cast<double>(rows.n));
  }
  return c;
}

}  // namespace striate::detail
