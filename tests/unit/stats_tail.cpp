// Tails of null distributions: fits against scipy (tests/golden/make_tail.py), p-values against counting 100,000
// values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "striate/base/philox.hpp"
#include "striate/stats/tail.hpp"

namespace striate {
namespace {

TEST(Tail, FitsAreThoseOfScipy) {
  char const* source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/tail.txt");
  std::size_t cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    std::istringstream parts(line);
    double shape = 0, scale = 0, likelihood = 0, a2 = 0, mean = 0;
    char bar = 0;
    parts >> shape >> scale >> likelihood >> a2 >> bar;
    std::vector<double> x;
    for (std::string word; parts >> word && word != "|";) x.push_back(std::stod(word));
    for (double v : x) mean += v / static_cast<double>(x.size());
    Pareto const fit = fit_pareto(x);
    EXPECT_NEAR(fit.shape, shape, 1e-5);
    EXPECT_NEAR(fit.scale, scale, 1e-5);
    EXPECT_NEAR(anderson_darling(x, fit), a2, 1e-4);
    EXPECT_TRUE(fits(x, fit));
    for (double at : {0.5, 2.0, 5.0}) {
      double expected = 0;
      parts >> expected;
      EXPECT_NEAR(fit.beyond(at * mean), expected, 1e-6);
    }
  }
  EXPECT_EQ(cases, 6U);
}

TEST(Tail, WhatIsNoTailIsNotFitted) {
  std::vector<double> steps;
  for (int i = 0; i < 400; ++i) steps.push_back(i % 7);
  EXPECT_FALSE(NullTail(steps).fitted());
  EXPECT_DOUBLE_EQ(NullTail(steps).p(7), 1.0 / 401);
  EXPECT_FALSE(NullTail(std::vector<double>(400, 0.5)).fitted());
  EXPECT_DOUBLE_EQ(NullTail(std::vector<double>(400, 0.5)).p(0.6), 1.0 / 401);
  EXPECT_FALSE(NullTail(std::span(steps).first(119)).fitted());
  EXPECT_TRUE(std::isnan(NullTail(steps).p(std::nan(""))));
}

/// The greatest of 200 correlations of 40 rows each, as null_max of a map is.
double greatest(Philox& draw) {
  double max = -1;
  for (int v = 0; v < 200; ++v) max = std::max(max, std::tanh(draw.normal() / std::sqrt(37.0)));
  return max;
}

TEST(Tail, FewPermutationsComeNearToMany) {
  Philox many(11, 0, 0);
  std::vector<double> exact;
  for (int i = 0; i < 100000; ++i) exact.push_back(greatest(many));
  std::ranges::sort(exact);
  auto const at = [&](double p) { return exact[static_cast<std::size_t>((1 - p) * 1e5)]; };
  std::vector<double> logs[3];
  constexpr double levels[3] = {0.01, 0.002, 0.0005};
  std::size_t fitted = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    Philox few(12, 0, run);
    std::vector<double> null;
    for (int i = 0; i < 500; ++i) null.push_back(greatest(few));
    NullTail const tail(null);
    fitted += tail.fitted() ? 1 : 0;
    double before = 1;
    for (double x = 0.2; x < 1.2; x += 0.003) {
      double const p = tail.p(x);
      EXPECT_GT(p, 0);
      EXPECT_LE(p, before) << x;
      before = p;
    }
    for (std::size_t i = 0; i < 3; ++i) logs[i].push_back(std::log10(tail.p(at(levels[i])) / levels[i]));
    double const counted =
        (1 + static_cast<double>(std::ranges::count_if(null, [&](double v) { return v >= at(0.02); }))) / 501;
    EXPECT_NEAR(std::log10(tail.p(at(0.02)) / counted), 0, 0.3);
  }
  EXPECT_GT(fitted, 57U);
  constexpr double most[3] = {0.12, 0.3, 0.6};  // half of the fits within a factor of 1.3, 2, 4
  for (std::size_t i = 0; i < 3; ++i) {
    double mean = 0;
    for (double v : logs[i]) mean += v / static_cast<double>(logs[i].size());
    for (double& v : logs[i]) v = std::abs(v);
    std::ranges::nth_element(logs[i], logs[i].begin() + 30);
    std::printf("p %.4f: median factor %.2f, bias %.2f\n", levels[i], std::pow(10, logs[i][30]), std::pow(10, mean));
    EXPECT_LT(logs[i][30], most[i]);
  }
}

TEST(Tail, TheGreatestAreKeptInAnyOrder) {
  Philox draw(3, 0, 0);
  std::vector<std::vector<float>> all(3);
  for (int i = 0; i < 700; ++i)
    for (auto& one : all) one.push_back(std::round(static_cast<float>(draw.normal()) * 50));  // many ties
  all[2].resize(4);
  Greatest forwards(3, 20), backwards(3, 20), parts(3, 20);
  for (std::size_t t = 0; t < 3; ++t) {
    for (float v : all[t]) forwards.add(t, v);
    std::ranges::reverse(all[t]);
    for (float v : all[t]) backwards.add(t, v);
    for (std::size_t from = 0; from < all[t].size(); from += 90) {  // the greatest of a union
      Greatest part(1, 20);
      for (std::size_t i = from; i < std::min(from + 90, all[t].size()); ++i) part.add(0, all[t][i]);
      for (float v : part.take())
        if (!std::isnan(v)) parts.add(t, v);
    }
    std::ranges::sort(all[t], std::greater<>());
  }
  auto const a = forwards.take(), b = backwards.take(), c = parts.take();
  for (std::size_t i = 0; i < 60; ++i) {
    bool const there = i % 20 < all[i / 20].size();
    ASSERT_EQ(std::isnan(a[i]), !there);
    if (!there) continue;
    EXPECT_EQ(a[i], all[i / 20][i % 20]);
    EXPECT_EQ(b[i], a[i]);
    EXPECT_EQ(c[i], a[i]);
  }
}

/// Null scores whose tail is known.
struct Known {
  char const* name;
  std::function<double(Philox&)> draw;
  std::function<double(double)> beyond;
  double greatest;
};

/// Correlations of df + 2 rows of independent normal values; df even (Abramowitz and Stegun 26.7.4).
Known correlations(char const* name, int df) {
  auto const draw = [df](Philox& random) {
    double const z = random.normal();
    double product = 1;
    for (int i = 0; i < df / 2; ++i) product *= random.uniform();
    return z / std::sqrt(z * z - 2 * std::log(product));
  };
  auto const beyond = [df](double r) {
    double sum = 0, term = 1;
    for (int k = 0; k <= (df - 2) / 2; ++k) sum += term, term *= (1 - r * r) * (2 * k + 1) / (2 * k + 2);
    return 0.5 * (1 - r * sum);
  };
  return {name, draw, beyond, 1};
}

/// How often chance makes p of a target as small as it says, by the tails of its own null scores.
/// STRIATE_REPETITIONS=5000 is the long form.
TEST(Tail, PSmallByChanceIsAsRareAsItSays) {
  char const* const given = std::getenv("STRIATE_REPETITIONS");
  std::size_t const runs = given != nullptr ? std::strtoul(given, nullptr, 10) : 200;
  std::vector<Known> const nulls{
      correlations("correlation of 40 rows", 38),
      correlations("correlation of 10 rows", 8),
      {"normal", [](Philox& d) { return d.normal(); }, [](double x) { return 0.5 * std::erfc(x / std::sqrt(2.0)); },
       20},
      {"exponential", [](Philox& d) { return -std::log(d.uniform()); }, [](double x) { return std::exp(-x); }, 100}};
  ASSERT_NEAR(nulls[0].beyond(0.3120), 0.025, 1e-4);  // tables of the t distribution: t = 2.024
  for (Known const& null : nulls)
    for (std::size_t const n : {500, 1000, 5000}) {
      if (given == nullptr && n != 1000) continue;
      constexpr std::size_t L = 5;
      double const one = 1 / static_cast<double>(n + 1), levels[L] = {0.01, 2 * one, one, 0.1 * one, 0.02 * one};
      double rate[L] = {}, square[L] = {};
      std::vector<double> factor[L];
      for (std::size_t run = 0; run < runs; ++run) {
        Philox draw(21, n, run);
        Greatest greatest(1, std::min(kept_tail, n));
        for (std::size_t i = 0; i < n; ++i) greatest.add(0, static_cast<float>(null.draw(draw)));
        auto const kept = greatest.take();
        NullTail const tail(kept, n, null.greatest > 1 ? squares_shape : score_shape);
        auto const p = [&](double x) {
          return tail.p(x, static_cast<std::size_t>(std::ranges::count_if(kept, [&](double v) { return v >= x; })));
        };
        for (std::size_t k = 0; k < L; ++k) {
          double low = kept.back(), high = null.greatest;
          for (int i = 0; i < 40; ++i) (p((low + high) / 2) <= levels[k] ? high : low) = (low + high) / 2;
          double const exact = null.beyond(high);
          rate[k] += exact / static_cast<double>(runs), square[k] += exact * exact / static_cast<double>(runs);
          factor[k].push_back(std::abs(std::log(exact / levels[k])));
        }
      }
      for (std::size_t k = 0; k < L; ++k) {
        double const error = std::sqrt((square[k] - rate[k] * rate[k]) / static_cast<double>(runs)) / levels[k];
        std::ranges::nth_element(factor[k], factor[k].begin() + static_cast<std::ptrdiff_t>(runs / 2));
        std::printf("%s, n %zu: p <= %.2g in %.2f (se %.2f) times that; half within a factor of %.3g\n", null.name, n,
                    levels[k], rate[k] / levels[k], error, std::exp(factor[k][runs / 2]));
        EXPECT_LT(rate[k] / levels[k], 1.1 + 3 * error) << null.name << levels[k];
        if (k < 3 && n > 500) {
          EXPECT_GT(rate[k] / levels[k], 0.35) << null.name << levels[k];
        }
      }
    }
}

}  // namespace
}  // namespace striate
