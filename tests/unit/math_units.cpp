/// Stages that select, pool and pick tokens, against NumPy (tests/golden/make_units.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>

#include "striate/base/error.hpp"
#include "striate/math/block_report.hpp"
#include "striate/math/pool_stage.hpp"
#include "striate/math/unit_selection.hpp"

namespace striate {
namespace {

using Shape = std::vector<std::size_t>;

struct Case {
  std::size_t rows = 0;
  LayerShape layer;
  std::vector<float> values;
  std::map<std::string, std::vector<double>> wanted;
};

std::map<std::string, Case> golden() {
  char const* const source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/units.txt");
  EXPECT_TRUE(in.good());
  std::map<std::string, Case> cases;
  Case* now = nullptr;
  for (std::string text, word; std::getline(in, text);) {
    std::istringstream line(text);
    line >> word;
    if (word == "case") {
      std::string name;
      std::size_t axes = 0;
      line >> name >> axes;
      now = &cases[name];
      line >> now->rows;
      now->layer.shape.resize(axes);
      for (auto& extent : now->layer.shape) line >> extent;
      now->layer.axes = axes == 2 ? "token feature" : axes == 3 ? "channel row column" : "channel frame row column";
      continue;
    }
    std::vector<double> numbers;
    for (double x = 0; line >> x;) numbers.push_back(x);
    if (word == "values")
      now->values.assign(numbers.begin(), numbers.end());
    else
      now->wanted[word] = numbers;
  }
  return cases;
}

std::vector<float> result_of(LayerStage const& stage, Case const& c) {
  std::vector<float> out(c.rows * stage.output().units());
  stage.apply(c.values.data(), c.rows, out.data());
  // A row by itself gives the same bits.
  std::vector<float> alone(stage.output().units());
  for (std::size_t r = 0; r < c.rows; ++r) {
    stage.apply(c.values.data() + r * c.layer.units(), 1, alone.data());
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), out.begin() + static_cast<std::ptrdiff_t>(r * alone.size())));
  }
  return out;
}

void expect_near(std::vector<float> const& got, std::vector<double> const& wanted, std::string const& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  ASSERT_FALSE(wanted.empty()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_LE(std::abs(static_cast<double>(got[i]) - wanted[i]), 1.2e-7 * std::abs(wanted[i]) + 1e-12)
        << what << " " << i;
}

std::map<std::string, SpacePool> const pools{{"max", SpacePool::max},
                                             {"mean", SpacePool::mean},
                                             {"median", SpacePool::median},
                                             {"l1", SpacePool::l1},
                                             {"l2", SpacePool::l2},
                                             {"column_sum", SpacePool::column_sum},
                                             {"spectral", SpacePool::spectral}};

TEST(Units, PoolsAreNumpys) {
  auto const cases = golden();
  for (auto const* name : {"maps", "square", "tall", "extreme", "video"}) {
    Case const& c = cases.at(name);
    for (auto const& [word, how] : pools) {
      auto const stage = pool_stage(c.layer, {.how = how});
      Shape shape = c.layer.shape;
      shape.end()[-1] = shape.end()[-2] = 1;
      EXPECT_EQ(stage->output().shape, shape);
      EXPECT_EQ(stage->output().axes, c.layer.axes);
      expect_near(result_of(*stage, c), c.wanted.at(word), std::string(name) + " " + word);
    }
  }
}

TEST(Units, PoolsOverFrames) {
  Case const c = golden().at("video");
  for (auto const& [word, how] : pools) {
    PoolOptions const options{.how = how, .over_frames = true};
    if (how == SpacePool::column_sum || how == SpacePool::spectral) {
      EXPECT_THROW((void)pool_stage(c.layer, options), Error);
      continue;
    }
    auto const stage = pool_stage(c.layer, options);
    EXPECT_EQ(stage->output().shape, (Shape{3, 1, 1, 1}));
    expect_near(result_of(*stage, c), c.wanted.at("frames_" + word), word);
  }
}

TEST(Units, TokensAreNumpys) {
  Case const c = golden().at("tokens");
  for (auto const& [word, choice] :
       std::map<std::string, TokenChoice>{{"cls", TokenChoice::cls},
                                          {"mean", TokenChoice::mean},
                                          {"patch_mean", TokenChoice::patch_mean},
                                          {"cls+patch_mean", TokenChoice::cls_and_patch_mean}}) {
    auto const stage = token_stage(c.layer, choice);
    EXPECT_EQ(stage->output().shape, (Shape{word == "cls+patch_mean" ? 20U : 10U, 1, 1}));
    EXPECT_EQ(stage->output().axes, "feature row column");
    expect_near(result_of(*stage, c), c.wanted.at(word), word);
  }
  EXPECT_THROW((void)token_stage({{1, 10}, "token feature"}, TokenChoice::patch_mean), Error);
}

TEST(Units, SelectionsAreNumpys) {
  Case const c = golden().at("select");
  UnitSelection s;
  s.channels = {5, 0, 0, 3}, s.rows = {4, 1}, s.columns = {2, 0, 3};
  auto const exact = [&](std::string const& word) {
    auto const got = result_of(*select_stage(c.layer, s), c);
    auto const& wanted = c.wanted.at(word);
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(static_cast<double>(got[i]), wanted[i]) << word << " " << i;
  };
  exact("grid");
  s = {}, s.channels = {1, 5, 2};
  exact("channels");
  s = {}, s.units = {119, 3, 4, 5, 5, 60};
  exact("units");
}

TEST(Units, LayersWithoutMapsOrTokensAreLeftAlone) {
  LayerShape const fc{{8, 1, 1}, "feature row column"}, tokens{{3, 4}, "token feature"},
      maps{{2, 3, 3}, "channel row column"};
  EXPECT_EQ(pool_stage(fc, {}), nullptr);
  EXPECT_EQ(pool_stage(tokens, {}), nullptr);
  EXPECT_EQ(token_stage(maps, TokenChoice::cls), nullptr);
  auto const norm = pool_stage(fc, {.how = SpacePool::spectral, .single_points = true});
  std::vector<float> const in{-2, 1, 0, 3, -1, 0, 0, 5};
  std::vector<float> out(8);
  norm->apply(in.data(), 1, out.data());
  EXPECT_EQ(out, (std::vector<float>{2, 1, 0, 3, 1, 0, 0, 5}));
}

TEST(Units, ANanInAMapGivesNan) {
  std::vector<float> in{1, 2, std::numeric_limits<float>::quiet_NaN(), 4, 1, 2, 3, 4};
  for (auto const& [word, how] : pools) {
    std::vector<float> out(2);
    pool_stage({{2, 2, 2}, "channel row column"}, {.how = how})->apply(in.data(), 1, out.data());
    EXPECT_TRUE(std::isnan(out[0])) << word;
    EXPECT_FALSE(std::isnan(out[1])) << word;
  }
}

/// Straight from the definition, in float64.
BlockReport slow_report(std::vector<float> const& x, std::size_t rows, ChannelLayout const& l) {
  BlockReport out;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  auto& count = out.count;
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<std::pair<double, std::size_t>> means, maxima;
    std::size_t nans = 0, infinities = 0;
    for (std::size_t c = 0; c < l.channels; ++c) {
      double sum = 0, top = -std::numeric_limits<double>::infinity();
      bool any = false;
      for (std::size_t o = 0; o < l.outer; ++o)
        for (std::size_t i = 0; i < l.inner; ++i) {
          auto const v = static_cast<double>(x[r * l.units() + (o * l.channels + c) * l.inner + i]);
          sum += v, nans += std::isnan(v), infinities += std::isinf(v);
          count[BlockReport::zeros] += v == 0;
          if (std::isnan(v)) continue;
          any = true, top = std::max(top, v), least = std::min(least, v), most = std::max(most, v);
        }
      double const mean = sum / static_cast<double>(l.outer * l.inner);
      if (!std::isnan(mean)) means.emplace_back(-mean, c);
      if (any) maxima.emplace_back(-top, c);
    }
    if (nans == l.units())
      ++count[BlockReport::empty_rows];
    else
      count[BlockReport::nans] += static_cast<double>(nans),
          count[BlockReport::infinities] += static_cast<double>(infinities);
    std::ranges::sort(means), std::ranges::sort(maxima);
    for (std::size_t k = 0; k < BlockReport::columns; ++k) {
      bool const by_mean = k < BlockReport::top;
      auto const& list = by_mean ? means : maxima;
      std::size_t const at = by_mean ? k : 0;
      out.channel.push_back(at < list.size() ? static_cast<std::int32_t>(list[at].second) : -1);
      out.value.push_back(at < list.size() ? static_cast<float>(-list[at].first)
                                           : std::numeric_limits<float>::quiet_NaN());
    }
  }
  count[BlockReport::least] = least, count[BlockReport::most] = most;
  return out;
}

TEST(Report, EqualsItsDefinition) {
  std::mt19937 random(3);
  for (auto const& l :
       {ChannelLayout{1, 7, 300}, ChannelLayout{1, 40, 49}, ChannelLayout{1, 100, 1}, ChannelLayout{1, 3, 1},
        ChannelLayout{5, 33, 1}, ChannelLayout{1, 1, 17}, ChannelLayout{1, 600, 16}}) {
    std::size_t const rows = 6, units = l.units();
    std::vector<float> x(rows * units);
    // Multiples of 1/8: means are exact, and equal ones are frequent.
    for (auto& v : x) v = std::max(-2.0F, static_cast<float>(static_cast<int>(random() % 64) - 32) / 8);
    float const nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(2 * units), units, nan);  // a skipped stimulus
    x[3 * units + units / 2] = nan;
    x[4 * units + units / 3] = infinity;
    x[5 * units] = -infinity;
    BlockReporter reporter(l, rows);
    for (std::size_t first = 0; first < units; first += 130)  // in pieces that end anywhere
      for (std::size_t r = 0; r < rows; ++r)
        reporter.add(r, x.data() + r * units + first, std::min<std::size_t>(130, units - first));
    BlockReport const got = reporter.take(), wanted = slow_report(x, rows, l);
    EXPECT_EQ(got.count, wanted.count);
    ASSERT_EQ(got.channel.size(), rows * BlockReport::columns);
    EXPECT_EQ(got.channel, wanted.channel) << l.outer << " " << l.channels << " " << l.inner;
    for (std::size_t k = 0; k < got.value.size(); ++k)
      if (wanted.channel[k] < 0)
        EXPECT_TRUE(std::isnan(got.value[k]));
      else
        EXPECT_FLOAT_EQ(got.value[k], wanted.value[k]);
  }
}

TEST(Report, CountsOfBatchesAreJoined) {
  ChannelLayout const l{1, 2, 2};
  std::vector<float> const x{0, 1, 2, 3, -5, 0, 0, 9};
  BlockReporter both(l, 2), first(l, 1), second(l, 1);
  both.add(1, x.data() + 4, 4), both.add(0, x.data(), 4), first.add(0, x.data(), 4), second.add(0, x.data() + 4, 4);
  auto all = first.take().count;
  merge_counts(all, second.take().count);
  EXPECT_EQ(all, both.take().count);
  EXPECT_EQ(all, (std::array<double, 6>{3, 0, 0, 0, -5, 9}));
}

TEST(Report, KnowsChannels) {
  auto const t = channel_layout({50, 768}, "token feature");
  EXPECT_EQ((std::vector<std::size_t>{t.outer, t.channels, t.inner}), (std::vector<std::size_t>{50, 768, 1}));
  auto const v = channel_layout({64, 8, 7, 7}, "channel frame row column");
  EXPECT_EQ((std::vector<std::size_t>{v.outer, v.channels, v.inner}), (std::vector<std::size_t>{1, 64, 392}));
  EXPECT_EQ(channel_layout({10, 1, 1}, "").channels, 10U);
  EXPECT_EQ(channel_layout({}, "").units(), 1U);
}

}  // namespace
}  // namespace striate
