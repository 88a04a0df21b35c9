// HRFs, event designs and detrending against numpy and scipy (tests/golden/make_series.py), and what they promise.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>

#include "striate/base/error.hpp"
#include "striate/math/detrend.hpp"
#include "striate/math/hrf.hpp"

namespace striate {
namespace {

struct Table {
  std::size_t rows = 0, cols = 0;
  std::vector<double> values;
  [[nodiscard]] double operator()(std::size_t i, std::size_t j) const { return values.at(i * cols + j); }
};

Table const& golden(std::string const& name) {
  static std::map<std::string, Table> const tables = [] {
    char const* source = std::getenv("STRIATE_SOURCE");
    std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/series.txt");
    std::map<std::string, Table> all;
    std::string key;
    for (Table t; in >> key >> t.rows >> t.cols; all[key] = t) {
      t.values.resize(t.rows * t.cols);
      for (double& v : t.values) in >> v;
    }
    return all;
  }();
  return tables.at(name);
}

std::vector<Event> golden_events() {
  Table const& t = golden("events");
  std::vector<Event> events;
  for (std::size_t i = 0; i < t.rows; ++i) events.push_back({t(i, 0), t(i, 1), t(i, 2), i % 3});
  return events;
}

double response(Regressor const& r, std::vector<Event> const& events, double t) {
  double sum = 0;
  for (auto const& [stimulus, weight] : weights_at(r, events, t)) sum += weight;
  return sum;
}

TEST(Hrf, IsThePublishedOne) {
  Table const& t = golden("t");
  for (auto const& [kind, name] : {std::pair{Hrf::Kind::spm, "spm"}, std::pair{Hrf::Kind::glover, "glover"}}) {
    Hrf const h(kind);
    for (std::size_t i = 0; i < t.cols; ++i) {
      EXPECT_NEAR(h.value(t(0, i)), golden(name)(0, i), 1e-8) << name << " at " << t(0, i);
      EXPECT_NEAR(h.integral(t(0, i)), golden(std::string(name) + "_integral")(0, i), 1e-7) << name << " at " << t(0, i);
    }
    EXPECT_EQ(h.integral(32), 1);
    EXPECT_EQ(h.value(32.001), 0);
  }
}

TEST(Regressor, EqualsABruteForceConvolution) {
  auto const events = golden_events();
  using Part = Regressor::Part;
  for (auto const& [kind, hrf] : {std::pair{Hrf::Kind::spm, "spm"}, std::pair{Hrf::Kind::glover, "glover"}})
    for (auto const& [part, name] : {std::pair{Part::hrf, "hrf"}, std::pair{Part::time, "time"},
                                     std::pair{Part::dispersion, "dispersion"}})
      for (auto const& [offset, sample] : {std::pair{0.0, "start"}, std::pair{0.75, "middle"}}) {
        Table const& want = golden(fmt::format("{}_{}_{}", hrf, name, sample));
        Regressor const r(kind, part);
        for (std::size_t v = 0; v < want.cols; ++v)
          ASSERT_NEAR(response(r, events, 1.5 * static_cast<double>(v) + offset), want(0, v), 2e-6)
              << hrf << " " << name << " " << sample << " volume " << v;
      }
}

TEST(Regressor, DelaysAreMeansOverTheTr) {
  auto const events = golden_events();
  for (int delay : {0, 1, 4}) {
    Table const& want = golden(fmt::format("fir_{}", delay));
    Regressor const r(delay * 1.5, 1.5);
    for (std::size_t v = 0; v < want.cols; ++v)
      ASSERT_NEAR(response(r, events, 1.5 * static_cast<double>(v)), want(0, v), 2e-3) << delay << " volume " << v;
  }
}

TEST(Regressor, AnImpulseIsInOneIntervalHoweverItIsRounded) {
  for (int k = 0; k < 100; ++k) {
    std::vector<Event> const events{{0.1 * k, 0, 1, 0}};
    Regressor const r(0.2, 0.1);
    for (int v = 0; v < 110; ++v) EXPECT_EQ(response(r, events, v * 0.1) != 0, v == k + 2) << k << " " << v;
  }
}

TEST(Regressor, EventsAddAndStimuliStayApart) {
  Regressor const r(Hrf::Kind::spm, Regressor::Part::hrf);
  Event const a{0, 2, 1, 7}, b{1, 2, 3, 7}, c{1, 2, 1, 2};
  auto const w = weights_at(r, {a, b, c}, 6);
  ASSERT_EQ(w.size(), 2U);
  EXPECT_EQ(w[0].first, 2U);
  EXPECT_EQ(w[1].first, 7U);
  EXPECT_DOUBLE_EQ(w[1].second, r.weight(a, 6) + 3 * r.weight(b, 6));
  EXPECT_TRUE(weights_at(r, {a, b, c}, 35.001).empty());  // long after the last: nothing, and no error
  EXPECT_TRUE(weights_at(r, {a, b, c}, 0).empty());
}

void expect_cleaned(std::string const& name, RunCleaner const& cleaner) {
  Table const &y = golden("y"), &want = golden(name);
  for (std::size_t j = 0; j < y.cols; ++j) {
    std::vector<float> series(y.rows);
    for (std::size_t i = 0; i < y.rows; ++i) series[i] = static_cast<float>(y(i, j));
    cleaner.clean(series);
    for (std::size_t i = 0; i < y.rows; ++i) ASSERT_NEAR(series[i], want(i, j), 2e-6) << name << " " << i << "," << j;
  }
}

TEST(RunCleaner, EqualsNumpy) {
  std::size_t const n = golden("y").rows;
  expect_cleaned("linear", RunCleaner(n, {Drift::Kind::polynomial, 1, 128}, 0, false));
  expect_cleaned("cubic", RunCleaner(n, {Drift::Kind::polynomial, 3, 128}, 0, false));
  expect_cleaned("cosine", RunCleaner(n, {Drift::Kind::cosine, 1, 60}, 2, false));
  expect_cleaned("cosine_z", RunCleaner(n, {Drift::Kind::cosine, 1, 60}, 2, true));
  expect_cleaned("z", RunCleaner(n, {}, 0, true));
  EXPECT_EQ(RunCleaner(n, {Drift::Kind::cosine, 1, 60}, 2, true).functions(), 6U);
}

TEST(RunCleaner, LeavesNothingOfAConstantAndNanOfNan) {
  RunCleaner const cleaner(40, {Drift::Kind::polynomial, 2, 128}, 0, true);
  std::vector<float> constant(40, 12345.678F), line(40), hole(40, 1);
  for (std::size_t i = 0; i < 40; ++i) line[i] = 1e4F + 0.37F * static_cast<float>(i);
  hole[7] = std::numeric_limits<float>::quiet_NaN();
  cleaner.clean(constant), cleaner.clean(line), cleaner.clean(hole);
  EXPECT_EQ(constant, std::vector<float>(40, 0));
  EXPECT_EQ(line, std::vector<float>(40, 0));
  for (float v : hole) EXPECT_TRUE(std::isnan(v));
}

TEST(RunCleaner, HighDegreesStayOrthogonal) {
  RunCleaner const cleaner(200, {Drift::Kind::polynomial, 15, 128}, 0, false);
  std::vector<float> y(200);
  for (std::size_t i = 0; i < 200; ++i) y[i] = static_cast<float>(std::pow(static_cast<double>(i) / 200, 15));
  cleaner.clean(y);
  for (float v : y) EXPECT_NEAR(v, 0, 1e-6);
}

TEST(RunCleaner, RefusesToLeaveNothing) {
  EXPECT_THROW(RunCleaner(5, {Drift::Kind::polynomial, 4, 128}, 0, false), Error);
  EXPECT_THROW(RunCleaner(5, {Drift::Kind::cosine, 1, 4}, 2, false), Error);
  EXPECT_NO_THROW(RunCleaner(5, {Drift::Kind::polynomial, 3, 128}, 0, false));
}

}  // namespace
}  // namespace striate
