// encode with fwrf: planted fields are found in the image, coefficients are rank-1 maps that predict, and what is refused.
#include "encode_common.hpp"

using namespace encode_test;

namespace {

constexpr std::size_t targets = 18;

class EncodeFwrf : public testing::Test {
 protected:
  EncodeFwrf() : dir_("encode_fwrf_" + std::to_string(getpid())), world_(dir_.path) {
    std::string table = "type=image\npath=.\ndata=stimID\n";
    std::vector<float> y;
    for (std::size_t i = 0; i < world_.n; ++i) {
      table += World::id(i) + "\n";
      for (std::size_t j = 0; j < targets; ++j) y.push_back(response(i, j));
    }
    write_atomically(dir_ / "planted.stim.csv", table);
    write_npy(dir_ / "planted.npy", std::span<float const>(y), {world_.n, targets});
  }
  /// Target j sees pixel j mod 9 of "wide", three channels of it.
  static float response(std::size_t i, std::size_t j) {
    float sum = 0.1F * noise(i, 70000 + j);
    for (std::size_t k = 0; k < 3; ++k) sum += World::feature(2, i, ((j + 5 * k) % 20) * 9 + j % 9);
    return sum;
  }
  Outcome run(std::vector<std::string> sets, Options o = {}) {
    sets.insert(sets.begin(), {"model.type=fwrf", "model.rf={grid: 3, sizes: [0.08, 0.4]}", "features.layers=wide",
                               "responses={data: planted.npy, stimuli: planted.stim.csv}", "rois=", "cv.inner.folds=5"});
    o.sets = sets;
    return run_encode(Comm(), dir_.path, World::yaml(), o);
  }
  std::vector<double> result(std::string const& dataset) { return read(dir_ / "out/result.h5", dataset); }

  TempFolder dir_;
  World world_;
};

TEST_F(EncodeFwrf, FindsThePixelThatWasPlanted) {
  Outcome const out = run({"model.rf={grid: 3, sizes: [0.96, 4.8], visual_angle: 12}"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  auto const x = result("joint/x0"), y = result("joint/y0"), sigma = result("joint/sigma"), mean = result("joint/mean/x0");
  ASSERT_EQ(x.size(), 3 * targets);
  std::size_t found = 0;
  for (std::size_t f = 0; f < 3; ++f)
    for (std::size_t j = 0; j < targets; ++j) {
      double const column = static_cast<double>(j % 9 % 3), row = static_cast<double>(j % 9 / 3);
      std::size_t const at = f * targets + j;
      found += std::abs(x[at] - 4 * (column - 1)) < 1e-9 && std::abs(y[at] - 4 * (1 - row)) < 1e-9 && sigma[at] < 1;
    }
  EXPECT_GT(found, 3 * targets * 8 / 10);
  for (std::size_t j = 0; j < targets; ++j)
    EXPECT_NEAR(mean[j], (x[j] + x[targets + j] + x[2 * targets + j]) / 3, 1e-12);
  EXPECT_EQ(h5::File::open(dir_ / "out/result.h5").dataset("joint/bands").read_strings(), std::vector<std::string>{"wide"});
}

TEST_F(EncodeFwrf, CoefficientsAreMapsOfRankOneThatPredict) {
  ASSERT_EQ(run({"features.layers=[a, b, wide]", "save=[coefficients]", "responses.standardize=false"}).code, Exit::ok);
  auto const coef = result("joint/coef"), intercept = result("joint/intercept");
  ASSERT_EQ(coef.size(), 202 * targets);
  double error = 0, total = 0;
  for (std::size_t j = 0; j < targets; ++j) {
    double mean = 0;
    for (std::size_t i = 0; i < world_.n; ++i) mean += response(i, j) / static_cast<double>(world_.n);
    for (std::size_t i = 0; i < world_.n; ++i) {
      double f = intercept[j];
      std::size_t row = 0, units[] = {12, 10, 180};
      for (std::size_t l = 0; l < 3; ++l)
        for (std::size_t u = 0; u < units[l]; ++u, ++row)
          f += static_cast<double>(World::feature(l, i, u)) * coef[row * targets + j];
      double const y = response(i, j);
      error += (y - f) * (y - f), total += (y - mean) * (y - mean);
    }
    for (std::size_t c = 1; c < 20; ++c)  // maps of two channels are proportional
      for (std::size_t pixel = 1; pixel < 9; ++pixel) {
        auto const w = [&](std::size_t channel, std::size_t at) { return coef[(22 + channel * 9 + at) * targets + j]; };
        EXPECT_NEAR(w(c, pixel) * w(0, 0), w(c, 0) * w(0, pixel), 1e-5 * std::abs(w(c, 0) * w(0, 0)) + 1e-9);
      }
  }
  EXPECT_LT(error, 0.4 * total);
}

TEST_F(EncodeFwrf, RefusesWhatItCannotDo) {
  auto const refused = [&](Exit code, std::vector<std::string> const& sets, std::string const& words) {
    Outcome const out = run(sets);
    EXPECT_EQ(out.code, code) << out.message;
    EXPECT_NE(out.message.find(words), std::string::npos) << out.message;
    EXPECT_FALSE(fs::exists(dir_ / "out/result.h5"));
  };
  refused(Exit::data, {"features.layers=b"}, "no layer has maps");
  refused(Exit::config, {"features.transform.pca=5"}, "features.transform.pca");
  refused(Exit::config, {"model.rf={sizes: 0}"}, "model.rf.sizes");
  refused(Exit::config, {"model.rf={sizes: [0.1, 0]}"}, "model.rf.sizes");
  refused(Exit::config, {"model.rf={sizes: []}"}, "model.rf.sizes");
  refused(Exit::config, {"model.rf={extent: 0}"}, "model.rf.extent");
  refused(Exit::config, {"model.rf={grids: 4}"}, "grid");
  refused(Exit::config, {"model.rf={visual_angle: [1, 2, 3]}"}, "model.rf.visual_angle");
  refused(Exit::config, {"model.rf={visual_angle: -2}"}, "model.rf.visual_angle");
  refused(Exit::config, {"permutation={n: 5, scheme: fixed_alpha}"}, "fixed_alpha");
  refused(Exit::config,
          {"features=[{name: p, store: act.h5, layers: [a]}, {name: q, store: act.h5, layers: [wide], transform: "
           "{standardize: false}}]"},
          "features[1].transform.standardize");
  Outcome const small = run({"model.rf={grid: 60, sizes: 60}"}, {.memory = 3e8});
  EXPECT_EQ(small.code, Exit::limit) << small.message;
}

}  // namespace
