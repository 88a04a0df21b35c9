// The bootstrap of held-out rows: draws and sums against the plain way, quantiles against scipy, and how often
// intervals hold the score of the models.
//
// STRIATE_REPETITIONS=5000 build/tests/test_stats_bootstrap is the long form; 600 by default.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"
#include "striate/stats/bootstrap.hpp"
#include "striate/stats/bootstrap_scores.hpp"

namespace striate {
namespace {

std::vector<std::uint32_t> ascending(std::size_t n, std::size_t each = 1) {
  std::vector<std::uint32_t> v(n);
  for (std::uint32_t i = 0; i < n; ++i) v[i] = static_cast<std::uint32_t>(i / each);
  return v;
}

TEST(Resampler, DrawsInsideFolds) {
  std::vector<std::int32_t> const fold{0, 0, 0, 1, 1, 1, 1, -1};
  Resampler const r(ascending(8), fold, 3);
  EXPECT_TRUE(r.stratified());
  EXPECT_EQ(r.groups(), 7U);
  std::vector<float> weight(8), sum(8, 0);
  for (std::uint64_t b = 0; b < 4000; ++b) {
    r.make(b, weight);
    EXPECT_EQ(weight[0] + weight[1] + weight[2], 3);
    EXPECT_EQ(weight[3] + weight[4] + weight[5] + weight[6], 4);
    EXPECT_EQ(weight[7], 0);
    for (std::size_t i = 0; i < 8; ++i) sum[i] += weight[i] / 4000;
  }
  for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(sum[i], 1, 0.06);
  auto const again = weight;
  r.make(17, weight);
  r.make(3999, weight);
  EXPECT_EQ(weight, again);
}

TEST(Resampler, GroupsAreDrawnWhole) {
  std::vector<std::int32_t> const one_each{0, 0, 1, 1, 2, 2};  // a fold tests one group
  Resampler const r(ascending(6, 2), one_each, 0);
  EXPECT_FALSE(r.stratified());
  EXPECT_EQ(r.groups(), 3U);
  std::vector<float> w(6);
  for (std::uint64_t b = 0; b < 50; ++b) {
    r.make(b, w);
    EXPECT_TRUE(w[0] == w[1] && w[2] == w[3] && w[4] == w[5]);
    EXPECT_EQ(w[0] + w[2] + w[4], 3);
  }
  std::vector<std::int32_t> const across{0, 0, 0, 1, 1, 1};  // the second group is in both folds
  EXPECT_FALSE(Resampler(ascending(6, 2), across, 0).stratified());
  EXPECT_THROW(Resampler(ascending(6, 6), across, 0), Error);
}

TEST(BootstrapQuantiles, AreThoseOfScipy) {
  // scipy.stats.t.ppf (good to 1e-10 there; 2 and 7 degrees from the closed form), norm.ppf
  EXPECT_NEAR(student_quantile(0.975, 1), 12.706204736174707, 1e-8);
  EXPECT_NEAR(student_quantile(0.975, 2), 4.302652729749464, 1e-11);
  EXPECT_NEAR(student_quantile(0.975, 4), 2.7764451051977987, 1e-11);
  EXPECT_NEAR(student_quantile(0.025, 7), -2.364624251592784, 1e-11);
  EXPECT_NEAR(student_quantile(0.995, 95), 2.6285756696816467, 1e-8);
  EXPECT_NEAR(student_quantile(0.975, 20000), 1.959963984540054, 2e-4);
}

/// A problem of two folds (one row in neither), two layers, three targets, of which the last has no score.
struct Problem {
  static constexpr std::size_t n = 25, t = 11, B = 250;
  BootstrapShape shape;
  std::vector<std::vector<double>> y, f;  ///< [fold][target * rows + i]; [layer * 2 + fold]
  explicit Problem(bool concat) {
    shape.scores = {Score::pearson, Score::r2, Score::explained_variance, Score::mse};
    shape.concat = concat;
    shape.tests = {{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}, {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23}};
    shape.weight = {1, 2};
    shape.layers = 2;
    shape.rows = n;
    Philox draw(5, 1, 0);
    for (auto const& test : shape.tests)
      for (std::size_t i = 0; i < test.size() * t; ++i)
        (y.resize(shape.tests.size()), y[&test - shape.tests.data()].push_back(draw.normal() + 0.7));
    for (std::size_t l = 0; l < 2; ++l)
      for (std::size_t k = 0; k < 2; ++k) {
        f.emplace_back();
        for (double v : y[k]) f.back().push_back(0.4 * v + 0.3 * draw.normal());
      }
    f[0][(t - 1) * 10] = std::nan("");
  }
  void give(BootstrapScores& scores, std::size_t first, std::size_t count) const {
    scores.begin(count, B);
    for (std::size_t k = 0; k < 2; ++k)
      for (std::size_t v = 0; v < count; ++v) {
        std::size_t const e = shape.tests[k].size();
        scores.set_responses(k, v, std::span(y[k]).subspan((first + v) * e, e));
        for (std::size_t l = 0; l < 2; ++l)
          scores.set_predictions(l, k, v, std::span(f[l * 2 + k]).subspan((first + v) * e, e));
      }
    scores.run();
  }
  [[nodiscard]] std::vector<std::int32_t> fold() const {
    std::vector<std::int32_t> of(n, -1);
    for (std::size_t k = 0; k < 2; ++k)
      for (auto r : shape.tests[k]) of[r] = static_cast<std::int32_t>(k);
    return of;
  }
};

/// Rows repeated as often as they are drawn. R² of the mean: its offset is the observed one less its chance.
TEST(BootstrapScores, AreScoresOfDrawnRows) {
  for (bool const concat : {false, true}) {
    Problem const p(concat);
    Resampler const resampler(ascending(Problem::n), p.fold(), 9);
    BootstrapScores scores(p.shape, resampler);
    p.give(scores, 0, Problem::t);
    std::vector<float> w(Problem::n);
    for (std::size_t b : {0U, 1U, 100U, 200U, 249U}) {
      resampler.make(b, w);
      for (std::size_t l = 0; l < 2; ++l)
        for (std::size_t v = 0; v < Problem::t; ++v)
          for (std::size_t s = 0; s < 4; ++s) {
            Moments all;
            double mean = 0;
            for (std::size_t k = 0; k < 2; ++k) {
              auto const& test = p.shape.tests[k];
              std::size_t const e = test.size();
              double const* const y = p.y[k].data() + v * e;
              double const* const f = p.f[l * 2 + k].data() + v * e;
              double my = 0, mf = 0, spread = 0;
              for (std::size_t i = 0; i < e; ++i)
                my += y[i] / static_cast<double>(e), mf += f[i] / static_cast<double>(e);
              for (std::size_t i = 0; i < e; ++i) spread += std::pow(y[i] - f[i] - my + mf, 2);
              double const d = my - mf, chance = spread / static_cast<double>((e - 1) * e);
              double const shift =
                  s == 1 && !concat ? d - std::copysign(std::sqrt(std::max(0.0, d * d - chance)), d) : 0;
              Moments m;
              for (std::size_t i = 0; i < e; ++i)
                for (int times = 0; times < static_cast<int>(w[test[i]]); ++times)
                  m.add(y[i], f[i] + shift), all.add(y[i], f[i]);
              mean += p.shape.weight[k] / 3 * score(p.shape.scores[s], m);
            }
            double const expected = concat ? score(p.shape.scores[s], all) : mean, got = scores.drawn(l, s, v)[b];
            bool const none = l == 0 && v + 1 == Problem::t;
            EXPECT_EQ(std::isnan(got), none);
            if (!none) {
              EXPECT_NEAR(got, expected, 5e-6) << b << ' ' << l << ' ' << v << ' ' << s;
            }
          }
    }
  }
}

TEST(BootstrapScores, DoNotDependOnNeighbours) {
  Problem const p(false);
  Resampler const resampler(ascending(Problem::n), p.fold(), 9);
  BootstrapScores whole(p.shape, resampler), part(p.shape, resampler);
  p.give(whole, 0, Problem::t);
  p.give(part, 3, 2);
  for (std::size_t s = 0; s < 4; ++s)
    for (std::size_t v = 0; v < 2; ++v) {
      EXPECT_EQ(0, std::memcmp(whole.drawn(1, s, 3 + v).data(), part.drawn(1, s, v).data(), Problem::B * 4));
      EXPECT_EQ(whole.centre(1, s, 3 + v), part.centre(1, s, v));
    }
}

TEST(BootstrapScores, DegenerateDraws) {
  BootstrapShape shape{{Score::pearson, Score::r2}, false, {{0, 1, 2}, {3, 4, 5}}, {1, 1}, 1, 6};
  Resampler const resampler(ascending(6), std::vector<std::int32_t>{0, 0, 0, 1, 1, 1}, 0);
  BootstrapScores scores(shape, resampler);
  scores.begin(2, 200);
  std::vector<double> const y{100.1, 103.7, 99.4}, f{0.3, 0.3, 0.3};
  for (std::size_t k = 0; k < 2; ++k)
    for (std::size_t v = 0; v < 2; ++v) scores.set_responses(k, v, y), scores.set_predictions(0, k, v, v == 0 ? y : f);
  scores.run();
  std::size_t none = 0;
  for (std::size_t b = 0; b < 200; ++b) {
    double const r = scores.drawn(0, 0, 0)[b], constant = scores.drawn(0, 0, 1)[b];
    none += std::isnan(r) ? 1 : 0;
    EXPECT_EQ(std::isnan(r), std::isnan(constant));
    if (std::isnan(r)) continue;
    EXPECT_NEAR(r, 1, 1e-6);
    EXPECT_EQ(constant, 0);
  }
  EXPECT_GT(none, 10U);  // one row three times: in a ninth of the draws of each fold
  EXPECT_LT(none, 90U);
}

std::size_t repetitions() {
  char const* const given = std::getenv("STRIATE_REPETITIONS");
  return given != nullptr ? std::strtoul(given, nullptr, 10) : 600;
}

struct Design {
  std::size_t folds, rows;
  double r, slope;
  double least = 0.93, most = 0.97;        ///< coverage of pearson …
  double r2_least = 0.93, r2_most = 0.97;  ///< and of r2
  std::size_t run = 1;                     ///< rows of a group, which share half of their variance
};

/// Predictions of models that are what they are, over and over of new stimuli: responses correlate r with them.
void expect_coverage(Design const& d) {
  std::size_t const runs = repetitions(), n = d.folds * d.rows;
  BootstrapShape shape{{Score::pearson, Score::r2}, false, {}, std::vector<double>(d.folds, 1), 1, n};
  std::vector<std::int32_t> fold(n);
  for (std::size_t k = 0; k < d.folds; ++k) {
    shape.tests.emplace_back();
    for (std::size_t i = 0; i < d.rows; ++i)
      shape.tests[k].push_back(static_cast<std::uint32_t>(k * d.rows + i)),
          fold[k * d.rows + i] = static_cast<std::int32_t>(k);
  }
  double const truth[2] = {d.r, 2 * d.slope * d.r - d.slope * d.slope};
  double held[2] = {0, 0};
  constexpr std::size_t at_once = 25, B = 400;
  for (std::size_t run = 0; run < runs; run += at_once) {
    Resampler const resampler(ascending(n, d.run), fold, 100 + run);
    double const tail = interval_tail(0.95, resampler.groups(), resampler.strata());
    BootstrapScores scores(shape, resampler);
    scores.begin(at_once, B);
    std::vector<double> y(d.rows), f(d.rows), sum(2 * at_once, 0);
    for (std::size_t v = 0; v < at_once; ++v)
      for (std::size_t k = 0; k < d.folds; ++k) {
        Philox draw(run, k, v);
        double const share = d.run > 1 ? 0.5 : 0;
        double of_run[2] = {0, 0};
        for (std::size_t i = 0; i < d.rows; ++i) {
          if (i % d.run == 0) of_run[0] = draw.normal(), of_run[1] = draw.normal();
          double const a = std::sqrt(share) * of_run[0] + std::sqrt(1 - share) * draw.normal();
          double const b = std::sqrt(share) * of_run[1] + std::sqrt(1 - share) * draw.normal();
          y[i] = d.r * a + std::sqrt(1 - d.r * d.r) * b, f[i] = d.slope * a;
        }
        Moments m;
        for (std::size_t i = 0; i < d.rows; ++i) m.add(y[i], f[i]);
        sum[v] += score(Score::pearson, m) / static_cast<double>(d.folds);
        sum[at_once + v] += score(Score::r2, m) / static_cast<double>(d.folds);
        scores.set_responses(k, v, y), scores.set_predictions(0, k, v, f);
      }
    scores.run();
    for (std::size_t s = 0; s < 2; ++s)
      for (std::size_t v = 0; v < at_once; ++v) {
        auto const drawn = scores.drawn(0, s, v);
        std::vector<double> values(drawn.begin(), drawn.end());
        auto const i = bootstrap_interval(values, sum[s * at_once + v], scores.centre(0, s, v), tail);
        held[s] += i.low <= truth[s] && truth[s] <= i.high ? 1 : 0;
      }
  }
  double const count = static_cast<double>((runs + at_once - 1) / at_once * at_once);
  double const chance = 2.6 * std::sqrt(0.05 * 0.95 / count);  // of the simulation itself; the long form: 0.008
  std::printf("%zu folds of %zu rows, r %.1f, groups of %zu: coverage of pearson %.3f, of r2 %.3f\n", d.folds, d.rows,
              d.r, d.run, held[0] / count, held[1] / count);
  EXPECT_GT(held[0] / count, d.least - chance);
  EXPECT_LT(held[0] / count, d.most + chance);
  EXPECT_GT(held[1] / count, d.r2_least - chance);
  EXPECT_LT(held[1] / count, d.r2_most + chance);
}

TEST(BootstrapCoverage, OfNoise) { expect_coverage({5, 100, 0, 0.2}); }
TEST(BootstrapCoverage, OfASignal) {
  expect_coverage({5, 100, 0.5, 0.4});
  expect_coverage({5, 40, 0.8, 0.7});
  expect_coverage({10, 100, 0.3, 0.3});
  expect_coverage({1, 150, 0.3, 0.2});
}
/// Few stimuli a fold: intervals of R² are too wide. No limit but that they do not fail.
TEST(BootstrapCoverage, OfSmallFolds) {
  expect_coverage({5, 20, 0.5, 0.4, 0.93, 0.98, 0.93, 1});
  expect_coverage({5, 10, 0.5, 0.4, 0.92, 0.985, 0.93, 1});
}
/// Runs of correlated volumes, drawn whole.
TEST(BootstrapCoverage, OfRuns) { expect_coverage({2, 300, 0.5, 0.4, 0.92, 0.975, 0.92, 0.985, 15}); }

}  // namespace
}  // namespace striate
