// Targets climb together: products are shared, decisions are each target's own.
#include "refine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "epilogue.hpp"
#include "fitted.hpp"
#include "galerkin.hpp"
#include "small_solve.hpp"
#include "striate/math/panel_product.hpp"
#include "test_scores.hpp"

namespace striate::detail {
namespace {

constexpr double reach = 2;          ///< of δ from its start, a factor of 7 either way: further climbs the folds' noise
constexpr double least_share = 0.05;  ///< of the trace that bands without weight get together, about
constexpr double still = 2e-5;        ///< change of predictions, in deviations of the target, that is none
constexpr double fitted_share = 0.3;  ///< of it, of fitted responses: what is predicted may change by more
constexpr double trusted = 0.02;      ///< change of predictions by which derivatives still are right enough
constexpr double rest = 3e-6;         ///< gain of a round that is none
constexpr double group_bytes = 48e6;

}  // namespace

std::size_t refine_floats(std::size_t depth, std::size_t test, std::size_t kernels, std::size_t blocks,
                          std::size_t candidates) {
  return packed_size(kernels * panel_round(depth), depth) + packed_size(blocks * panel_round(test), depth) +
         candidates * axes_floats(depth);
}

double refine_bytes(RowPlan const& rows, std::size_t bands, bool dual, std::size_t p) {
  std::size_t floats = 0;
  for (std::size_t s = 0; s < rows.sets.size(); ++s) {
    std::size_t const m = dual ? rows.sets[s].train.size() : p, outer = s + 1 == rows.sets.size() ? 1 : 0;
    floats += m * (1 + (dual ? bands : 1)) + (dual || outer ? bands : 1) * panel_round(rows.sets[s].test.size());
  }
  return 4.0 * static_cast<double>(floats * refine_depth);
}

std::size_t refine_width(double bytes) {
  return std::clamp<std::size_t>(static_cast<std::size_t>(group_bytes / bytes) / sliver * sliver, sliver, 64);
}

std::vector<double> without_zeros(std::vector<double> weights, std::vector<double> const& trace) {
  auto const bands = static_cast<double>(weights.size());
  double const all = std::inner_product(weights.begin(), weights.end(), trace.begin(), 0.0);
  for (std::size_t b = 0; b < weights.size(); ++b) {
    double const least = trace[b] > 0 && all > 0 ? least_share * all / bands / trace[b] : 1e-6;
    weights[b] = std::max(weights[b], least);
  }
  return weights;
}

/// A target on its way.
struct Fitted::Climber {
  std::size_t target = 0, candidate = 0;  ///< whose matrix, with alpha, is nearest to that of δ
  double alpha = 1;
  std::vector<double> start, delta;
  std::vector<Galerkin> sets;
  std::vector<std::vector<double>> last;  ///< predictions (of the outer set: coefficients) of the round before
  double score = 0, damping = 1e-2, change = 0;
  bool failed = false, settled = false, rests = false;
  [[nodiscard]] bool active() const { return !failed && !settled; }
};

/// Primal: times the roots of e^δ, which the axes of weighted features are behind.
void Fitted::weigh(std::vector<double> const& delta, float* x) const {
  for (std::size_t b = 0; !is_dual(s_.form) && b < delta.size(); ++b) {
    auto const root = static_cast<float>(std::exp(delta[b] / 2));
    for (std::size_t j = s_.refine.edges[b]; j < s_.refine.edges[b + 1]; ++j) x[j] *= root;
  }
}

/// A vector more in a set's space of every active target.
void Fitted::grow(std::size_t set, std::size_t round, std::vector<Climber>& group, RefineBuffers& work) const {
  RefineSet const& of = s_.refine.sets[set];
  std::size_t const m = of.depth, ld = padded_rows(m);
  std::vector<Climber*> who;
  for (auto& c : group) {
    if (c.active()) who.push_back(&c);
  }
  std::ranges::stable_sort(who, {}, [](Climber const* c) { return c->candidate; });
  std::size_t const width = padded_cols(who.size());
  float* all = work.directions.grow(m * width);
  std::fill_n(all, m * width, 0.0F);
  std::vector<bool> grows(who.size());
  for (std::size_t at = 0, end = 0; at < who.size(); at = end) {  // those of one start
    std::size_t const candidate = who[at]->candidate;
    for (end = at; end < who.size() && who[end]->candidate == candidate; ++end) {
    }
    std::size_t const cols = padded_cols(end - at);
    float* r = work.residuals.grow(m * cols);
    float* x = work.turned.grow(ld * cols);
    std::fill_n(r + (end - at) * m, (cols - (end - at)) * m, 0.0F);
    for (std::size_t g = at; g < end; ++g) {
      Galerkin const& mine = who[g]->sets[set];
      bool const turns = round > 0 && round <= turning_rounds(s_.bands.size()) && mine.size() > 0;
      turns ? mine.turn(round - 1, r + (g - at) * m) : mine.residual(r + (g - at) * m);
      weigh(who[g]->delta, r + (g - at) * m);
    }
    panel_product(of.to[candidate], m, m, r, m, cols, x, work.slivers);
    for (std::size_t g = at; g < end; ++g) {
      for (std::size_t i = 0; i < m; ++i) {
        r[(g - at) * m + i] = static_cast<float>(x[(g - at) * ld + i] / (of.values[candidate][i] + who[g]->alpha));
      }
    }
    panel_product(of.back[candidate], m, m, r, m, cols, x, work.slivers);
    for (std::size_t g = at; g < end; ++g) {
      float* mine = all + g * m;
      std::copy_n(x + (g - at) * ld, m, mine);
      weigh(who[g]->delta, mine);
      grows[g] = who[g]->sets[set].begin(mine);
      if (!grows[g]) std::fill_n(mine, m, 0.0F);
    }
  }
  std::size_t const rows = of.kernels * panel_round(m), test = of.blocks * panel_round(s_.rows.sets[set].test.size());
  float* k = work.products.grow(padded_rows(rows) * width);
  float* t = work.tests.grow(std::max<std::size_t>(1, padded_rows(test) * width));
  panel_product(of.kernel, rows, m, all, m, width, k, work.slivers);
  if (test > 0) panel_product(of.test, test, m, all, m, width, t, work.slivers);
  for (std::size_t g = 0; g < who.size(); ++g) {
    if (grows[g]) who[g]->sets[set].add(all + g * m, k + g * padded_rows(rows), t + g * padded_rows(test));
  }
}

/// The candidate and alpha whose penalties differ least from δ, by a factor, in those bands that matter.
void Fitted::aim(Climber& c) const {
  double nearest = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < s_.refine.starts.size(); ++k) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (std::size_t b = 0; b < c.delta.size(); ++b) {
      double const off = std::max(c.delta[b], s_.refine.least[b]) - std::log(s_.refine.starts[k][b]);
      low = std::min(low, off);
      high = std::max(high, off);
    }
    if (high - low < nearest) {
      nearest = high - low;
      c.candidate = k;
      c.alpha = std::exp(-(high + low) / 2);
    }
  }
}

/// Mean inner score at δ; false where it cannot be had.
bool Fitted::evaluate(Climber& c, std::vector<double> const& delta, double& score_there) const {
  score_there = 0;
  for (std::size_t f = 0; f < s_.rows.inner(); ++f) {
    if (!c.sets[f].solve(delta)) return false;
    score_there += score(s_.options.inner_score, c.sets[f].moments()) / static_cast<double>(s_.rows.inner());
  }
  return std::isfinite(score_there);
}

/// δ + step within reach of the start, and with alpha = 1 / Σ e^δ within the grid.
std::vector<double> Fitted::reachable(Climber const& c, std::vector<double> const& step) const {
  std::vector<double> next(c.delta);
  double sum = 0;
  for (std::size_t b = 0; b < next.size(); ++b) {
    next[b] = std::clamp(next[b] + std::clamp(step[b], -1.0, 1.0), c.start[b] - reach, c.start[b] + reach);
    sum += std::exp(next[b]);
  }
  double const shift = -std::log(sum * std::clamp(1 / sum, s_.alphas.front(), s_.alphas.back()));
  for (auto& d : next) d += shift;
  return next;
}

/// Takes what stands at the end of its reach, and would go on, out of the equations of a step.
void Fitted::hold(Climber const& c, std::vector<double>& matrix, std::vector<double>& gradient) {
  std::size_t const n = gradient.size();
  for (std::size_t b = 0; b < n; ++b) {
    double const off = c.delta[b] - c.start[b];
    if (std::abs(off) < reach - 1e-9 || off * gradient[b] < 0) continue;
    gradient[b] = 0;
    for (std::size_t k = 0; k < n; ++k) matrix[b * n + k] = matrix[k * n + b] = k == b ? matrix[b * n + b] : 0;
  }
}

/// Gauss-Newton steps (Levenberg-Marquardt) in the present spaces.
void Fitted::climb(Climber& c) const {
  constexpr int steps = 3, tries = 8;
  std::size_t const n = c.delta.size();
  double now = 0;
  if (!evaluate(c, c.delta, now)) {
    c.failed = true;
    return;
  }
  double const before = now;
  for (int i = 0; i < steps; ++i) {
    std::vector<double> matrix(n * n, 0.0), gradient(n, 0.0);
    for (std::size_t f = 0; f < s_.rows.inner(); ++f) c.sets[f].climb(s_.options.inner_score, matrix, gradient);
    hold(c, matrix, gradient);
    double trace = 0;
    for (std::size_t b = 0; b < n; ++b) trace += matrix[b * (n + 1)] / static_cast<double>(n);
    bool better = false;
    for (int k = 0; k < tries && !better; ++k) {
      auto damped = matrix;
      auto step = gradient;
      for (std::size_t b = 0; b < n; ++b) {
        damped[b * (n + 1)] += c.damping * (matrix[b * (n + 1)] + 1e-2 * trace) + 1e-12;
      }
      double value = 0;
      bool const solved = factor_small(damped.data(), n);
      if (solved) solve_small(damped.data(), n, step.data());
      auto const next = solved ? reachable(c, step) : c.delta;
      better = next != c.delta && evaluate(c, next, value) && value > now;
      c.damping = better ? std::max(c.damping / 4, 1e-4) : std::min(c.damping * 4, 1e4);
      if (better) {
        c.delta = next;
        now = value;
      }
    }
    if (!better) break;
  }
  c.rests = now - before < rest;
  for (std::size_t set = 0; set < c.sets.size(); ++set) {
    if (!c.sets[set].solve(c.delta)) {
      c.failed = true;
      return;
    }
    c.last[set] = set == s_.rows.inner() ? c.sets[set].coefficients() : c.sets[set].predictions();
  }
}

/// Solves all sets at δ, and compares the predictions with those of the round before, of the same δ.
void Fitted::settle_round(Climber& c, bool same, double sd) const {
  c.change = 0;
  for (std::size_t set = 0; set < c.sets.size(); ++set) {
    Galerkin& g = c.sets[set];
    if (!g.solve(c.delta)) {
      c.failed = true;
      return;
    }
    bool const outer = set == s_.rows.inner();  // whose test rows have no say
    auto const& now = outer ? g.coefficients() : g.predictions();
    if (same) {
      double change = outer ? g.fitted_change(c.last[set]) : 0;
      for (std::size_t i = 0; !outer && i < now.size(); ++i)
        change += (now[i] - c.last[set][i]) * (now[i] - c.last[set][i]);
      auto const rows = static_cast<double>(outer ? s_.rows.n_train : now.size());
      c.change = std::max(c.change, std::sqrt(change / rows) / sd / (outer ? fitted_share : 1));
    }
    c.last[set] = now;
  }
  c.settled = same && c.change < still && c.rests;
}

Fitted::Climber Fitted::climber(Responses const& r, std::size_t t, Choice const& chosen,
                                std::vector<std::vector<float>> const& rights) const {
  bool const dual = is_dual(s_.form);
  Climber c;
  c.target = t;
  c.candidate = chosen.candidate[t];
  c.alpha = s_.alphas[chosen.alpha[t]];
  for (double gamma : s_.refine.starts[c.candidate]) c.start.push_back(std::log(gamma / c.alpha));
  c.delta = c.start;
  c.delta = reachable(c, std::vector<double>(c.start.size(), 0.0));
  c.last.resize(s_.rows.sets.size());
  for (std::size_t set = 0; set < s_.rows.sets.size(); ++set) {
    RefineSet const& of = s_.refine.sets[set];
    auto const& rows = s_.rows.sets[set];
    double const mean = training_mean(s_.rows, r, t, set);
    std::vector<double> y(rows.test.size());
    double sum = 0, square = 0;
    test_responses(r.y + t * r.used, rows.test.data(), y.size(), mean, y.data(), sum, square);
    std::vector<float> right(of.depth);
    for (std::size_t i = 0; i < of.depth; ++i) {
      right[i] = dual ? static_cast<float>(static_cast<double>(r.y[t * r.used + rows.train[i]]) - mean)
                      : rights[set][t * of.depth + i];
    }
    c.sets.emplace_back(s_.bands.size(), dual, of.blocks, of.kernels, refine_depth, std::move(y), std::move(right),
                        &s_.refine.edges);
  }
  return c;
}

/// Primal: Xᵀy of standardised features, depth × targets of each set.
std::vector<std::vector<float>> Fitted::right_sides(Responses const& r, FeatureProducts const& products,
                                                    Workspace& work) const {
  std::vector<std::vector<float>> all(s_.rows.sets.size());
  Buffer<float> memory;
  std::size_t const width = stats_size(s_.rows.sets.size());
  for (std::size_t set = 0; set < all.size() && !is_dual(s_.form); ++set) {
    TileMatrix const made = project(r, set, products, work);
    float const* z = s_.engine().host(made, memory);
    all[set].resize(s_.p * r.targets);
    for (std::size_t k = 0; k < all[set].size(); ++k) {
      std::size_t const j = k % s_.p;
      all[set][k] = static_cast<float>(static_cast<double>(z[k / s_.p * made.ld + j]) * s_.stats[j * width + 2 + 2 * set]);
    }
  }
  return all;
}

void Fitted::refine(Responses const& r, std::size_t first, FeatureProducts const& products, Choice& chosen,
                    TileResult& out, Workspace& work) const {
  std::vector<std::size_t> order;
  for (std::size_t t = 0; t < r.targets; ++t) {
    if (out.flag[first + t] == TargetFlag::ok) order.push_back(t);
  }
  std::ranges::stable_sort(order, {}, [&](std::size_t t) { return chosen.candidate[t]; });
  auto const rights = right_sides(r, products, work);
  std::size_t const together = refine_width(refine_bytes(s_.rows, s_.bands.size(), is_dual(s_.form), s_.p));
  RefineBuffers buffers;
  for (std::size_t at = 0; at < order.size(); at += together) {
    std::vector<Climber> group;
    for (std::size_t k = at; k < std::min(order.size(), at + together); ++k) {
      group.push_back(climber(r, order[k], chosen, rights));
    }
    std::size_t const turning = turning_rounds(s_.bands.size());
    for (std::size_t round = 0; round < refine_depth; ++round) {
      if (std::ranges::none_of(group, &Climber::active)) break;
      for (std::size_t set = 0; set < s_.rows.sets.size(); ++set) grow(set, round, group, buffers);
      for (auto& c : group) {
        if (round >= turning + climbing_rounds) c.rests = true;
        if (c.active()) settle_round(c, round > 0, r.sd[c.target]);
        if (round < turning) continue;
        if (c.active() && round < turning + climbing_rounds && c.change < trusted) climb(c);
        if (c.active()) aim(c);
      }
    }
    for (auto& c : group) {
      if (!c.failed && c.change < 5 * still && evaluate(c, c.delta, c.score) && c.score > chosen.score[c.target]) {
        take_refined(r, first, c, chosen, out);
      }
    }
  }
}

/// What the search leaves of a target, of its refined weights.
void Fitted::take_refined(Responses const& r, std::size_t first, Climber& c, Choice& chosen, TileResult& out) const {
  std::size_t const t = c.target, at = first + t, total = out.alpha.size(), a = s_.alphas.size(),
                    k = s_.options.scores.size();
  double sum = 0;
  for (double d : c.delta) sum += std::exp(d);
  double const alpha = 1 / sum;
  std::vector<double> gamma;
  for (double d : c.delta) gamma.push_back(std::exp(d) / sum);
  chosen.refined[t] = 1;
  chosen.score[t] = c.score;
  out.alpha[at] = alpha;
  out.edge_low += a > 1 && alpha <= s_.alphas.front() * (1 + 1e-6) ? 1 : 0;
  out.edge_high += a > 1 && alpha >= s_.alphas.back() * (1 - 1e-6) ? 1 : 0;
  for (std::size_t b = 0; b < gamma.size(); ++b) out.extra[b * total + at] = gamma[b];
  if (!tests()) {
    std::vector<double> all(s_.rows.inner() * k);
    for (std::size_t i = 0; i < all.size(); ++i) {
      Score const which = s_.options.scores[i % k];
      all[i] = scaled(s_.options, which, striate::score(which, c.sets[i / k].moments()), r.sd[t]);
    }
    write_inner_scores(all, s_.rows.inner(), 1, 1, 0, 0, at, out);
  }
  Galerkin& outer = c.sets.back();
  (void)outer.solve(c.delta);
  if (tests()) {
    std::vector<double> parts(s_.bands.size() * s_.rows.n_test);
    outer.parts(parts.data());
    banded_scores(r, first, t, parts.data(), out);
  }
  if (s_.options.coefficients) {
    std::vector<double> w(outer.depth());
    outer.solution(w.data());
    std::size_t const width = stats_size(s_.rows.sets.size());
    for (std::size_t i = 0; i < w.size(); ++i) {
      w[i] *= is_dual(s_.form) ? 1 / alpha : s_.stats[i * width + 2 * s_.rows.sets.size()];
    }
    write_banded_weights(r, first, t, gamma, w.data(), out);
  }
}

}  // namespace striate::detail
