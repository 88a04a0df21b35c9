// Histograms, spectra and z-scores against numpy and scipy; along each axis against the same of a part.
#include <cmath>
#include <cstring>
#include <limits>

#include "reduce_golden.hpp"
#include "striate/base/error.hpp"
#include "striate/math/layer_summaries.hpp"

namespace striate {
namespace {

using testing::reduce_golden;

std::vector<float> apply(LayerStage const& stage, std::vector<float> const& x, std::size_t rows) {
  std::vector<float> out(rows * stage.output().units());
  stage.apply(x.data(), rows, out.data());
  return out;
}

TEST(Histogram, EqualsNumpys) {
  auto const g = reduce_golden();
  auto const& rows = g.at("rows");
  LayerShape const in{{rows.cols, 1, 1}, "feature row column"};
  auto const own = apply(*histogram_stage(in, LayerAxis::whole, 7), rows.floats(), rows.rows);
  EXPECT_EQ(own, g.at("hist").floats());
  auto const x = rows.floats();
  auto const [low, high] = std::minmax_element(x.begin(), x.end());
  auto const common = apply(*histogram_stage(in, LayerAxis::whole, 9, {*low, *high}), x, rows.rows);
  EXPECT_EQ(common, g.at("hist_common").floats());
  std::vector<float> beyond(rows.cols, 2 * *high);
  auto const last = apply(*histogram_stage(in, LayerAxis::whole, 9, {*low, *high}), beyond, 1);
  EXPECT_EQ(last[8], static_cast<float>(rows.cols));
  beyond[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(apply(*histogram_stage(in, LayerAxis::whole, 9), beyond, 1)[0]));
}

TEST(Periodogram, EqualsScipys) {
  auto const g = reduce_golden();
  for (std::string const name : {"psd", "psd_odd"}) {
    auto const& want = g.at(name);
    std::size_t const n = name == "psd" ? 60 : 47, rows = want.rows;
    std::vector<float> x;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t u = 0; u < n; ++u) x.push_back(static_cast<float>(g.at("rows")(r, u)));
    LayerShape const in{{n, 1, 1}, "feature row column"};
    for (std::size_t const count : {want.cols, std::size_t{5}, std::size_t{1}}) {  // by transform, by sums
      auto const got = apply(*periodogram_stage(in, LayerAxis::whole, count), x, rows);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < count; ++k)
          ASSERT_NEAR(got[r * count + k], want(r, k), 1e-6 * (1 + want(r, k))) << name << " row " << r << " at " << k;
    }
    EXPECT_THROW((void)periodogram_stage(in, LayerAxis::whole, want.cols + 1), Error);
  }
}

TEST(ZScore, EqualsScipys) {
  auto const g = reduce_golden();
  auto const& rows = g.at("rows");
  LayerShape const in{{rows.cols, 1, 1}, "feature row column"};
  auto const got = apply(*zscore_stage(in, LayerAxis::whole), rows.floats(), rows.rows);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], g.at("zscore").values[i], 1e-6);
}

/// channel: DNNBrain's (n, N, rows, columns); position: (n, channels, N, 1).
TEST(Summaries, WorkAlongAnAxis) {
  LayerShape const in{{4, 3, 2}, "channel row column"};
  std::vector<float> x(24), part;
  for (std::size_t u = 0; u < 24; ++u) x[u] = static_cast<float>(std::sin(static_cast<double>(u * u)));
  auto const chn = histogram_stage(in, LayerAxis::channel, 5), pos = histogram_stage(in, LayerAxis::position, 5);
  EXPECT_EQ(chn->output().shape, (std::vector<std::size_t>{5, 3, 2}));
  EXPECT_EQ(pos->output().shape, (std::vector<std::size_t>{4, 5, 1}));
  auto const by_channel = apply(*chn, x, 1), by_position = apply(*pos, x, 1);
  for (std::size_t u = 0; u < 6; ++u) {
    part = {x[u], x[6 + u], x[12 + u], x[18 + u]};
    auto const want = apply(*histogram_stage({{4}, ""}, LayerAxis::whole, 5), part, 1);
    for (std::size_t b = 0; b < 5; ++b) EXPECT_EQ(by_channel[b * 6 + u], want[b]);
  }
  for (std::size_t c = 0; c < 4; ++c) {
    part.assign(x.begin() + static_cast<std::ptrdiff_t>(c * 6), x.begin() + static_cast<std::ptrdiff_t>(c * 6 + 6));
    auto const want = apply(*histogram_stage({{6}, ""}, LayerAxis::whole, 5), part, 1);
    EXPECT_EQ(0, std::memcmp(want.data(), &by_position[c * 5], 20));
  }
  LayerShape const tokens{{3, 8}, "token feature"};
  EXPECT_EQ(histogram_stage(tokens, LayerAxis::channel, 5)->output().shape, (std::vector<std::size_t>{3, 5}));
  EXPECT_EQ(histogram_stage(tokens, LayerAxis::position, 5)->output().shape, (std::vector<std::size_t>{5, 8}));
  EXPECT_THROW((void)histogram_stage(in, LayerAxis::whole, 0), Error);
}

}  // namespace
}  // namespace striate
