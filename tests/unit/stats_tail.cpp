// Tails of null distributions: fits against scipy (tests/golden/make_tail.py), p-values against counting 100,000
// values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
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

}  // namespace
}  // namespace striate
