// encode with banded_ridge: layers as bands of one joint model, what is written, and what is refused.
#include "encode_common.hpp"

using namespace encode_test;

namespace {

class EncodeBanded : public testing::Test {
 protected:
  EncodeBanded() : dir_("encode_banded_" + std::to_string(getpid())), world_(dir_.path) {}
  Outcome run(std::vector<std::string> sets, Options o = {}) {
    sets.insert(sets.begin(), {"model.type=banded_ridge", "model.n_iter=12"});
    o.sets = sets;
    return run_encode(Comm(), dir_.path, World::yaml(), o);
  }
  std::vector<double> result(std::string const& dataset) { return read(dir_ / "out/result.h5", dataset); }

  TempFolder dir_;
  World world_;
};

TEST_F(EncodeBanded, FindsTheBandsThatWerePlanted) {
  Outcome const out = run({"scores=[r2, pearson]"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  std::vector<std::string> const bands{"a", "b", "wide"};
  EXPECT_EQ(h5::File::open(dir_ / "out/result.h5").dataset("joint/bands").read_strings(), bands);
  EXPECT_EQ(h5::File::open(dir_ / "out/result.h5").dataset("layers").read_strings(), std::vector<std::string>{"joint"});
  auto const r2 = result("joint/score/r2"), pearson = result("joint/score/pearson");
  auto const index = result("targets/index");
  std::size_t const t = index.size();
  std::map<std::string, double> early;  // mean gamma where b was planted
  for (auto const& band : bands) {
    auto const fold = result("joint/gamma/" + band), mean = result("joint/mean/gamma/" + band);
    ASSERT_EQ(fold.size(), 3 * t);
    for (std::size_t j = 0; j < t; ++j) {
      double const expected = (fold[j] + fold[t + j] + fold[2 * t + j]) / 3;
      EXPECT_TRUE(std::isnan(r2[j]) ? std::isnan(mean[j]) : std::abs(mean[j] - expected) < 1e-12) << band << j;
      if (index[j] < 60 && !std::isnan(mean[j])) early[band] += mean[j];
    }
  }
  EXPECT_GT(early["b"], 3 * early["a"]);
  EXPECT_GT(early["b"], 2 * early["wide"]);
  for (std::size_t j = 0; j < t; ++j) {
    if (std::isnan(r2[j])) continue;
    double sum_r2 = 0, sum_r = 0;
    for (auto const& band : bands)
      sum_r2 += result("joint/mean/split/r2/" + band)[j], sum_r += result("joint/mean/split/pearson/" + band)[j];
    EXPECT_NEAR(sum_r2, r2[j], 1e-9);
    EXPECT_NEAR(sum_r, pearson[j], 1e-9);
  }
  for (char const* map : {"gamma-b", "split-r2-wide", "split-pearson-a", "r2", "alpha"})
    EXPECT_TRUE(fs::exists(dir_ / ("out/maps/layer-joint_stat-" + std::string(map) + ".nii.gz"))) << map;
  EXPECT_NE(read_text(dir_ / "out/summary.tsv").find("joint\tearly"), std::string::npos);
}

TEST_F(EncodeBanded, OfOneLayerIsRidge) {
  Outcome const banded = run({"features.layers=b", "output=banded"});
  ASSERT_EQ(banded.code, Exit::ok) << banded.message;
  ASSERT_EQ(run({"features.layers=b", "model.type=ridge", "model.n_iter=", "output=ridge"}).code, Exit::ok);
  for (std::string const s : {"score/r2", "score/pearson", "alpha"}) {
    auto const mine = read(dir_ / "banded/result.h5", "joint/" + s), theirs = read(dir_ / "ridge/result.h5", "b/" + s);
    ASSERT_EQ(mine.size(), theirs.size());
    for (std::size_t i = 0; i < mine.size(); ++i)
      EXPECT_TRUE(std::isnan(theirs[i]) ? std::isnan(mine[i]) : std::abs(mine[i] - theirs[i]) < 5e-6) << s << i;
  }
}

TEST_F(EncodeBanded, CoefficientsPredictWhatWasPredicted) {
  ASSERT_EQ(run({"save=[coefficients, predictions]", "responses.standardize=false"}).code, Exit::ok);
  auto const coef = result("joint/coef"), intercept = result("joint/intercept");
  std::size_t const t = intercept.size(), units[] = {12, 10, 180};
  EXPECT_EQ(coef.size(), 202 * t);
  // The refit on all rows explains the responses it was fitted on.
  auto const index = result("targets/index");
  double error = 0, total = 0;
  for (std::size_t j = 0; j < t; ++j) {
    if (std::isnan(intercept[j]) || index[j] >= 60) continue;
    for (std::size_t i = 0; i < world_.n; ++i) {
      double f = intercept[j];
      std::size_t row = 0;
      for (std::size_t l = 0; l < 3; ++l)
        for (std::size_t u = 0; u < units[l]; ++u) {
          float const value = World::feature(l, i, u);
          f += static_cast<double>(value) * coef[row++ * t + j];
        }
      double const y = 100 + world_.response(static_cast<std::size_t>(index[j]), i);
      error += (y - f) * (y - f), total += (y - 100) * (y - 100);
    }
  }
  EXPECT_LT(error, 0.6 * total);
}

TEST_F(EncodeBanded, WithoutAnOuterLoopTheSplitIsLeftOut) {
  Outcome const out = run({"cv.folds=0"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  h5::File const file = h5::File::open(dir_ / "out/result.h5");
  EXPECT_TRUE(file.is_dataset("joint/mean/gamma/wide"));
  EXPECT_FALSE(file.is_dataset("joint/mean/split/r2/wide"));
  auto const names = file.names("joint");
  EXPECT_EQ(std::count(names.begin(), names.end(), "split"), 0);
}

TEST_F(EncodeBanded, RefusesWhatItCannotDo) {
  auto const refused = [&](std::vector<std::string> const& sets, std::string const& words) {
    Outcome const out = run(sets);
    EXPECT_EQ(out.code, Exit::config) << out.message;
    EXPECT_NE(out.message.find(words), std::string::npos) << out.message;
    EXPECT_FALSE(fs::exists(dir_ / "out/result.h5"));
  };
  refused({"features.transform.pca=2.5"}, "features.transform.pca: 2.5");
  refused({"model={type: ridge, refine: true}"}, "model.refine: is a setting of banded_ridge");
  refused({"model.refine=3"}, "model.refine");
  refused({"model.n_iter=0"}, "model.n_iter");
  refused({"model.alphas=[0]"}, "model.alphas");
  Outcome const small = run({"model.n_iter=20000"}, {.memory = 3e8});
  EXPECT_EQ(small.code, Exit::limit) << small.message;
}

TEST_F(EncodeBanded, RefinementScoresNoLessInTheInnerFolds) {
  ASSERT_EQ(run({"cv.folds=0", "scores=r2", "output=plain"}).code, Exit::ok);
  ASSERT_EQ(run({"cv.folds=0", "scores=r2", "model.refine=true", "output=refined"}).code, Exit::ok);
  auto const plain = read(dir_ / "plain/result.h5", "joint/score/r2");
  auto const refined = read(dir_ / "refined/result.h5", "joint/score/r2");
  std::size_t better = 0;
  for (std::size_t j = 0; j < plain.size(); ++j) {
    EXPECT_TRUE(std::isnan(plain[j]) ? std::isnan(refined[j]) : refined[j] >= plain[j] - 1e-6) << j;
    better += refined[j] > plain[j] + 1e-4 ? 1 : 0;
  }
  EXPECT_GT(better, plain.size() / 2);
}

TEST_F(EncodeBanded, EachBandHasComponentsOfItsOwn) {
  std::string const bands =
      "features=[{name: x, store: act.h5, layers: [wide], transform: {pca: 6}}, {name: y, store: act.h5, layers: [a, b]}]";
  Outcome const out = run({bands, "save=[coefficients, predictions]", "responses.standardize=false"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  auto const reduced = result("joint/score/r2"), coef = result("joint/coef");
  std::size_t const t = reduced.size();
  EXPECT_EQ(coef.size(), 202 * t);  // of the features, not of the components
  ASSERT_EQ(run({bands.substr(0, bands.find(", transform")) + bands.substr(bands.find("}}") + 1), "output=whole"}).code,
            Exit::ok);
  auto const whole = read(dir_ / "whole/result.h5", "joint/score/r2");
  std::size_t differ = 0;
  for (std::size_t j = 0; j < t; ++j) differ += !std::isnan(whole[j]) && whole[j] != reduced[j] ? 1 : 0;
  EXPECT_GT(differ, t / 2);
}

TEST_F(EncodeBanded, AnotherSeedIsAnotherSearch) {
  ASSERT_EQ(run({"output=one"}).code, Exit::ok);
  ASSERT_EQ(run({"output=two", "seed=5"}).code, Exit::ok);
  EXPECT_NE(read(dir_ / "one/result.h5", "joint/gamma/b"), read(dir_ / "two/result.h5", "joint/gamma/b"));
}

}  // namespace
