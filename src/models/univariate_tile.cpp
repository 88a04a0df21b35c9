// The best single unit, one tile: products strip by strip, a short list per target, its members compared in float64.
#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/error.hpp"
#include "test_scores.hpp"
#include "univariate_fold.hpp"

namespace striate::detail {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t none = static_cast<std::size_t>(-1);
/// What float32 products may do to a correlation: units that are closer than this are compared again in float64.
constexpr double rounding = 4e-6;
constexpr std::size_t longest = 64;

}  // namespace

/// The regression line of a target on a unit, in standardised values of the unit and raw ones of the target.
struct UnitFold::Line {
  std::size_t unit = none;
  double correlation = 0, slope = 0;
  double centre = 0;  ///< mean of the unit over the set's training rows
};

/// Units that may be the best, in ascending order.
struct UnitFold::Shortlist {
  double top = -std::numeric_limits<double>::infinity();
  double margin = 0;  ///< `rounding` in units of the keys
  std::vector<std::pair<std::size_t, double>> units;

  [[nodiscard]] double bar() const { return top - margin; }
  void offer(std::size_t unit, double key) {
    top = std::max(top, key);
    if (units.size() == longest) {
      std::erase_if(units, [&](auto const& u) { return u.second < bar(); });
    }
    if (units.size() == longest) {  // the least goes; of equals the higher unit
      auto const least = std::min_element(units.rbegin(), units.rend(),
                                          [](auto const& a, auto const& b) { return a.second < b.second; });
      if (key <= least->second) {
        return;
      }
      units.erase(std::prev(least.base()));
    }
    units.emplace_back(unit, key);
  }
};

float UnitState::value(std::size_t unit, std::size_t position) const {
  if (position >= rows.n_train) {
    return test[unit * rows.n_test + position - rows.n_train];
  }
  auto const& begin = rows.blocks.begin;
  auto const b = static_cast<std::size_t>(std::upper_bound(begin.begin(), begin.end(), position) - begin.begin()) - 1;
  std::size_t const depth = begin[b + 1] - begin[b];
  return x[b][unit / panel_rows * panel_rows * depth + (position - begin[b]) * panel_rows + unit % panel_rows];
}

void UnitFold::tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const {
  if (Y.rows != s_.rows.n) {
    fail(Exit::internal, "a tile of {} rows met a fold of {} rows", Y.rows, s_.rows.n);
  }
  std::size_t const t = Y.cols;
  clear_result(s_.options, s_.rows, s_.rows.inner(), t, 1, weight_rows(), out);
  for (std::size_t first = 0; first < t; first += target_tile) {
    block(Y.columns(first, std::min(target_tile, t - first)), first, out, work);
  }
}

void UnitFold::block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const {
  Responses r;
  load_responses(s_.rows, Y, out.flag.data() + first, r, work.y);
  std::size_t const sets = s_.rows.sets.size(), T = r.targets, k = s_.options.scores.size();
  std::vector<Shortlist> lists(sets * T);
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t set = 0; set < sets; ++set) {
      // Keys are n · sd · correlation; the deviation is that of the outer rows, which is near enough for a margin.
      lists[set * T + t].margin = rounding * static_cast<double>(s_.rows.sets[set].train.size()) * r.sd[t];
    }
  }
  auto const& begin = s_.rows.blocks.begin;
  std::size_t const next = unit_strip * r.width;
  float* products = work.products.grow(next * r.blocks);
  double* c = work.small.grow(unit_strip);
  for (std::size_t unit = 0; unit < s_.p; unit += unit_strip) {
    std::size_t const count = std::min(unit_strip, s_.p - unit), ld = padded_rows(count);
    for (std::size_t b = 0; b < r.blocks; ++b) {
      std::size_t const depth = begin[b + 1] - begin[b];
      panel_product(s_.x[b] + unit * depth, count, depth, r.y + begin[b], r.used, r.width, products + b * next,
                    work.slivers);
    }
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t set = 0; out.flag[first + t] == TargetFlag::ok && set < sets; ++set) {
        scan(r, set, t, unit, count, products + t * ld, next, c, lists[set * T + t]);
      }
    }
  }
  for (std::size_t t = 0; t < T; ++t) {
    if (out.flag[first + t] != TargetFlag::ok) {
      continue;
    }
    for (std::size_t set = 0; set < sets; ++set) {
      Line const line = best(r, set, t, lists[set * T + t]);
      bool const outer = set + 1 == sets;
      if (outer) {
        out.alpha[first + t] = line.unit == none ? nan : static_cast<double>(line.unit);
        out.extra[first + t] = line.correlation;
      }
      if (!outer || s_.rows.n_test > 0) {
        predict(r, set, t, line, first + t, out, work);
      }
      if (outer && s_.options.coefficients) {
        weights(r, t, line, first + t, out);
      }
    }
    for (std::size_t s = 0, all = out.alpha.size(), folds = s_.rows.inner(); !out.inner_score.empty() && s < k; ++s) {
      double sum = 0;
      for (std::size_t f = 0; f < folds; ++f) {
        sum += out.inner_score[(f * k + s) * all + first + t];
      }
      out.score[s * all + first + t] = sum / static_cast<double>(folds);
    }
  }
}

/// n · cov(unit, target) / sd(unit) over the set's training rows, from the products of its blocks: standardised by the
/// outer rows, so that an inner set takes off its own means and scales by its own deviation.
void UnitFold::scan(Responses const& r, std::size_t set, std::size_t t, std::size_t first, std::size_t count,
                    float const* products, std::size_t next, double* c, Shortlist& list) const {
  std::fill_n(c, count, 0.0);
  for (auto b : s_.rows.blocks.sets[set]) {
    float const* part = products + b * next;
    for (std::size_t j = 0; j < count; ++j) {
      c[j] += static_cast<double>(part[j]);
    }
  }
  std::size_t const width = s_.width();
  double const* of = s_.stats + first * width + 1 + 2 * set;
  if (set < s_.rows.inner()) {
    double const sum = training_mean(s_.rows, r, t, set) * static_cast<double>(s_.rows.sets[set].train.size());
    for (std::size_t j = 0; j < count; ++j) {
      double const scale = s_.scale(first + j);
      c[j] = scale > 0 ? (c[j] / scale - of[j * width] * sum) * of[j * width + 1] : 0;
    }
  }
  if (s_.options.absolute) {
    for (std::size_t j = 0; j < count; ++j) {
      c[j] = std::fabs(c[j]);
    }
  }
  for (std::size_t j = 0; j < count; ++j) {
    if (c[j] >= list.bar() && of[j * width + 1] > 0) {  // a unit that is constant in the set correlates with nothing
      list.offer(first + j, c[j]);
    }
  }
}

UnitFold::Line UnitFold::best(Responses const& r, std::size_t set, std::size_t t, Shortlist const& list) const {
  Line best;
  double top = -std::numeric_limits<double>::infinity();
  for (auto const& [unit, key] : list.units) {
    if (key < list.bar()) {
      continue;
    }
    Line const here = line(r, set, t, unit);
    double const value = s_.options.absolute ? std::fabs(here.correlation) : here.correlation;
    if (value > top) {  // the lower unit stands first
      top = value;
      best = here;
    }
  }
  return best;
}

UnitFold::Line UnitFold::line(Responses const& r, std::size_t set, std::size_t t, std::size_t unit) const {
  auto const& train = s_.rows.sets[set].train;
  float const* y = r.y + t * r.used;
  double const mean = training_mean(s_.rows, r, t, set);
  Line out{.unit = unit};
  for (auto i : train) {
    out.centre += s_.value(unit, i);
  }
  out.centre /= static_cast<double>(train.size());
  double xx = 0, xy = 0, yy = 0;
  for (auto i : train) {
    double const a = s_.value(unit, i) - out.centre, b = y[i] - mean;
    xx += a * a;
    xy += a * b;
    yy += b * b;
  }
  if (xx > 0 && yy > 0) {
    out.slope = xy / xx;
    out.correlation = xy / std::sqrt(xx * yy);
  }
  return out;
}

/// Scores and predictions of the set's test rows.
void UnitFold::predict(Responses const& r, std::size_t set, std::size_t t, Line const& line, std::size_t at,
                       TileResult& out, Workspace& work) const {
  auto const& test = s_.rows.sets[set].test;
  std::size_t const e = test.size(), k = s_.options.scores.size(), all = out.alpha.size();
  bool const outer = set == s_.rows.inner();
  float* f = work.predictions.grow(e);
  for (std::size_t i = 0; i < e; ++i) {
    f[i] = line.unit == none ? 0.0F : static_cast<float>(line.slope * (s_.value(line.unit, test[i]) - line.centre));
  }
  Moments const m = test_moments(r, t, test, training_mean(s_.rows, r, t, set), f, work.scores);
  if (outer) {
    write_scores(s_.options, m, r.sd[t], at, out);
    write_predictions(s_.options, f, e, r.mean[t], r.sd[t], at, out);
    return;
  }
  for (std::size_t s = 0; s < k; ++s) {
    Score const which = s_.options.scores[s];
    out.inner_score[(set * k + s) * all + at] = scaled(s_.options, which, score(which, m), r.sd[t]);
  }
}

void UnitFold::weights(Responses const& r, std::size_t t, Line const& line, std::size_t at, TileResult& out) const {
  double const unit = s_.options.standardize_responses ? 1 / r.sd[t] : 1;
  std::size_t const chosen = line.unit == none ? 0 : line.unit;
  double const slope = line.unit == none ? 0 : line.slope * s_.scale(chosen);  // on raw values
  double const mean = s_.stats[chosen * s_.width()];
  float* to = out.weights.data() + at * weight_rows();
  to[0] = static_cast<float>(chosen >> 16U);
  to[1] = static_cast<float>(chosen & 0xFFFFU);
  to[2] = static_cast<float>(slope * unit);
  double const level = r.mean[t] - slope * mean;
  out.intercept[at] = s_.options.standardize_responses ? -slope * mean * unit : level;
}

void UnitFold::coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                            float* out) const {
  for (std::size_t c = 0; c < weights.cols; ++c) {
    float const* w = weights.col(c);
    bool const known = w[2] == w[2];
    std::fill_n(out + c * x.cols, x.cols, known ? 0.0F : std::numeric_limits<float>::quiet_NaN());
    std::size_t const unit = known ? (static_cast<std::size_t>(w[0]) << 16U) + static_cast<std::size_t>(w[1]) : none;
    if (known && unit >= first && unit - first < x.cols) {
      out[c * x.cols + unit - first] = w[2];
    }
  }
}

}  // namespace striate::detail
