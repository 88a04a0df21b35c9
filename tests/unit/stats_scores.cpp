#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "striate/base/error.hpp"
#include "striate/stats/noise_ceiling.hpp"
#include "striate/stats/scores.hpp"

namespace striate {
namespace {

Moments moments(std::vector<double> const& y, std::vector<double> const& f, double shift = 0) {
  Moments m;
  for (std::size_t i = 0; i < y.size(); ++i) {
    m.add(y[i] - shift, f[i] - shift);
  }
  return m;
}

TEST(Scores, HandComputed) {
  std::vector<double> const y{1, 2, 3, 4}, f{1.5, 1.5, 3.5, 3};
  for (double shift : {0.0, 2.5, -7.0}) {
    Moments const m = moments(y, f, shift);
    EXPECT_NEAR(score(Score::mse, m), (0.25 + 0.25 + 0.25 + 1) / 4, 1e-12);
    EXPECT_NEAR(score(Score::r2, m), 1 - 1.75 / 5, 1e-12);
    EXPECT_NEAR(score(Score::pearson, m), 3.25 / std::sqrt(5 * 3.1875), 1e-12);
    double const bias = (10 - 9.5) / 4;
    EXPECT_NEAR(score(Score::explained_variance, m), 1 - (1.75 - 4 * bias * bias) / 5, 1e-12);
  }
}

TEST(Scores, ConstantsFollowTheContract) {
  Moments const flat = moments({1, 2, 3}, {2, 2, 2});
  EXPECT_TRUE(constant_prediction(flat));
  EXPECT_EQ(score(Score::pearson, flat), 0.0);
  EXPECT_NEAR(score(Score::r2, flat), 0.0, 1e-12);
  Moments const target = moments({2, 2, 2}, {1, 2, 3});
  EXPECT_TRUE(std::isnan(score(Score::pearson, target)));
  EXPECT_TRUE(std::isnan(score(Score::r2, target)));
  EXPECT_FALSE(constant_prediction(target));
}

TEST(Scores, NamesRoundTrip) {
  for (auto const& name : score_names()) {
    ASSERT_TRUE(score_of(name).has_value());
    EXPECT_EQ(name, name_of(*score_of(name)));
  }
  EXPECT_FALSE(score_of("pearsn").has_value());
}

/// n stimuli, r repeats each; signal variance 1, noise variance v; deterministic normal-like draws.
std::vector<float> repeated(std::size_t n, std::size_t r, double v, std::vector<std::uint32_t>& stimulus) {
  std::uint64_t state = 99;
  auto draw = [&] {
    double sum = 0;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      sum += static_cast<double>(state >> 11) / 9007199254740992.0;
    }
    return sum - 6;
  };
  std::vector<float> y(n * r);
  stimulus.resize(n * r);
  for (std::size_t i = 0; i < n; ++i) {
    double const signal = draw();
    for (std::size_t k = 0; k < r; ++k) {
      y[k * n + i] = static_cast<float>(signal + std::sqrt(v) * draw());
      stimulus[k * n + i] = static_cast<std::uint32_t>(i);
    }
  }
  return y;
}

TEST(NoiseCeiling, SplitHalfEstimatesTheReliabilityOfTheMean) {
  for (std::size_t r : {2UL, 3UL, 4UL, 5UL}) {
    std::vector<std::uint32_t> stimulus;
    auto y = repeated(4000, r, 2.0, stimulus);
    auto const splits = half_splits(stimulus, 5, 20);
    EXPECT_EQ(splits.a.size(), r == 2 ? 1U : 20U);
    EXPECT_DOUBLE_EQ(splits.longer, r == 3 ? 3 : r == 5 ? 2.5 : 2);
    double reliability = 0, snr = 0;
    split_half_reliability(splits, {y.data(), y.size(), 1}, {&reliability, 1});
    EXPECT_NEAR(reliability, 1 / (1 + 2.0 / static_cast<double>(r)), 0.03) << r;
    ncsnr(stimulus, {y.data(), y.size(), 1}, {&snr, 1});
    EXPECT_NEAR(snr, std::sqrt(1.0 / 2), 0.06);
  }
}

TEST(NoiseCeiling, HalvesAreDisjointAndRepeatable) {
  std::vector<std::uint32_t> const stimulus{0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 4};
  auto const a = half_splits(stimulus, 1, 7), b = half_splits(stimulus, 1, 7), c = half_splits(stimulus, 2, 7);
  EXPECT_EQ(a.stimuli, 4U);
  EXPECT_DOUBLE_EQ(a.longer, (2.5 + 2 + 3 + 2) / 4);
  EXPECT_EQ(a.a, b.a);
  EXPECT_NE(a.a, c.a);
  for (std::size_t s = 0; s < 7; ++s) {
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(a.a[s][i].size(), a.b[s][i].size());
      for (auto x : a.a[s][i]) {
        for (auto y : a.b[s][i]) {
          EXPECT_NE(x, y);
          EXPECT_EQ(stimulus[x], stimulus[y]);
        }
      }
    }
  }
  EXPECT_THROW((void)half_splits(std::vector<std::uint32_t>{0, 1, 2, 2}, 1), Error);
}

TEST(NoiseCeiling, BadTargetsAreNaN) {
  std::vector<std::uint32_t> stimulus;
  auto y = repeated(10, 2, 1.0, stimulus);
  std::vector<float> both(y);
  both.insert(both.end(), y.size(), 3.0F);
  both.insert(both.end(), y.begin(), y.end());
  both[2 * y.size() + 1] = NAN;
  std::vector<double> out(3);
  split_half_reliability(half_splits(stimulus, 0), {both.data(), y.size(), 3}, out);
  EXPECT_TRUE(std::isfinite(out[0]));
  EXPECT_TRUE(std::isnan(out[1]));
  EXPECT_TRUE(std::isnan(out[2]));
}

}  // namespace
}  // namespace striate
