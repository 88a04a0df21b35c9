// Lasso and elastic net: against scikit-learn in float64 (tests/golden/make_lasso.py), the optimality conditions, what
// must not change a bit, what must not leak, and what must be refused.
#include <numeric>

#include "models_common.hpp"
#include "striate/base/error.hpp"
#include "striate/models/lasso.hpp"

namespace striate {
namespace {

using namespace testing;

struct Case {
  char const* name;
  char const* model = "lasso";
  bool standardize = true, relative = false, scaled = false;
  double pca = 0;
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

class LassoGolden : public ::testing::TestWithParam<Case> {};

std::vector<FoldPlan> plans(std::size_t n, std::size_t folds = 4, std::size_t inner_folds = 3) {
  CvSpec outer, inner;
  outer.folds = folds;
  inner.folds = inner_folds;
  if (folds == 0) {
    outer.kind = CvSpec::Kind::none;
  }
  CvColumns columns;
  columns.rows = n;
  return fold_plans(outer, inner, columns);
}

void expect_close(double got, double want, double tolerance, std::string const& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": got " << got << ", expected NaN";
  } else {
    EXPECT_NEAR(got, want, tolerance) << what;
  }
}

void check_fold(std::map<std::string, Array> const& g, TileResult const& r, std::size_t fold) {
  std::size_t const t = g.at("y").cols;
  char const* names[] = {"pearson", "r2", "mse"};
  for (std::size_t c = 0; c < t; ++c) {
    std::string const where = " fold " + std::to_string(fold) + " target " + std::to_string(c);
    double const alpha = g.at("alpha").at(fold, c);
    expect_close(r.alpha[c], alpha, 1e-6 * alpha, "alpha" + where);
    expect_close(r.extra[c], g.at("nonzero").at(fold, c), 0, "nonzero" + where);
    for (std::size_t s = 0; s < 3; ++s) {
      double const want = g.at(names[s]).at(fold, c);
      expect_close(r.score[s * t + c], want, 1e-5 * (s == 2 ? std::abs(want) : std::max(1.0, std::abs(want))),
                   names[s] + where);
    }
  }
}

void check_model(std::map<std::string, Array> const& g, FittedFold const& fitted, TileResult const& r) {
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols, e = g.at("prediction").rows;
  auto const x = columns(g.at("x"));
  std::vector<float> coef(p * t);
  fitted.coefficients({x.data(), n, p}, 0, {r.weights.data(), fitted.weight_rows(), t}, coef.data());
  for (std::size_t c = 0; c < t; ++c) {
    double size = 0;
    for (std::size_t j = 0; j < p; ++j) {
      size = std::max(size, std::abs(g.at("coef").at(j, c)));
    }
    for (std::size_t j = 0; j < p; ++j) {
      expect_close(coef[j + c * p], g.at("coef").at(j, c), 1e-4 * size + 1e-9, "coefficient " + std::to_string(j));
    }
    double const b = g.at("intercept").at(0, c);
    expect_close(r.intercept[c], b, 1e-4 * (1 + std::abs(b)), "intercept " + std::to_string(c));
    for (std::size_t i = 0; i < e; ++i) {
      double const want = g.at("prediction").at(i, c);
      expect_close(r.prediction[i + c * e], want, 3e-5 * (1 + std::abs(want)), "prediction");
    }
  }
}

TEST_P(LassoGolden, EqualsScikitLearn) {
  Case const& c = GetParam();
  auto const g = read_golden(std::string("lasso_") + c.name);
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  ModelOptions options;
  options.alphas = g.at("alphas").values;
  options.relative_alphas = c.relative;
  options.l1_ratio = g.at("l1_ratio").at(0, 0);
  options.scores = {Score::pearson, Score::r2, Score::mse};
  options.standardize_responses = c.scaled;
  options.predictions = options.coefficients = true;
  auto const model = find_model(c.model)->make(options);
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  auto const all = plans(n);
  for (std::size_t fold = 0; fold < all.size(); ++fold) {
    auto const fitted = model->prepare({source, c.standardize, c.pca}, all[fold], *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile({y.data(), n, t}, r, work);
    check_fold(g, r, fold);
    if (fold == 0) {
      check_model(g, *fitted, r);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, LassoGolden,
    ::testing::Values(Case{"narrow"}, Case{"wide"}, Case{.name = "plain", .standardize = false},
                      Case{.name = "relative", .relative = true}, Case{.name = "scaled", .scaled = true},
                      Case{"elastic", "elastic_net"},
                      Case{.name = "elastic_relative", .model = "elastic_net", .relative = true, .scaled = true},
                      Case{.name = "pca_wide", .model = "elastic_net", .scaled = true, .pca = 6},
                      Case{.name = "pca_narrow", .model = "elastic_net", .relative = true, .scaled = true, .pca = 0.9},
                      Case{.name = "collinear", .relative = true}),
    [](auto const& info) { return std::string(info.param.name); });

struct Setting {
  char const* model;
  std::size_t n, p;
  bool standardize = true;
  double pca = 0;
};

void PrintTo(Setting const& s, std::ostream* os) {
  *os << s.model << " " << s.n << "x" << s.p << " " << s.standardize << " " << s.pca;
}

ModelOptions wanted() {
  ModelOptions o;
  o.alphas = {0.01, 0.03, 0.1, 0.3, 1};
  o.relative_alphas = true;
  o.predictions = o.coefficients = true;
  return o;
}

class LassoProperty : public ::testing::TestWithParam<Setting> {
 protected:
  static std::unique_ptr<FittedFold> fit(Setting const& s, Problem const& data, Team& team, double budget = plenty) {
    auto const source = data.source();
    return find_model(s.model)->make(wanted())->prepare({source, s.standardize, s.pca}, plans(data.n)[1], team, budget);
  }
  static TileResult tile(FittedFold const& fitted, MatrixView<float const> y) {
    TileResult r;
    Workspace work;
    fitted.tile(y, r, work);
    return r;
  }
};

TEST_P(LassoProperty, TeamsAndTilesDoNotChangeBits) {
  Setting const& s = GetParam();
  Problem const data(s.n, s.p, 150);
  auto const serial = serial_team();
  OddTeam odd(3);
  auto const fitted = fit(s, data, *serial);
  auto const a = tile(*fitted, data.responses()), b = tile(*fit(s, data, odd, plenty / 10), data.responses());
  EXPECT_TRUE(same_bits(a.score, b.score));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
  EXPECT_TRUE(same_bits(a.prediction, b.prediction));
  for (std::size_t width : {1UL, 7UL, 100UL}) {
    for (std::size_t first = 0; first < data.t; first += width * 3 + 1) {
      std::size_t const count = std::min(width, data.t - first), m = fitted->weight_rows();
      auto const part = tile(*fitted, data.responses().columns(first, count));
      for (std::size_t c = 0; c < count; ++c) {
        ASSERT_EQ(part.alpha[c], a.alpha[first + c]) << "width " << width << " target " << first + c;
        ASSERT_EQ(part.score[c], a.score[first + c]);
        ASSERT_EQ(part.score[count + c], a.score[data.t + first + c]);
        ASSERT_EQ(0, std::memcmp(part.weights.data() + c * m, a.weights.data() + (first + c) * m, m * 4));
      }
    }
  }
}

TEST_P(LassoProperty, TestRowsDoNotLeak) {
  Setting const& s = GetParam();
  Problem data(s.n, s.p, 20);
  auto const team = serial_team();
  auto const a = tile(*fit(s, data, *team), data.responses());
  auto const fold = plans(s.n)[1];
  for (auto row : fold.outer.test) {
    for (std::size_t j = 0; j < data.p; ++j) {
      data.x[row + j * data.n] = data.x[row + j * data.n] * 3 - 40;
    }
    for (std::size_t c = 0; c < data.t; ++c) {
      data.y[row + c * data.n] = 100 - data.y[row + c * data.n];
    }
  }
  auto const b = tile(*fit(s, data, *team), data.responses());
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_FALSE(same_bits(a.score, b.score));
}

TEST_P(LassoProperty, NeighboursOfABadTargetAreUntouched) {
  Setting const& s = GetParam();
  Problem data(s.n, s.p, 12);
  auto const team = serial_team();
  auto const fitted = fit(s, data, *team);
  auto const a = tile(*fitted, data.responses());
  data.y[3 + 5 * data.n] = std::numeric_limits<float>::infinity();
  std::fill_n(data.y.begin() + static_cast<std::ptrdiff_t>(8 * data.n), data.n, 2.5F);
  auto const b = tile(*fitted, data.responses());
  EXPECT_EQ(b.flag[5], TargetFlag::not_finite);
  EXPECT_EQ(b.flag[8], TargetFlag::constant);
  for (std::size_t c = 0; c < data.t; ++c) {
    bool const bad = c == 5 || c == 8;
    EXPECT_EQ(bad, std::isnan(b.alpha[c]));
    EXPECT_EQ(bad, std::isnan(b.score[c]));
    EXPECT_EQ(bad, std::isnan(b.extra[c]));
    EXPECT_EQ(bad, std::isnan(b.weights[c * fitted->weight_rows()]));
    if (!bad) {
      EXPECT_EQ(a.score[c], b.score[c]);
      EXPECT_EQ(a.alpha[c], b.alpha[c]);
    }
  }
}

TEST_P(LassoProperty, MemoryIsAsEstimated) {
  Setting const& s = GetParam();
  Problem const data(s.n * 4, s.p * 4, 8);
  auto const team = serial_team();
  double const held = fit(s, data, *team)->report().shared_bytes;
  double const said = find_model(s.model)
                          ->make(wanted())
                          ->cost(data.n, data.p, 0, plans(data.n)[1], s.standardize, s.pca, plenty)
                          .shared_kept_bytes;
  EXPECT_LT(held, said * 1.1);
  EXPECT_GT(held, said * 0.8);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LassoProperty,
                         ::testing::Values(Setting{"lasso", 60, 14}, Setting{"lasso", 60, 150},
                                           Setting{"lasso", 60, 40, false}, Setting{"elastic_net", 60, 150},
                                           Setting{"lasso", 60, 150, true, 9}, Setting{"elastic_net", 60, 14, true, 5}));

/// Standardised column j of the training rows.
std::vector<double> standardised(Problem const& d, std::vector<std::uint32_t> const& rows, std::size_t j, double& sd) {
  std::vector<double> z;
  double mean = 0, square = 0;
  for (auto i : rows) {
    mean += d.x[i + j * d.n] / static_cast<double>(rows.size());
  }
  for (auto i : rows) {
    z.push_back(d.x[i + j * d.n] - mean);
    square += z.back() * z.back();
  }
  sd = std::sqrt(square / static_cast<double>(rows.size()));
  for (auto& v : z) {
    v /= sd;
  }
  return z;
}

/// Largest violation of the optimality conditions, of the target's own l1: Xᵀr/n − l2 w is l1 · sign(w) where w is not
/// zero, and within ± l1 elsewhere.
double violation(Problem const& d, Split const& fold, TileResult const& r, std::size_t c, double ratio) {
  auto const& rows = fold.train;
  double const n = static_cast<double>(rows.size()), l1 = r.alpha[c] * ratio, l2 = r.alpha[c] * (1 - ratio);
  std::vector<double> residual;
  for (auto i : rows) {
    double f = r.intercept[c];
    for (std::size_t j = 0; j < d.p; ++j) {
      f += static_cast<double>(d.x[i + j * d.n]) * r.weights[j + c * d.p];
    }
    residual.push_back(d.y[i + c * d.n] - f);
  }
  double worst = 0;
  for (std::size_t j = 0; j < d.p; ++j) {
    double sd = 0;
    auto const z = standardised(d, rows, j, sd);
    double const w = r.weights[j + c * d.p] * sd;
    double const g = std::inner_product(z.begin(), z.end(), residual.begin(), 0.0) / n - l2 * w;
    worst = std::max(worst, w == 0 ? std::abs(g) / l1 - 1 : std::abs(g / l1 - (w > 0 ? 1 : -1)));
  }
  return worst;
}

TEST(Lasso, SolutionsAreOptimal) {
  for (bool near : {false, true}) {
    Problem data(60, 100, 25);
    for (std::size_t j = 50; near && j < 100; ++j) {  // the second half of the features nearly repeats the first
      for (std::size_t i = 0; i < data.n; ++i) {
        float& own = data.x[i + j * data.n];
        own = data.x[i + (j - 50) * data.n] + 1e-3F * own;
      }
    }
    auto const fold = plans(data.n)[0];
    auto const team = serial_team();
    auto const source = data.source();
    for (double ratio : {1.0, 0.4}) {
      for (double alpha : {0.002, 0.05, 0.5}) {
        ModelOptions o = wanted();
        o.alphas = {alpha};
        o.l1_ratio = ratio;
        o.standardize_responses = false;
        TileResult r;
        Workspace work;
        make_elastic_net(o)->prepare({source}, fold, *team, plenty)->tile(data.responses(), r, work);
        for (std::size_t c = 0; c < data.t; ++c) {
          EXPECT_LT(violation(data, fold.outer, r, c, ratio), 2e-3) << near << " " << ratio << " " << alpha << " " << c;
          EXPECT_EQ(r.extra[c], static_cast<double>(data.p - static_cast<std::size_t>(std::count(
                                                                 r.weights.begin() + static_cast<std::ptrdiff_t>(c * data.p),
                                                                 r.weights.begin() + static_cast<std::ptrdiff_t>((c + 1) * data.p), 0.0F))));
        }
      }
    }
  }
}

TEST(Lasso, RelativeAlphaOneLeavesNothingAndLittleLessLeavesOne) {
  Problem const data(50, 20, 15);
  auto const fold = plans(data.n)[2];
  auto const team = serial_team();
  auto const source = data.source();
  for (char const* name : {"lasso", "elastic_net"}) {
    for (double alpha : {1.0, 0.999}) {
      ModelOptions o = wanted();
      o.alphas = {alpha};
      TileResult r;
      Workspace work;
      find_model(name)->make(o)->prepare({source}, fold, *team, plenty)->tile(data.responses(), r, work);
      for (std::size_t c = 0; c < data.t; ++c) {
        EXPECT_EQ(r.extra[c], alpha == 1 ? 0 : 1) << name << " " << c;
      }
      EXPECT_EQ(r.degenerate, alpha == 1 ? data.t : 0);
    }
  }
}

TEST(Lasso, NoiseIsNotPredicted) {
  Problem const features(80, 600, 1, 3), noise(80, 1, 100, 4);
  auto const team = serial_team();
  auto const source = features.source();
  for (char const* name : {"lasso", "elastic_net"}) {
    auto const model = find_model(name)->make(wanted());
    double sum = 0, square = 0;
    std::vector<double> mean(noise.t, 0.0);
    for (auto const& plan : plans(features.n)) {
      TileResult r;
      Workspace work;
      model->prepare({source}, plan, *team, plenty)->tile(noise.responses(), r, work);
      for (std::size_t c = 0; c < noise.t; ++c) {
        mean[c] += r.score[c] / 4;
      }
    }
    for (double v : mean) {
      sum += v;
      square += v * v;
    }
    auto const t = static_cast<double>(noise.t);
    double const se = std::sqrt((square - sum * sum / t) / (t - 1) / t);
    // A training mean leans away from the test rows, so that a null model scores a little below zero.
    EXPECT_LT(sum / t, 3 * se) << name;
    EXPECT_GT(sum / t, -0.06) << name;
  }
}

TEST(Lasso, WithoutAnOuterTestTheInnerScoresAreThoseOfTheFolds) {
  Problem const data(60, 30, 10);
  auto const team = serial_team();
  auto const source = data.source();
  auto const plan = plans(data.n, 0, 4)[0];
  TileResult r;
  Workspace work;
  find_model("lasso")->make(wanted())->prepare({source}, plan, *team, plenty)->tile(data.responses(), r, work);
  for (std::size_t c = 0; c < data.t; ++c) {
    for (std::size_t s = 0; s < 2; ++s) {
      double sum = 0;
      for (std::size_t f = 0; f < 4; ++f) {
        sum += r.inner_score[(f * 2 + s) * data.t + c];
      }
      EXPECT_NEAR(r.score[s * data.t + c], sum / 4, 1e-12);
    }
    EXPECT_GT(r.alpha[c], 0);
  }
}

TEST(Lasso, ConstantFeaturesPredictTheMean) {
  Problem data(40, 3, 5);
  std::fill(data.x.begin(), data.x.end(), 1.0F);
  auto const team = serial_team();
  auto const source = data.source();
  for (double pca : {0.0, 2.0}) {
    auto const fitted = find_model("lasso")->make(wanted())->prepare({source, true, pca}, plans(data.n)[0], *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile(data.responses(), r, work);
    EXPECT_EQ(r.degenerate, data.t);
    EXPECT_EQ(r.edge_high + r.edge_low, 0U);
    EXPECT_EQ(fitted->report().constant_features, 3U);
    for (std::size_t c = 0; c < data.t; ++c) {
      EXPECT_EQ(r.score[c], 0.0);
      EXPECT_EQ(r.extra[c], 0.0);
    }
  }
}

TEST(Lasso, RefusesWhatCannotWork) {
  ModelOptions o;
  EXPECT_THROW((void)make_lasso(o), Error);
  o.alphas = {1, 0};
  EXPECT_THROW((void)make_lasso(o), Error);
  o.alphas = {0.1, 1};
  for (double ratio : {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    o.l1_ratio = ratio;
    EXPECT_THROW((void)make_elastic_net(o), Error) << ratio;
    EXPECT_NO_THROW((void)make_lasso(o));
  }
  o.l1_ratio = 0.5;
  o.inner_score = Score::mse;
  EXPECT_THROW((void)make_lasso(o), Error);
  o.inner_score = Score::r2;
  Problem data(30, 4, 2);
  auto const team = serial_team();
  auto const model = make_lasso(o);
  auto const source = data.source();
  auto const plan = plans(data.n)[0];
  EXPECT_THROW((void)model->prepare({source, true, 2.5}, plan, *team, plenty), Error);
  auto bad = plan;
  bad.inner.clear();
  EXPECT_THROW((void)model->prepare({source}, bad, *team, plenty), Error);
  EXPECT_THROW((void)model->prepare({source, true, 2}, bad, *team, plenty), Error);
  data.x[5] = std::numeric_limits<float>::quiet_NaN();
  auto const broken = data.source();
  EXPECT_THROW((void)model->prepare({broken}, plan, *team, plenty), Error);
}

TEST(Lasso, TooManyFeaturesNameTheRemedy) {
  Problem const data(30, 500, 2);
  auto const team = serial_team();
  auto const source = data.source();
  try {
    (void)find_model("lasso")->make(wanted())->prepare({source}, plans(data.n)[0], *team, 1e6);
    ADD_FAILURE() << "a megabyte is too little";
  } catch (Error const& e) {
    EXPECT_EQ(e.code(), Exit::limit);
    EXPECT_NE(std::string(e.what()).find("features.transform.pca"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace striate
