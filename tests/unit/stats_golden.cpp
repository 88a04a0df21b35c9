// Scores, ranks and noise ceilings against scikit-learn, scipy and numpy (tests/golden/make_scores.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "striate/stats/noise_ceiling.hpp"
#include "striate/stats/ranks.hpp"
#include "striate/stats/scores.hpp"

namespace striate {
namespace {

using Numbers = std::vector<double>;
constexpr float missing = std::numeric_limits<float>::quiet_NaN();

std::multimap<std::string, std::vector<Numbers>> read_golden() {
  char const* source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/scores.txt");
  EXPECT_TRUE(in.good());
  std::multimap<std::string, std::vector<Numbers>> all;
  for (std::string line; std::getline(in, line);) {
    std::istringstream parts(line);
    std::string kind, part;
    parts >> kind;
    std::vector<Numbers> numbers;
    std::getline(parts, part, '|');
    while (std::getline(parts, part, '|')) {
      std::istringstream words(part);
      numbers.emplace_back();
      for (double v = 0; words >> v;) {
        numbers.back().push_back(v);
      }
    }
    all.emplace(kind, numbers);
  }
  return all;
}

/// Calls `check` with every record of a kind.
template <class F>
void each(char const* kind, std::size_t count, F const& check) {
  auto const all = read_golden();
  auto const [from, to] = all.equal_range(kind);
  EXPECT_EQ(static_cast<std::size_t>(std::distance(from, to)), count);
  for (auto at = from; at != to; ++at) {
    check(at->second);
  }
}

std::vector<float> floats(Numbers const& v) { return {v.begin(), v.end()}; }

TEST(StatsGolden, Scores) {
  each("score", 5, [](std::vector<Numbers> const& g) {
    Moments m;
    for (std::size_t i = 0; i < g[0].size(); ++i) {
      m.add(g[0][i] - g[0][0], g[1][i] - g[0][0]);
    }
    std::size_t k = 0;
    for (Score s : {Score::pearson, Score::r2, Score::explained_variance, Score::mse}) {
      EXPECT_NEAR(score(s, m), g[2][k], 1e-9 * std::max(1.0, std::abs(g[2][k]))) << name_of(s);
      ++k;
    }
    EXPECT_TRUE(std::isnan(score(Score::spearman, m)));  // no function of moments
    EXPECT_NEAR(spearman(g[0], g[1]), g[2][4], 1e-12);
  });
}

TEST(StatsGolden, Ranks) {
  each("rank", 4, [](std::vector<Numbers> const& g) {
    Numbers mine(g[0].size());
    rank(g[0], mine);
    EXPECT_EQ(mine, g[1]);
  });
}

TEST(StatsGolden, RankCorrelations) {
  each("spearman", 3, [](std::vector<Numbers> const& g) { EXPECT_NEAR(rank_correlation(g[0], g[1]), g[2][0], 1e-14); });
  EXPECT_TRUE(std::isnan(rank_correlation(Numbers{1, 2, 3}, Numbers{2, 2, 2})));
  EXPECT_TRUE(std::isnan(rank_correlation(Numbers{7, 7}, Numbers{1, 2})));
  EXPECT_TRUE(std::isnan(rank_correlation(Numbers{}, Numbers{})));
}

TEST(StatsGolden, SpearmanOfConstantsFollowsTheContract) {
  EXPECT_EQ(spearman(Numbers{1, 2, 3}, Numbers{2, 2, 2}), 0.0);
  EXPECT_EQ(spearman(Numbers{1, 2, 3}, Numbers{2, 2 + 1e-9, 2}), 0.0);  // below what float32 resolves
  EXPECT_TRUE(std::isnan(spearman(Numbers{2, 2, 2}, Numbers{1, 2, 3})));
  EXPECT_TRUE(std::isnan(spearman(Numbers{2}, Numbers{1})));
  EXPECT_EQ(spearman(Numbers{1, 2, 4}, Numbers{-9, 0, 100}), 1.0);
}

TEST(StatsGolden, CeilingsOfRepeats) {
  each("repeats", 3, [](std::vector<Numbers> const& g) {
    std::vector<std::uint32_t> const stimulus(g[0].begin(), g[0].end());
    auto y = floats(g[1]);
    auto const shown = presentations(stimulus, true);
    Numbers reliability(1), snr(1);
    MatrixView<float const> const view(y.data(), y.size(), 1);
    split_half_reliability(half_splits(stimulus, 0), view, reliability);
    ncsnr(stimulus, view, snr);
    EXPECT_NEAR(reliability[0], g[2][0], 1e-10);
    EXPECT_NEAR(snr[0], g[2][1], 1e-9);
    EXPECT_NEAR(noise_ceiling_percent(snr[0], shown.row), g[2][2], 1e-7);
    EXPECT_NEAR(noise_ceiling_percent(snr[0], presentations(stimulus, false).row), g[2][3], 1e-7);
    EXPECT_NEAR(shown.repeated, 2, 1e-12);
    EXPECT_NEAR(spearman_brown(spearman_brown(0.3, 5), 0.2), 0.3, 1e-12);
    y[4] = missing;
    ncsnr(stimulus, view, snr);
    EXPECT_TRUE(std::isnan(noise_ceiling_percent(snr[0], 2)));
  });
  EXPECT_EQ(noise_ceiling_percent(std::numeric_limits<double>::infinity(), 2), 100.0);  // repeats without noise
}

TEST(StatsGolden, CeilingsBetweenSubjects) {
  each("between", 3, [](std::vector<Numbers> const& g) {
    auto const subjects = static_cast<std::size_t>(g[0][0]), n = static_cast<std::size_t>(g[0][1]);
    std::size_t const rows = subjects * n;
    std::vector<float> y;  // the target alone, then between bad neighbours
    for (int copy = 0; copy < 4; ++copy) {
      auto const one = floats(g[1]);
      y.insert(y.end(), one.begin(), one.end());
    }
    y[rows + n + 3] = missing;                                                // in another subject
    std::fill_n(y.begin() + static_cast<std::ptrdiff_t>(3 * rows), n, 7.0F);  // constant in this one
    Numbers lower(4), upper(4);
    between_subjects({y.data(), rows, 4}, subjects, lower, upper);
    EXPECT_NEAR(lower[0], g[2][0], 1e-9);
    EXPECT_NEAR(upper[0], g[2][1], 1e-9);
    EXPECT_GT(upper[0], lower[0]);
    EXPECT_EQ(lower[2], lower[0]);
    EXPECT_EQ(upper[2], upper[0]);
    for (std::size_t t : {1U, 3U}) {
      EXPECT_TRUE(std::isnan(lower[t]) && std::isnan(upper[t]));
    }
  });
}

}  // namespace
}  // namespace striate
