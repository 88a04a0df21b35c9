// pls and pcr against scikit-learn in float64 (tests/golden/make_components.py), and what must not change or leak.
#include <numeric>

#include "golden_fits.hpp"
#include "striate/base/error.hpp"
#include "striate/models/components.hpp"

namespace striate {
namespace {

using namespace testing;

struct Case {
  char const* name;
  char const* model = "pls";
  std::size_t folds = 4, inner = 3;  // 0 folds: none
  bool standardize = true, scale = false;
  double pca = 0;
  Score inner_score = Score::r2;
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

FoldPlan plan_of(std::size_t n, std::size_t folds, std::size_t inner, std::size_t fold) {
  CvSpec outer, within;
  outer.folds = folds;
  within.folds = inner;
  if (folds == 0) {
    outer.kind = CvSpec::Kind::none;
  }
  CvColumns columns;
  columns.rows = n;
  return fold_plans(outer, within, columns)[fold];
}

class ComponentsGolden : public ::testing::TestWithParam<Case> {};

void check_scores(std::map<std::string, Array> const& g, TileResult const& r, std::size_t fold) {
  std::size_t const t = g.at("y").cols;
  char const* names[] = {"pearson", "r2", "mse"};
  for (std::size_t c = 0; c < t; ++c) {
    std::string const where = " fold " + std::to_string(fold) + " target " + std::to_string(c);
    expect_close(r.alpha[c], g.at("components").at(fold, c), 0, "components" + where);
    for (std::size_t s = 0; s < 3; ++s) {
      double const want = g.at(names[s]).at(fold, c);
      expect_close(r.score[s * t + c], want, 1e-5 * std::max(1.0, std::abs(want)), names[s] + where);
    }
  }
}

TEST_P(ComponentsGolden, EqualsScikitLearn) {
  Case const& c = GetParam();
  auto const g = read_golden(c.name, "components");
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols, folds = g.at("r2").rows;
  ModelOptions options;
  for (double count : g.at("counts").values) {
    options.components.push_back(static_cast<std::size_t>(count));
  }
  options.inner_score = c.inner_score;
  options.scores = {Score::pearson, Score::r2, Score::mse};
  options.standardize_responses = c.scale;
  options.predictions = options.coefficients = true;
  MemorySource const source({x.data(), n, p}), responses({y.data(), n, t});
  auto const team = serial_team();
  for (std::size_t fold = 0; fold < folds; ++fold) {
    auto const plan = plan_of(n, c.folds, c.inner, fold);
    auto const fitted = find_model(c.model)->make(options)->prepare({source, c.standardize, c.pca, t, &responses}, plan,
                                                                    *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile({y.data(), n, t}, r, work);
    check_scores(g, r, fold);
    if (fold > 0) {
      continue;
    }
    expect_fits(g, *fitted, r, 3e-5);
    for (std::size_t i = 0; g.count("fold_r2") != 0 && i < plan.inner.size(); ++i) {
      for (std::size_t k = 0; k < t; ++k) {
        expect_close(r.inner_score[(i * 3 + 1) * t + k], g.at("fold_r2").at(i, k), 1e-5, "inner r2");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ComponentsGolden,
    ::testing::Values(Case{.name = "pls_wide", .scale = true}, Case{.name = "pls_wide_plain", .standardize = false},
                      Case{.name = "pls_narrow", .scale = true, .inner_score = Score::pearson},
                      Case{.name = "pls_many", .scale = true}, Case{.name = "pls_raw_responses"},
                      Case{.name = "pls_exact", .standardize = false, .scale = true},
                      Case{.name = "pls_pca", .scale = true, .pca = 6}, Case{.name = "pls_one"},
                      Case{.name = "pls_refit", .folds = 0, .inner = 4, .scale = true},
                      Case{.name = "pcr_wide", .model = "pcr"},
                      Case{.name = "pcr_narrow", .model = "pcr", .scale = true, .inner_score = Score::pearson},
                      Case{.name = "pcr_plain", .model = "pcr", .standardize = false},
                      Case{.name = "pcr_exact", .model = "pcr"}, Case{.name = "pcr_share", .model = "pcr", .pca = 0.8},
                      Case{.name = "pcr_refit", .model = "pcr", .folds = 0, .inner = 4, .standardize = false}),
    [](auto const& info) { return std::string(info.param.name); });

/// One outer fold of four, with three inner ones.
std::unique_ptr<FittedFold> fit(char const* model, Problem const& data, std::vector<std::size_t> components,
                                std::size_t fold = 0, std::size_t folds = 4) {
  ModelOptions options;
  options.components = std::move(components);
  auto const source = data.source();
  MemorySource const y(data.responses());
  auto const team = serial_team();
  return find_model(model)->make(options)->prepare({source, true, 0, data.t, &y}, plan_of(data.n, folds, 3, fold), *team,
                                                   plenty);
}

TileResult result_of(FittedFold const& fitted, Problem const& data) {
  TileResult r;
  Workspace work;
  fitted.tile(data.responses(), r, work);
  return r;
}

TEST(Pls, BadTargetsHaveNoPartInTheComponents) {
  Problem nan(48, 60, 20);
  Problem constant = nan;
  nan.y[20 + 7 * nan.n] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(constant.y.begin() + static_cast<std::ptrdiff_t>(7 * nan.n), nan.n, 3.0F);
  Problem without = nan;  // nor is the target there
  without.t = 19;
  without.y.erase(without.y.begin() + static_cast<std::ptrdiff_t>(7 * nan.n),
                  without.y.begin() + static_cast<std::ptrdiff_t>(8 * nan.n));
  auto const a = result_of(*fit("pls", nan, {6}), nan), b = result_of(*fit("pls", constant, {6}), constant),
             c = result_of(*fit("pls", without, {6}), without);
  EXPECT_EQ(a.flag[7], TargetFlag::not_finite);
  EXPECT_EQ(b.flag[7], TargetFlag::constant);
  for (std::size_t t = 0; t < nan.t; ++t) {
    if (t != 7) {
      EXPECT_EQ(a.score[t], b.score[t]);
      EXPECT_NEAR(a.score[t], c.score[t - (t > 7 ? 1 : 0)], 1e-6);
    }
  }
}

TEST(Pls, OtherTargetsShapeTheComponents) {
  Problem data(48, 60, 20);
  auto const before = result_of(*fit("pls", data, {3}), data);
  for (std::size_t i = 0; i < data.n; ++i) {
    data.y[i + 3 * data.n] = static_cast<float>(i % 5);
  }
  auto const after = result_of(*fit("pls", data, {3}), data);
  EXPECT_NE(before.score[0], after.score[0]);
  EXPECT_TRUE(make_pls({})->prepare_uses_responses());
  EXPECT_FALSE(make_pcr({})->prepare_uses_responses());
}

TEST(Components, PureNoiseIsNotPredicted) {
  Problem data(60, 400, 300);
  Problem const noise(60, 300, 1, 77);
  data.y = noise.x;
  for (char const* model : {"pls", "pcr"}) {
    std::vector<double> mean(data.t, 0.0);
    for (std::size_t fold = 0; fold < 3; ++fold) {
      auto const r = result_of(*fit(model, data, {1, 2, 4, 8}, fold, 3), data);
      for (std::size_t t = 0; t < data.t; ++t) {
        mean[t] += r.score[t] / 3;
      }
    }
    double sum = 0, square = 0;
    for (double m : mean) {
      sum += m;
      square += m * m;
    }
    auto const t = static_cast<double>(data.t);
    double const error = std::sqrt((square / t - sum * sum / t / t) / t);
    EXPECT_LT(std::abs(sum / t), 3 * error) << model;
    EXPECT_LT(error, 0.02) << model;
  }
}

TEST(Components, NumbersThatTheRankDoesNotAllowAreLeftOut) {
  Problem data(60, 80, 12);
  for (std::size_t j = 3; j < data.p; ++j) {  // three features and their multiples
    for (std::size_t i = 0; i < data.n; ++i) {
      data.x[i + j * data.n] = static_cast<float>(j % 4 + 1) * data.x[i + j % 3 * data.n];
    }
  }
  for (char const* model : {"pls", "pcr"}) {
    auto const some = fit(model, data, {1, 3, 4, 9});
    EXPECT_EQ(some->report().alphas, (std::vector<double>{1, 3})) << model;
    EXPECT_EQ(some->report().dropped_alphas, (std::vector<double>{4, 9})) << model;
    EXPECT_EQ(some->report().rank, 3U) << model;
    EXPECT_EQ(some->report().form, std::string(model) == "pls" ? "kernel pls" : "spectral dual");
    auto const most = fit(model, data, {9});
    EXPECT_EQ(most->report().alphas, std::vector<double>{3}) << model;
    auto const r = result_of(*most, data);
    for (std::size_t t = 0; t < data.t; ++t) {
      EXPECT_EQ(r.alpha[t], 3) << model;
      EXPECT_TRUE(std::isfinite(r.score[t])) << model;
    }
  }
}

TEST(Components, FeaturesThatNeverVaryPredictTheMean) {
  Problem data(40, 5, 6);
  std::fill(data.x.begin(), data.x.end(), 2.0F);
  for (char const* model : {"pls", "pcr"}) {
    auto const r = result_of(*fit(model, data, {1, 2}), data);
    EXPECT_EQ(r.degenerate, data.t) << model;
    EXPECT_EQ(r.alpha, std::vector<double>(data.t, 0.0)) << model;
  }
}

/// Features that were prepared once, other responses: what preparing everything gives, on any threads.
TEST(PreparedFeatures, FitWhatPrepareFits) {
  Problem const data(60, 90, 30), narrow(60, 9, 30, 3);
  std::vector<float> turned(data.y.size());
  for (std::size_t c = 0; c < data.t; ++c) {
    std::rotate_copy(data.y.begin() + static_cast<std::ptrdiff_t>(c * data.n),
                     data.y.begin() + static_cast<std::ptrdiff_t>(c * data.n + 7),
                     data.y.begin() + static_cast<std::ptrdiff_t>((c + 1) * data.n),
                     turned.begin() + static_cast<std::ptrdiff_t>(c * data.n));
  }
  turned[5] = std::numeric_limits<float>::quiet_NaN();
  auto const alone = serial_team();
  struct Set {
    char const* model;
    bool standardize, scale, wide;
    double pca;
    std::size_t folds;
  };
  for (Set const& s : {Set{"pls", true, true, true, 0, 4}, Set{"pls", false, false, true, 0.9, 4},
                       Set{"pls", true, false, false, 5, 0}, Set{"cca", true, true, true, 0, 4},
                       Set{"cca", false, true, false, 0, 0}, Set{"cca", true, false, true, 8, 4}}) {
    ModelOptions o;
    o.components = {1, 2, 6};
    o.alphas = {1, 100};
    o.response_pca = 7;
    o.standardize_responses = s.scale;
    o.predictions = o.coefficients = true;
    Problem const& of = s.wide ? data : narrow;
    auto const source = of.source();
    auto const plan = plan_of(of.n, s.folds, 3, 0);
    auto const model = find_model(s.model)->make(o);
    std::vector<std::unique_ptr<FittedFold>> fits(4);
    {
      OddTeam odd(3);
      auto const features = model->prepare_features({source, s.standardize, s.pca, of.t}, plan, odd, plenty);
      EXPECT_GT(features->shared_bytes(), 0);
      odd.local(fits.size(), [&](std::size_t i) {
        fits[i] = features->fit(MemorySource({i % 2 == 0 ? of.y.data() : turned.data(), of.n, of.t}));
      });
    }
    for (std::size_t i = 0; i < fits.size(); ++i) {
      MatrixView<float const> const y(i % 2 == 0 ? of.y.data() : turned.data(), of.n, of.t);
      MemorySource const responses(y);
      auto const whole = model->prepare({source, s.standardize, s.pca, of.t, &responses}, plan, *alone, plenty);
      TileResult a, b;
      Workspace work;
      whole->tile(y, a, work);
      fits[i]->tile(y, b, work);
      EXPECT_TRUE(same_bits(a.score, b.score)) << s.model << i;
      EXPECT_TRUE(same_bits(a.alpha, b.alpha)) << s.model << i;
      EXPECT_TRUE(same_bits(a.prediction, b.prediction)) << s.model << i;
      EXPECT_TRUE(same_bits(a.weights, b.weights)) << s.model << i;
      EXPECT_TRUE(same_bits(a.intercept, b.intercept)) << s.model << i;
      EXPECT_TRUE(same_bits(whole->report().variates, fits[i]->report().variates)) << s.model << i;
      EXPECT_EQ(whole->report().alphas, fits[i]->report().alphas);
      EXPECT_EQ(whole->report().dropped_alphas, fits[i]->report().dropped_alphas);
      EXPECT_EQ(whole->report().constant_features, fits[i]->report().constant_features);
    }
  }
}

TEST(PreparedFeatures, RefuseWhatCannotWork) {
  Problem const data(60, 90, 30);
  auto const source = data.source();
  auto const team = serial_team();
  auto const plan = plan_of(data.n, 4, 3, 0);
  ModelOptions o;
  o.components = {1, 2};
  EXPECT_THROW((void)make_pls(o)->prepare_features({source, true, 0, data.t}, plan, *team, 2e5), Error);
  EXPECT_THROW((void)make_pcr(o)->prepare_features({source, true, 0, data.t}, plan, *team, plenty), Error);
  auto const features = make_pls(o)->prepare_features({source, true, 0, data.t}, plan, *team, plenty);
  EXPECT_THROW((void)features->fit(MemorySource({data.y.data(), data.n - 1, data.t})), Error);
}

/// The same fit with Gram matrices of float32 panels and in float64 throughout: constant columns change which.
TEST(Pls, WideGramsInFloatPanels) {
  std::size_t const n = 1000, p = 4050, t = 7200, less = 200;
  Problem wide(n, p, 1), responses(n, t, 1, 9);
  wide.t = t;
  wide.y = responses.x;
  for (std::size_t c = 0; c < t; ++c) {
    for (std::size_t i = 0; i < n; ++i) {
      wide.y[i + c * n] += 4 * std::pow(0.5F, static_cast<float>(c % 5)) * wide.x[i + c % 5 * n];
    }
  }
  std::fill_n(wide.x.end() - static_cast<std::ptrdiff_t>(less * n), less * n, 1.0F);
  std::fill_n(wide.y.end() - static_cast<std::ptrdiff_t>(less * n), less * n, 1.0F);
  Problem narrow = wide;
  narrow.p -= less;
  narrow.t -= less;
  // 1000² × 4050 and 750² × 7200 exceed what is done in float64; 200 columns less do not.
  auto const a = fit("pls", wide, {5}), b = fit("pls", narrow, {5});
  Problem few(n, p, 60);
  std::copy_n(wide.y.begin(), few.y.size(), few.y.begin());
  auto const ra = result_of(*a, few), rb = result_of(*b, few);
  EXPECT_FALSE(same_bits(ra.score, rb.score));
  for (std::size_t i = 0; i < ra.score.size(); ++i) {
    EXPECT_NEAR(ra.score[i], rb.score[i], 1e-5);
  }
}

TEST(Components, RefuseWhatCannotWork) {
  ModelOptions options;
  options.components = {3, 0};
  EXPECT_THROW((void)make_pls(options), Error);
  EXPECT_THROW((void)make_pcr(options), Error);
  options.components = {1, 2};
  options.inner_score = Score::mse;
  EXPECT_THROW((void)make_pls(options), Error);
  options.inner_score = Score::r2;
  Problem data(30, 8, 4);
  auto const team = serial_team();
  auto const source = data.source();
  MemorySource const y(data.responses()), shorter({data.y.data(), data.n - 1, data.t});
  auto plan = plan_of(data.n, 3, 3, 0);
  auto const pls = make_pls(options);
  EXPECT_THROW((void)pls->prepare({source}, plan, *team, plenty), Error);
  EXPECT_THROW((void)pls->prepare({source, true, 0, data.t, &shorter}, plan, *team, plenty), Error);
  EXPECT_THROW((void)pls->prepare({source, true, 0, data.t, &y}, plan, *team, 1e4), Error);
  EXPECT_THROW((void)pls->prepare({source, true, 2.5, data.t, &y}, plan, *team, plenty), Error);
  plan.inner.clear();
  EXPECT_THROW((void)pls->prepare({source, true, 0, data.t, &y}, plan, *team, plenty), Error);
  data.x[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW((void)pls->prepare({source, true, 0, data.t, &y}, plan_of(data.n, 3, 3, 0), *team, plenty), Error);
}

}  // namespace
}  // namespace striate
