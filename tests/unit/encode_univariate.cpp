// The best single unit through the whole of encode: what it saves, what it is refused, and what permutations make of it.
#include <set>

#include "encode_common.hpp"
#include "striate/brain/responses.hpp"

using namespace encode_test;

namespace {

class EncodeUnivariate : public testing::Test {
 protected:
  EncodeUnivariate() : dir_("encode_univariate_" + std::to_string(getpid())), world_(dir_.path) {}
  Outcome run(std::vector<std::string> sets) {
    sets.insert(sets.begin(), "model={type: univariate}");
    return run_encode(Comm(), dir_.path, World::yaml(), {.sets = sets});
  }
  std::vector<double> result(std::string const& dataset) { return read(dir_ / "out/result.h5", dataset); }
  /// Pearson's r of a unit of layer 1 with the responses that rows of `fold` (of 3) train on.
  double correlation(std::uint64_t voxel, std::size_t unit, std::size_t fold) {
    std::vector<std::size_t> order;  // of first appearance
    for (std::size_t v = 0; v < world_.n; ++v) order.push_back(world_.shown(v));
    std::vector<double> sum(world_.n, 0), times(world_.n, 0);
    for (std::size_t v = 0; v < world_.volumes; ++v) {
      sum[world_.shown(v)] += 100 + world_.response(voxel, world_.shown(v)) + noise(v, 90000 + voxel);
      times[world_.shown(v)] += 1;
    }
    std::size_t const begin[] = {0, 14, 27, 40};
    double n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    for (std::size_t i = 0; i < world_.n; ++i) {
      if (i >= begin[fold] && i < begin[fold + 1]) continue;
      double const x = World::feature(1, order[i], unit), y = sum[order[i]] / times[order[i]] - 100;
      n += 1, a += x, b += y, aa += x * x, bb += y * y, ab += x * y;
    }
    return (ab - a * b / n) / std::sqrt((aa - a * a / n) * (bb - b * b / n));
  }
  TempFolder dir_;
  World world_;
};

TEST_F(EncodeUnivariate, SavesTheUnitOfEveryFold) {
  auto const out = run({"save=[coefficients, predictions]"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  auto const unit = result("/b/unit"), r = result("/b/correlation"), refit = result("/b/coef_unit"), coef = result("/b/coef");
  auto const index = h5::File::open(dir_ / "out/result.h5").dataset("/targets/index").read<std::uint64_t>();
  std::size_t const t = index.size();
  ASSERT_EQ(unit.size(), 3 * t);
  ASSERT_EQ(r.size(), 3 * t);
  std::size_t checked = 0;
  for (std::size_t f = 0; f < 3; ++f)
    for (std::size_t j = 0; j < t; ++j) {
      if (std::isnan(unit[f * t + j])) continue;
      std::size_t best = 0;
      for (std::size_t u = 1; u < 10; ++u)
        if (std::abs(correlation(index[j], u, f)) > std::abs(correlation(index[j], best, f))) best = u;
      EXPECT_EQ(unit[f * t + j], static_cast<double>(best));
      EXPECT_NEAR(r[f * t + j], correlation(index[j], best, f), 1e-5);
      ++checked;
    }
  EXPECT_EQ(checked, 3 * (t - 2));  // a constant target and one that holds NaN
  for (std::size_t j = 0; j < t; ++j)
    for (std::size_t u = 0; u < 10; ++u)
      if (!std::isnan(refit[j])) EXPECT_EQ(coef[u * t + j] != 0, static_cast<double>(u) == refit[j]);
  EXPECT_NE(read_text(dir_ / "out/summary.tsv").find("\tunit_mode\t"), std::string::npos);
  // What most folds chose; of equals the lower unit.
  auto const volume = Responses({.data = {dir_ / "out/maps/layer-b_stat-unit.nii.gz"}, .mask = dir_ / "mask.nii.gz"});
  std::vector<float> map(t);
  volume.fill(plan_rows({"map"}, false), 0, MatrixView<float>(map.data(), 1, t));
  for (std::size_t j = 0; j < t; ++j) {
    if (std::isnan(unit[j])) continue;
    double const a = unit[j], b = unit[t + j], c = unit[2 * t + j];
    EXPECT_EQ(map[j], static_cast<float>(a == b || a == c ? a : b == c ? b : std::min({a, b, c})));
  }
}

TEST_F(EncodeUnivariate, AllRowsAndPermutations) {
  auto const all = run({"cv.folds=0", "save=coefficients", "output=all"});
  ASSERT_EQ(all.code, Exit::ok) << all.message;
  EXPECT_EQ(read(dir_ / "all/result.h5", "/b/unit").size() * 3, read(dir_ / "all/result.h5", "/b/score/r2_fold").size());
  auto const out = run({"model.sign=signed", "permutation={n: 19}"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  for (double r : result("/b/correlation"))
    if (!std::isnan(r)) EXPECT_GT(r, 0);
  auto const p = result("/b/permutation/pearson/p");
  std::size_t found = 0;
  for (double v : p) found += v <= 0.05 ? 1 : 0;
  EXPECT_GT(found, p.size() / 10);
  EXPECT_EQ(read(dir_ / "out/result.h5", "/best/permutation/pearson/p").size(), p.size());
}

TEST_F(EncodeUnivariate, Refusals) {
  auto const refused = [&](std::vector<std::string> const& sets, Exit code, std::string const& word) {
    auto const out = run(sets);
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  refused({"features.transform.pca=5"}, Exit::config, "features.transform.pca");
  refused({"features.iterate=channel"}, Exit::config, "features.iterate");
  refused({"model.sign=positive"}, Exit::config, "model.sign");
  refused({"permutation={n: 9, scheme: fixed_alpha}"}, Exit::config, "fixed_alpha is not there");
}

}  // namespace
