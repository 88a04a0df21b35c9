// The best single unit: against numpy in float64 (tests/golden/make_univariate.py), what must not change a bit, what must
// not leak, and what must be refused.
#include <numeric>

#include "models_common.hpp"
#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"
#include "striate/models/univariate.hpp"

namespace striate {
namespace {

using namespace testing;

std::vector<FoldPlan> plans(std::size_t n, std::size_t folds = 4, std::size_t inner_folds = 3) {
  CvSpec outer, inner;
  outer.folds = folds;
  inner.folds = inner_folds;
  outer.kind = folds == 0 ? CvSpec::Kind::none : CvSpec::Kind::kfold;
  CvColumns columns;
  columns.rows = n;
  return fold_plans(outer, inner, columns);
}

std::vector<float> normals(std::size_t count, std::uint64_t stream) {
  Philox draw(stream, 7, 0);
  std::vector<float> values(count);
  for (float& v : values) {
    v = static_cast<float>(draw.normal());
  }
  return values;
}

ModelOptions everything() {
  ModelOptions o;
  o.scores = {Score::pearson, Score::r2, Score::mse};
  o.predictions = o.coefficients = true;
  return o;
}

void expect_close(double got, double want, double tolerance, std::string const& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": got " << got << ", expected NaN";
  } else {
    EXPECT_NEAR(got, want, tolerance) << what;
  }
}

struct Case {
  char const* name;
  bool absolute = true, scaled = false;
  std::size_t folds = 4;
};
void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }
class UnivariateGolden : public ::testing::TestWithParam<Case> {};

void check_model(std::map<std::string, Array> const& g, FittedFold const& fitted, TileResult const& r) {
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  auto const x = columns(g.at("x"));
  std::vector<float> coef(p * t);
  for (std::size_t first = 0; first < p; first += 7) {  // panels of a layer
    std::size_t const count = std::min<std::size_t>(7, p - first);
    std::vector<float> part(count * t);
    fitted.coefficients({x.data() + first * n, n, count}, first, {r.weights.data(), fitted.weight_rows(), t},
                        part.data());
    for (std::size_t c = 0; c < t; ++c) {
      std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(c * count), count,
                  coef.begin() + static_cast<std::ptrdiff_t>(c * p + first));
    }
  }
  for (std::size_t c = 0; c < t; ++c) {
    for (std::size_t j = 0; j < p; ++j) {
      double const want = g.at("coef").at(j, c);
      expect_close(coef[j + c * p], want, 2e-6 * std::abs(want), "coefficient " + std::to_string(j));
    }
    double const b = g.at("intercept").at(0, c);
    expect_close(r.intercept[c], b, 2e-6 * (1 + std::abs(b)), "intercept " + std::to_string(c));
  }
  if (!g.contains("prediction")) {
    return;
  }
  for (std::size_t c = 0, e = g.at("prediction").rows; c < t; ++c) {
    for (std::size_t i = 0; i < e; ++i) {
      double const want = g.at("prediction").at(i, c);
      expect_close(r.prediction[i + c * e], want, 3e-6 * (1 + std::abs(want)), "prediction");
    }
  }
}

TEST_P(UnivariateGolden, EqualsNumpy) {
  Case const& c = GetParam();
  auto const g = read_golden(c.name, "univariate");
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  ModelOptions options = everything();
  options.standardize_responses = c.scaled;
  options.absolute = c.absolute;
  auto const model = make_univariate(options);
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  auto const all = plans(n, c.folds);
  for (std::size_t fold = 0; fold < all.size(); ++fold) {
    auto const fitted = model->prepare({source}, all[fold], *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile({y.data(), n, t}, r, work);
    for (std::size_t k = 0; k < t; ++k) {
      std::string const where = " fold " + std::to_string(fold) + " target " + std::to_string(k);
      expect_close(r.alpha[k], g.at("unit").at(fold, k), 0, "unit" + where);
      expect_close(r.extra[k], g.at("correlation").at(fold, k), 1e-7, "correlation" + where);
      char const* names[] = {"pearson", "r2", "mse"};
      for (std::size_t s = 0; s < 3; ++s) {
        double const want = g.at(names[s]).at(fold, k);
        expect_close(r.score[s * t + k], want, 2e-6 * std::max(1.0, std::abs(want)), names[s] + where);
      }
    }
    if (fold == 0) {
      check_model(g, *fitted, r);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, UnivariateGolden,
                         ::testing::Values(Case{"narrow"}, Case{"wide"}, Case{.name = "signed", .absolute = false},
                                           Case{.name = "scaled", .scaled = true},
                                           Case{.name = "all_rows", .scaled = true, .folds = 0}),
                         [](auto const& info) { return std::string(info.param.name); });

struct Fitting {
  std::unique_ptr<FittedFold> fold;
  TileResult result;
  Workspace work;
  Fitting(Problem const& d, Team& team, double budget = plenty, std::size_t folds = 4, bool absolute = true) {
    ModelOptions o = everything();
    o.absolute = absolute;
    auto const source = d.source();
    fold = make_univariate(o)->prepare({source}, plans(d.n, folds).back(), team, budget);
    fold->tile(d.responses(), result, work);
  }
};

void expect_same_bits(TileResult const& a, TileResult const& b) {
  EXPECT_TRUE(same_bits(a.score, b.score));
  EXPECT_TRUE(same_bits(a.inner_score, b.inner_score));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.prediction, b.prediction));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
}

TEST(Univariate, TeamAndPanelsDoNotChangeBits) {
  Problem const data(60, 1700, 40);
  auto const serial = serial_team();
  OddTeam odd(3);
  for (std::size_t folds : {4UL, 0UL}) {
    Fitting const a(data, *serial, plenty, folds);
    Fitting const b(data, odd, a.fold->report().shared_bytes + 1e5, folds);  // panels of 96 columns
    expect_same_bits(a.result, b.result);
    EXPECT_GT(std::accumulate(a.result.alpha.begin(), a.result.alpha.end(), 0.0), 800.0);  // beyond the first strip
  }
}

TEST(Univariate, TilesDoNotChangeBits) {
  Problem const data(60, 900, 700);
  auto const team = serial_team();
  Fitting const whole(data, *team);
  auto const& w = whole.result;
  TileResult part;
  Workspace work;
  for (std::size_t width : {1UL, 7UL, 333UL, 600UL}) {
    for (std::size_t first = 0; first < data.t; first += width * 3 + 1) {
      std::size_t const count = std::min(width, data.t - first);
      whole.fold->tile(data.responses().columns(first, count), part, work);
      for (std::size_t c = 0; c < count; ++c) {
        ASSERT_EQ(part.alpha[c], w.alpha[first + c]) << "width " << width << " target " << first + c;
        ASSERT_EQ(part.extra[c], w.extra[first + c]);
        for (std::size_t s = 0; s < 3; ++s) {
          ASSERT_EQ(part.score[s * count + c], w.score[s * data.t + first + c]);
        }
        ASSERT_EQ(0, std::memcmp(part.weights.data() + c * 3, w.weights.data() + (first + c) * 3, 12));
      }
    }
  }
}

TEST(Univariate, NeighboursOfABadTargetAreUntouched) {
  Problem data(60, 50, 12);
  auto const team = serial_team();
  Fitting const a(data, *team);
  data.y[3 + 5 * data.n] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(data.y.begin() + static_cast<std::ptrdiff_t>(8 * data.n), data.n, 2.5F);
  Fitting const b(data, *team);
  EXPECT_EQ(b.result.flag[5], TargetFlag::not_finite);
  EXPECT_EQ(b.result.flag[8], TargetFlag::constant);
  std::vector<float> coef(data.p * data.t);
  b.fold->coefficients({data.x.data(), data.n, data.p}, 0, {b.result.weights.data(), 3, data.t}, coef.data());
  for (std::size_t c = 0; c < data.t; ++c) {
    bool const bad = c == 5 || c == 8;
    for (double value : {b.result.alpha[c], b.result.extra[c], b.result.score[c], static_cast<double>(coef[c * data.p]),
                         b.result.intercept[c]}) {
      EXPECT_EQ(bad, std::isnan(value));
    }
    if (!bad) {
      EXPECT_EQ(a.result.score[c], b.result.score[c]);
      EXPECT_EQ(a.result.alpha[c], b.result.alpha[c]);
    }
  }
}

TEST(Univariate, TestRowsDoNotLeak) {
  Problem data(60, 80, 20);
  auto const team = serial_team();
  Fitting const a(data, *team);
  auto const test = plans(data.n).back().outer.test;
  for (auto row : test) {
    for (std::size_t j = 0; j < data.p; ++j) {
      data.x[row + j * data.n] = data.x[row + j * data.n] * 3 - 40;
    }
    for (std::size_t c = 0; c < data.t; ++c) {
      data.y[row + c * data.n] = 100 - data.y[row + c * data.n];
    }
  }
  Fitting const b(data, *team);
  EXPECT_TRUE(same_bits(a.result.weights, b.result.weights));
  EXPECT_TRUE(same_bits(a.result.intercept, b.result.intercept));
  EXPECT_TRUE(same_bits(a.result.alpha, b.result.alpha));
  EXPECT_FALSE(same_bits(a.result.score, b.result.score));
}

TEST(Univariate, TiesGoToTheLowerUnit) {
  Problem data(60, 200, 10);
  for (std::size_t j = 100; j < 200; ++j) {  // every unit again, doubled or turned round
    for (std::size_t i = 0; i < data.n; ++i) {
      data.x[i + j * data.n] = (j % 2 == 0 ? 2.0F : -1.0F) * data.x[i + (j - 100) * data.n];
    }
  }
  auto const team = serial_team();
  for (double unit : Fitting(data, *team).result.alpha) {
    EXPECT_LT(unit, 100);
  }
  std::size_t turned = 0;
  Fitting const up(data, *team, plenty, 4, false);
  for (std::size_t c = 0; c < data.t; ++c) {
    EXPECT_GT(up.result.extra[c], 0);
    turned += up.result.alpha[c] >= 100 ? 1 : 0;
  }
  EXPECT_GT(turned, 0U);
}

/// Units that float32 products cannot tell apart: the one that float64 finds.
TEST(Univariate, NearTiesAreSettledInDouble) {
  std::size_t const n = 400, p = 300, t = 24;
  auto x = normals(n * p, 3);
  auto const y = normals(n * t, 4);
  for (std::size_t j = 1; j < p; ++j) {
    for (std::size_t i = 0; i < n; ++i) {
      x[i + j * n] = x[i] + 3e-6F * x[i + j * n];
    }
  }
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  auto const plan = plans(n)[0];
  TileResult r;
  Workspace work;
  make_univariate({})->prepare({source}, plan, *team, plenty)->tile({y.data(), n, t}, r, work);
  auto const correlation = [&](std::size_t j, std::size_t c) {
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (auto i : plan.outer.train) {
      mx += x[i + j * n] / static_cast<double>(plan.outer.train.size());
      my += y[i + c * n] / static_cast<double>(plan.outer.train.size());
    }
    for (auto i : plan.outer.train) {
      double const a = x[i + j * n] - mx, b = y[i + c * n] - my;
      xx += a * a, yy += b * b, xy += a * b;
    }
    return std::abs(xy / std::sqrt(xx * yy));
  };
  for (std::size_t c = 0; c < t; ++c) {
    double best = 0;
    for (std::size_t j = 0; j < p; ++j) {
      best = std::max(best, correlation(j, c));
    }
    EXPECT_LT(best - correlation(static_cast<std::size_t>(r.alpha[c]), c), 2e-8) << c;
  }
}

TEST(Univariate, UnitsThatNeverVaryAreNoChoice) {
  Problem data(40, 3, 5);
  std::fill(data.x.begin(), data.x.end(), 1.0F);
  auto const team = serial_team();
  Fitting const none(data, *team);
  EXPECT_EQ(none.result.degenerate, data.t);
  EXPECT_EQ(none.fold->report().constant_features, 3U);
  for (std::size_t c = 0; c < data.t; ++c) {
    EXPECT_TRUE(std::isnan(none.result.alpha[c]));
    EXPECT_EQ(none.result.score[c], 0.0);
    EXPECT_EQ(none.result.weights[c * 3 + 2], 0.0F);
  }
  std::iota(data.x.begin() + static_cast<std::ptrdiff_t>(data.n), data.x.begin() + static_cast<std::ptrdiff_t>(2 * data.n), 0.0F);
  for (bool absolute : {true, false}) {
    for (double unit : Fitting(data, *team, plenty, 4, absolute).result.alpha) {
      EXPECT_EQ(unit, 1.0);
    }
  }
}

TEST(Univariate, MemoryIsAsEstimatedAndKept) {
  Problem const data(240, 700, 8);
  auto const team = serial_team();
  auto const source = data.source();
  auto const model = make_univariate({});
  auto const plan = plans(data.n)[1];
  double const said = model->cost(data.n, data.p, 0, plan, true, 0, plenty).shared_kept_bytes;
  auto const fold = model->prepare({source}, plan, *team, said);
  EXPECT_EQ(fold->report().shared_bytes, said);
  EXPECT_LT(said, 1.1 * 4 * static_cast<double>(data.n * data.p));
  try {
    (void)model->prepare({source}, plan, *team, said - 1);
    FAIL() << "did not fit but went on";
  } catch (Error const& error) {
    EXPECT_EQ(error.code(), Exit::limit);
    EXPECT_NE(std::string(error.what()).find(std::to_string(static_cast<long>(said)) + " bytes"), std::string::npos)
        << error.what();
  }
}

TEST(Univariate, RefusesWhatCannotWork) {
  Problem data(30, 4, 2);
  auto const team = serial_team();
  auto const model = make_univariate({});
  auto const source = data.source();
  auto const plan = plans(data.n)[0];
  EXPECT_THROW((void)model->prepare({source, true, 2}, plan, *team, plenty), Error);
  EXPECT_THROW((void)model->cost(data.n, data.p, data.t, plan, true, 0.9, plenty), Error);
  auto all = plans(data.n, 0)[0];
  all.inner.clear();
  EXPECT_THROW((void)model->prepare({source}, all, *team, plenty), Error);
  MemorySource const empty({data.x.data(), data.n, 0});
  EXPECT_THROW((void)model->prepare({empty}, plan, *team, plenty), Error);
  data.x[5] = std::numeric_limits<float>::infinity();
  auto const broken = data.source();
  EXPECT_THROW((void)model->prepare({broken}, plan, *team, plenty), Error);
}

}  // namespace
}  // namespace striate
