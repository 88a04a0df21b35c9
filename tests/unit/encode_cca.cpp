// encode with cca: what is written beside the scores, and what is refused.
#include "encode_common.hpp"

using namespace encode_test;

namespace {

class EncodeCca : public testing::Test {
 protected:
  EncodeCca() : dir_("encode_cca_" + std::to_string(getpid())), world_(dir_.path) {}
  Outcome run(std::vector<std::string> sets) {
    sets.insert(sets.begin(), {"model={type: cca, components: [1, 2, 5], response_pca: 8}", "features.layers=[b, wide]"});
    Options o;
    o.sets = sets;
    return run_encode(Comm(), dir_.path, World::yaml(), o);
  }
  std::vector<double> result(std::string const& dataset) { return read(dir_ / "out/result.h5", dataset); }

  TempFolder dir_;
  World world_;
  int runs_ = 0;
};

TEST_F(EncodeCca, CorrelationsOfTestRowsAndThePenaltyStandInTheResult) {
  Outcome const out = run({});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  auto const file = h5::File::open(dir_ / "out/result.h5");
  auto const pairs = result("b/canonical_correlation"), alpha = result("b/alpha"), score = result("b/score/r2_fold");
  std::size_t const t = result("targets/index").size();
  ASSERT_EQ(pairs.size(), 3 * 5U);
  ASSERT_EQ(alpha.size(), 3 * t);
  for (std::size_t f = 0; f < 3; ++f) {
    double first = std::nan("");
    for (std::size_t j = 0; j < t; ++j) {
      EXPECT_EQ(std::isnan(alpha[f * t + j]), std::isnan(score[f * t + j]));
      if (std::isnan(alpha[f * t + j])) continue;
      if (std::isnan(first)) first = alpha[f * t + j];
      EXPECT_EQ(alpha[f * t + j], first);
    }
    // Half of the voxels read 10 units of b with little noise: the first pairs hold in 13 rows that were not seen.
    EXPECT_GT(pairs[f * 5], 0.6);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_LE(std::abs(pairs[f * 5 + i]), 1 + 1e-12);
  }
  auto const components = result("b/components");
  for (double c : components) EXPECT_TRUE(std::isnan(c) || c == 1 || c == 2 || c == 5) << c;
}

TEST_F(EncodeCca, SaysWhatLimitsTheComponents) {
  auto const warned = [&](std::string const& sets, std::string const& words) {
    auto const before = log::warnings();
    Outcome const out = run({"features.layers=wide", sets, fmt::format("output=out{}", ++runs_)});
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    for (auto const& [text, times] : log::warnings())
      if (text.find(words) != std::string::npos && (!before.contains(text) || before.at(text) < times)) return true;
    return false;
  };
  EXPECT_TRUE(
      warned("model.response_pca=3", "wide: 1 numbers of components were left out: model.response_pca: 3 keeps"));
  EXPECT_TRUE(warned("model.components=[2, 60]", "wide: 1 numbers of components were left out: model.response_pca: 8"));
  // 17 training rows of an inner fold span no 25 dimensions.
  EXPECT_TRUE(warned("model={type: cca, components: [2, 30], response_pca: 40}", "a training set has fewer rows"));
}

TEST_F(EncodeCca, RefusesWhatItCannotDo) {
  auto const refused = [&](std::vector<std::string> const& sets, std::string const& words) {
    Outcome const out = run(sets);
    EXPECT_EQ(out.code, Exit::config) << out.message;
    EXPECT_NE(out.message.find(words), std::string::npos) << out.message;
    EXPECT_FALSE(fs::exists(dir_ / "out/result.h5"));
  };
  refused({"model.response_pca=2.5"}, "model.response_pca");
  refused({"model.response_pca=-1"}, "model.response_pca");
  refused({"model.components=0"}, "model.components");
  refused({"permutation={n: 9, scheme: fixed_alpha}"}, "permutation.scheme");
}

}  // namespace
