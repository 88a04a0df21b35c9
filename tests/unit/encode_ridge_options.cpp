// Ridge's other ways to choose alpha in whole runs: against scikit-learn and numpy in float64
// (tests/golden/make_ridge_options.py), what is refused, and what survives a kill.
#include <csignal>

#include "encode_common.hpp"

using namespace encode_test;

namespace {

fs::path golden() {
  char const* source = std::getenv("STRIATE_SOURCE");
  return fs::path(source != nullptr ? source : ".") / "tests/golden";
}

std::string yaml_of(std::string const& model, std::string const& cv, std::string const& features = "") {
  return fmt::format(
      "features: {{store: {0}/encode/act.h5, stimuli: {0}/encode/act.stim.csv{1}}}\n"
      "responses: {{data: {0}/encode/responses.npy, stimuli: {0}/encode/responses.stim.csv, standardize: false}}\n"
      "model: {{alphas: {{logspace: [-1, 4, 11]}}, {2}}}\n"
      "target_tile: 8\noutput: out\ncv: {3}\n",
      golden().string(), features, model, cv);
}

/// Scores and alphas of out/result.h5 against a case of expected.h5. `folds`: scores of each fold, too.
void expect_case(fs::path const& result, std::string const& name, bool folds) {
  h5::File const expected = h5::File::open(golden() / "encode_ridge/expected.h5");
  for (std::string const layer : {"conv", "fc"}) {
    auto const theirs = [&](std::string const& what) {
      return expected.dataset(name + "/" + layer + "/" + what).read<double>();
    };
    for (std::string const s : {"pearson", "r2"}) {
      expect_close(read(result, layer + "/score/" + s), theirs(s), 1e-5, layer + " " + s);
      if (folds)
        expect_close(read(result, layer + "/score/" + s + "_fold"), theirs(s + "_fold"), 1e-5,
                     layer + " " + s + "_fold");
    }
    expect_close(read(result, layer + "/alpha"), theirs("alpha_fold"), 1e-6, layer + " alpha");
  }
}

struct Case {
  char const* name;
  char const* model;
  char const* cv;
  bool folds = true;
};
void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }
class RidgeGolden : public testing::TestWithParam<Case> {};

TEST_P(RidgeGolden, AgreesWithNumpy) {
  Case const& c = GetParam();
  TempFolder const dir("encode_ridge_" + std::string(c.name) + std::to_string(getpid()));
  Outcome const out = run_encode(Comm(), dir.path, yaml_of(c.model, c.cv));
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  expect_case(dir / "out/result.h5", c.name, c.folds);
}

INSTANTIATE_TEST_SUITE_P(
    Shared, RidgeGolden,
    testing::Values(Case{"shared_folds", "alpha_per_target: false", "{folds: 4, inner: {folds: 3}}"},
                    Case{"shared_loo", "alpha_per_target: false, selection: loo", "{folds: 4}"},
                    Case{"shared_gcv", "alpha_per_target: false, selection: gcv", "{folds: 4}"},
                    Case{"shared_folds_refit", "alpha_per_target: false", "{folds: 0, inner: {folds: 3}}", false},
                    Case{"shared_loo_refit", "alpha_per_target: false, selection: loo", "{folds: 0}"}),
    [](auto const& info) { return std::string(info.param.name); });

/// The penalty of a covariance over features; coefficients come back to the features.
TEST(PriorGolden, AgreesWithNumpy) {
  for (std::string const name : {"prior", "variances"}) {
    TempFolder const dir("encode_ridge_prior" + std::to_string(getpid()));
    std::string const files = (golden() / "encode_ridge" / name).string();
    Outcome const out =
        run_encode(Comm(), dir.path,
                   yaml_of(fmt::format("prior: {{conv: {0}_conv.npy, fc: {0}_fc.npy}}", files),
                           "{folds: 4, inner: {folds: 3}}\nsave: coefficients", ", transform: {standardize: false}"));
    ASSERT_EQ(out.code, Exit::ok) << out.message;
    expect_case(dir / "out/result.h5", name, true);
    h5::File const expected = h5::File::open(golden() / "encode_ridge/expected.h5");
    for (std::string const layer : {"conv", "fc"}) {
      auto const theirs = expected.dataset(name + "/" + layer + "/coef").read<double>();
      double size = 0;
      for (double w : theirs) size = std::isnan(w) ? size : std::max(size, std::abs(w));
      auto const mine = read(dir / "out/result.h5", layer + "/coef");
      ASSERT_EQ(mine.size(), theirs.size());
      for (std::size_t i = 0; i < mine.size(); ++i) {
        EXPECT_EQ(std::isnan(mine[i]), std::isnan(theirs[i])) << i;
        if (!std::isnan(theirs[i])) EXPECT_NEAR(mine[i], theirs[i], 2e-5 * size) << name << layer << i;
      }
      expect_close(read(dir / "out/result.h5", layer + "/intercept"),
                   expected.dataset(name + "/" + layer + "/intercept").read<double>(), 1e-4, layer + " intercept");
    }
  }
}

class EncodeRidge : public testing::Test {
 protected:
  EncodeRidge() : dir_("encode_ridge_" + std::to_string(getpid())), world_(dir_.path) {}
  Outcome run(std::vector<std::string> sets, std::string const& output = "out", Options o = {}) {
    sets.push_back("output=" + output);
    o.sets = sets;
    return run_encode(Comm(), dir_.path, World::yaml(), o);
  }
  void refused(std::vector<std::string> const& sets, Exit code, std::vector<std::string> const& words) {
    Outcome const out = run(sets);
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << sets[0] << ": " << out.message;
    for (auto const& word : words) EXPECT_NE(out.message.find(word), std::string::npos) << word << ": " << out.message;
    EXPECT_FALSE(fs::exists(dir_ / "out/result.h5")) << sets[0];
  }
  static bool warned(std::string const& words) {
    for (auto const& [text, times] : log::warnings())
      if (text.find(words) != std::string::npos) return true;
    return false;
  }
  TempFolder dir_;
  World world_;
};

/// The last bits of coefficients, too, are the same whatever the width of a tile of targets is.
TEST_F(EncodeRidge, CoefficientsDoNotDependOnTiles) {
  std::vector<float> covariance(180 * 180);
  for (std::size_t i = 0; i < covariance.size(); ++i)
    covariance[i] =
        i % 181 == 0 ? 2.0F : std::exp(-std::abs(static_cast<float>(i / 180) - static_cast<float>(i % 180)) / 9);
  write_npy(dir_ / "covariance.npy", covariance, {180, 180});
  std::vector<std::pair<std::string, std::vector<std::string>>> const settings{
      {"wide", {}},
      {"b", {"features.transform.pca=4"}},
      {"joint", {"model={type: banded_ridge, n_iter: 6}"}},
      {"wide",
       {"model.prior=covariance.npy", "features={store: act.h5, layers: wide, transform: {standardize: false}}"}}};
  for (auto const& [layer, sets] : settings) {
    std::vector<std::vector<double>> found;
    for (char const* width : {"8", "11", "20", "64", "512"}) {
      auto all = sets;
      all.insert(all.end(), {"save=coefficients", "cv.folds=2", fmt::format("target_tile={}", width)});
      Outcome const out = run(all, "tiles", {.fresh = true});
      ASSERT_EQ(out.code, Exit::ok) << out.message;
      found.push_back(read(dir_ / "tiles/result.h5", layer + "/coef"));
      ASSERT_EQ(found.back().size(), found[0].size());
      EXPECT_EQ(std::memcmp(found.back().data(), found[0].data(), found[0].size() * sizeof(double)), 0)
          << layer << ", tiles of " << width << (sets.empty() ? "" : ", " + sets[0]);
    }
  }
}

TEST_F(EncodeRidge, RefusesWhatDoesNotGoTogether) {
  std::string const cv = "cv={folds: 3}";
  refused({"model.selection=lo", cv}, Exit::config, {"model.selection", "loo"});
  refused({"model.selection=loo"}, Exit::config, {"cv.inner.folds", "model.selection: loo"});
  refused({"model.selection=gcv", "cv={folds: 3, inner: {shuffle: true}}"}, Exit::config, {"cv.inner.shuffle"});
  refused({"model.selection=gcv", "cv={folds: 3, inner: {score: pearson}}"}, Exit::config,
          {"pearson", "selection: loo"});
  refused({"model={type: lasso, selection: loo}", cv}, Exit::config, {"model.selection", "lasso"});
  refused({"model={type: lasso, alpha_per_target: false}"}, Exit::config, {"model.alpha_per_target", "lasso"});
  refused({"model.alpha_per_target=false", "permutation.n=9"}, Exit::config,
          {"permutation.scheme", "fixed_alpha", "model.alpha_per_target"});
}

TEST_F(EncodeRidge, RefusesPriorsThatAreNone) {
  std::string const raw = "features={store: act.h5, layers: b, transform: {standardize: false}}";
  auto const write = [&](std::vector<double> const& values, std::vector<std::uint64_t> const& shape) {
    write_npy(dir_ / "s.npy", values, shape);
  };
  std::vector<double> good(100, 0);
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t j = 0; j < 10; ++j)
      good[i * 10 + j] = std::pow(0.5, std::abs(static_cast<double>(i) - static_cast<double>(j)));
  auto const changed = [&](std::size_t i, std::size_t j, double value, bool both) {
    auto bad = good;
    bad[i * 10 + j] = value;
    if (both) bad[j * 10 + i] = value;
    write(bad, {10, 10});
  };
  write(good, {10, 10});
  std::string const prior = "model.prior=s.npy";
  refused({prior, "features.layers=b"}, Exit::config, {"features.transform.standardize", "standardize: false"});
  refused({prior, "features={store: act.h5, layers: b, transform: {standardize: false, pca: 3}}"}, Exit::config,
          {"features.transform.pca"});
  refused({prior, "features={store: act.h5, transform: {standardize: false}}"}, Exit::config,
          {"model.prior", "3 layers", "a: FILE"});
  refused({"model.prior={a: s.npy}", raw}, Exit::config, {"model.prior", "a is not among the layers"});
  refused({"model.prior={}", raw}, Exit::config, {"model.prior", "no layer"});
  refused({"model={type: ols, prior: s.npy}", raw}, Exit::config, {"model.prior", "ols"});
  refused({"model.prior=t.npy", raw}, Exit::no_input, {"model.prior", "t.npy"});
  refused({"model.prior=mask.nii.gz", raw}, Exit::config, {"model.prior", "mask.nii.gz", ".npy"});
  refused({"model.prior=act.h5:/c", raw}, Exit::data, {"model.prior", "act.h5"});
  write(good, {5, 20});
  refused({prior, raw}, Exit::data, {"model.prior", "s.npy", "5 × 20", "b has 10 features"});
  changed(2, 7, std::nan(""), false);
  refused({prior, raw}, Exit::data, {"model.prior", "value 27", "not finite"});
  changed(2, 7, 0.5, false);
  refused({prior, raw}, Exit::data, {"not symmetric", "(7, 2)"});
  changed(3, 3, -1, false);
  refused({prior, raw}, Exit::data, {"variance of feature 3", "-1"});
  changed(2, 7, 1.5, true);
  refused({prior, raw}, Exit::data, {"positive semi-definite", "features 7 and 2"});
  changed(2, 7, 0.9, true);  // within the Cauchy-Schwarz inequality, and still none
  refused({prior, raw}, Exit::data, {"positive semi-definite", "Cholesky"});
  write(std::vector<double>(10, 0), {10});
  refused({prior, raw}, Exit::data, {"every variance is 0"});
}

/// A covariance of ones and twos on the diagonal is a vector of variances; float32 rounding is forgiven; variances of 1
/// are no prior.
TEST_F(EncodeRidge, PriorsOfTheSameMeaningAgree) {
  std::vector<std::string> const raw{"features={store: act.h5, layers: wide, transform: {standardize: false}}",
                                     "save=coefficients"};
  std::vector<double> ones(180, 1), some(180), diagonal(180 * 180, 0);
  for (std::size_t i = 0; i < 180; ++i) some[i] = diagonal[i * 181] = 0.5 + static_cast<double>(i % 3);
  std::vector<float> low(180 * 180);
  std::vector<double> high(180 * 180);
  for (std::size_t i = 0; i < 180; ++i)
    for (std::size_t j = 0; j < 180; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < 30; ++k) sum += static_cast<double>(noise(i, 300 + k)) * noise(j, 300 + k);
      high[i * 180 + j] = sum;
      low[i * 180 + j] = static_cast<float>(sum);
    }
  write_npy(dir_ / "ones.npy", ones, {180});
  write_npy(dir_ / "some.npy", some, {180});
  write_npy(dir_ / "diagonal.npy", diagonal, {180, 180});
  write_npy(dir_ / "low.npy", low, {180, 180});
  write_npy(dir_ / "high.npy", high, {180, 180});
  auto const scores = [&](std::string const& prior) {
    auto sets = raw;
    if (!prior.empty()) sets.push_back("model.prior=" + prior);
    std::string const out = "p_" + prior;
    Outcome const outcome = run(sets, out);
    EXPECT_EQ(outcome.code, Exit::ok) << outcome.message;
    auto all = read(dir_ / out / "result.h5", "/wide/score/r2");
    auto const coef = read(dir_ / out / "result.h5", "/wide/coef");
    all.insert(all.end(), coef.begin(), coef.end());
    return all;
  };
  expect_close(scores("ones.npy"), scores(""), 1e-6, "ones");
  expect_close(scores("diagonal.npy"), scores("some.npy"), 2e-5, "diagonal");
  expect_close(scores("low.npy"), scores("high.npy"), 1e-3, "float32");
}

TEST_F(EncodeRidge, LeavingOneOutWarnsOfNeighbours) {
  ASSERT_EQ(run({"model.selection=loo", "cv={folds: 3}"}).code, Exit::ok);
  EXPECT_FALSE(warned("model.selection"));
  ASSERT_EQ(run({"model.selection=loo", "cv={group: session}"}, "group").code, Exit::ok);
  EXPECT_TRUE(warned("rows of its cv.group session stay"));
  ASSERT_EQ(run({"model.selection=gcv", "cv={folds: 3, purge: 1}"}, "purge").code, Exit::ok);
  EXPECT_TRUE(warned("cv.purge"));
  ASSERT_EQ(run({"model.selection=gcv", "cv={folds: 3}", "responses.repeats=keep"}, "keep").code, Exit::ok);
  EXPECT_TRUE(warned("repeats of its stimulus"));
}

TEST_F(EncodeRidge, ASharedAlphaDoesNotDependOnTiles) {
  for (std::string const model :
       {"{alpha_per_target: false, alphas: {logspace: [0, 3, 4]}}", "{alpha_per_target: false, selection: loo}"}) {
    std::string const cv =
        model.find("loo") == std::string::npos ? "cv={folds: 3, inner: {folds: 3}}" : "cv={folds: 3}";
    std::vector<std::string> const sets{"model=" + model, cv, "save=[coefficients, predictions]"};
    auto wide = sets, narrow = sets;
    wide.emplace_back("target_tile=512"), narrow.emplace_back("target_tile=9");
    ASSERT_EQ(run(wide, "wide").code, Exit::ok);
    ASSERT_EQ(run(narrow, "narrow").code, Exit::ok);
    for (std::string const layer : {"a", "b", "wide"}) {
      for (char const* what : {"/score/r2", "/alpha", "/coef_alpha", "/prediction"}) {
        auto const x = read(dir_ / "wide/result.h5", layer + what), y = read(dir_ / "narrow/result.h5", layer + what);
        ASSERT_EQ(x.size(), y.size());
        EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * sizeof(double)), 0) << model << layer << what;
      }
      auto const alpha = read(dir_ / "wide/result.h5", layer + "/alpha");
      for (std::size_t f = 0; f < 3; ++f)
        for (std::size_t j = 1; j < 75; ++j)
          if (!std::isnan(alpha[f * 75 + j])) EXPECT_EQ(alpha[f * 75 + j], alpha[f * 75]) << f << " " << j;
    }
    fs::remove_all(dir_ / "wide"), fs::remove_all(dir_ / "narrow");
  }
}

/// With one fold, the alpha that all targets came to share may as well have been the only one.
TEST_F(EncodeRidge, PermutationsKeepASharedAlpha) {
  for (std::string const scheme : {"fixed_alpha", "fixed_model"}) {
    std::vector<std::string> const sets{"permutation={n: 19, scheme: " + scheme + "}", "features.layers=b",
                                        "cv={split: part, inner: {folds: 3}}"};
    auto shared = sets, alone = sets;
    shared.emplace_back("model={alpha_per_target: false, alphas: {logspace: [0, 3, 4]}}");
    ASSERT_EQ(run(shared, "shared").code, Exit::ok);
    auto const alpha = read(dir_ / "shared/result.h5", "/b/alpha");
    alone.emplace_back(fmt::format("model={{alphas: {}}}", alpha[0]));
    ASSERT_EQ(run(alone, "alone").code, Exit::ok);
    for (char const* what : {"/b/score/r2", "/b/permutation/r2/p", "/b/permutation/pearson/null_max"}) {
      auto const x = read(dir_ / "shared/result.h5", what), y = read(dir_ / "alone/result.h5", what);
      expect_close(x, y, 1e-5, what);
    }
    fs::remove_all(dir_ / "shared"), fs::remove_all(dir_ / "alone");
  }
}

std::string const shared_model = "model={alpha_per_target: false, alphas: {logspace: [0, 3, 4]}}";

void die_in(fs::path const& folder, std::size_t when) {
  Options o;
  o.sets = {shared_model};
  o.when = when, o.at = [] { std::raise(SIGKILL); };
  (void)run_encode(Comm(), folder, World::yaml(), o);
  std::_Exit(3);  // not reached
}

TEST(EncodeRidgeCrash, AKillBetweenChoiceAndScoresChangesNothing) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // the child starts anew and comes back to its EXPECT_EXIT
  char const* const given = std::getenv("ENCODE_CRASH_FOLDER");
  std::string const name = given != nullptr ? given : "encode_ridge_crash_" + std::to_string(getpid());
  TempFolder const dir(name, given == nullptr);
  if (given == nullptr) {
    setenv("ENCODE_CRASH_FOLDER", name.c_str(), 1);
    World{dir.path};
  }
  EXPECT_EXIT(die_in(dir.path, 4), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(die_in(dir.path, 30), testing::KilledBySignal(SIGKILL), "");
  if (given != nullptr) return;
  unsetenv("ENCODE_CRASH_FOLDER");
  LedgerState const state = read_ledger(dir / "out/result.h5");
  EXPECT_GT(state.done, 5U);
  EXPECT_LT(state.done, state.total);
  Outcome const end = run_encode(Comm(), dir.path, World::yaml(), {.sets = {shared_model}});
  ASSERT_EQ(end.code, Exit::ok) << end.message;
  Outcome const whole = run_encode(Comm(), dir.path, World::yaml(), {.sets = {shared_model, "output=whole"}});
  ASSERT_EQ(whole.code, Exit::ok) << whole.message;
  expect_same(dir / "whole", dir / "out");
}

}  // namespace
