// What must not change a bit, what must not leak, and what must be refused.
#include <numeric>

#include "models_common.hpp"
#include "striate/base/error.hpp"
#include "striate/models/ridge.hpp"

namespace striate {
namespace {

using namespace testing;

struct Setting {
  char const* model;
  std::size_t n, p;
  bool standardize;
  double pca;
  Selection selection = Selection::folds;
};

void PrintTo(Setting const& s, std::ostream* os) {
  *os << s.model << " " << s.n << "x" << s.p << " " << s.standardize << " " << s.pca;
}

class Property : public ::testing::TestWithParam<Setting> {
 protected:
  static ModelOptions options() {
    ModelOptions o;
    o.alphas = {0.1, 1, 10, 100, 1e3, 1e4};
    o.predictions = o.coefficients = true;
    o.selection = GetParam().selection;
    return o;
  }
  static FoldPlan plan(std::size_t n) {
    CvSpec outer, inner;
    outer.folds = 4;
    inner.folds = 3;
    CvColumns columns;
    columns.rows = n;
    return fold_plans(outer, inner, columns)[1];
  }
  static std::unique_ptr<FittedFold> fit(Setting const& s, Problem const& data, Team& team, double budget = plenty) {
    auto const source = data.source();
    MemorySource const y(data.responses());
    return find_model(s.model)->make(options())->prepare({source, s.standardize, s.pca, data.t, &y}, plan(data.n), team,
                                                         budget);
  }
};

TEST_P(Property, TeamPanelsAndBudgetDoNotChangeBits) {
  Setting const& s = GetParam();
  Problem const data(s.n, s.p, 40);
  auto const serial = serial_team();
  OddTeam odd(3);
  auto const a = fit(s, data, *serial);
  auto const b = fit(s, data, odd, plenty / 10);
  TileResult ra, rb;
  Workspace wa, wb;
  a->tile(data.responses(), ra, wa);
  b->tile(data.responses(), rb, wb);
  EXPECT_TRUE(same_bits(ra.score, rb.score));
  EXPECT_TRUE(same_bits(ra.alpha, rb.alpha));
  EXPECT_TRUE(same_bits(ra.weights, rb.weights));
  EXPECT_TRUE(same_bits(ra.prediction, rb.prediction));
  EXPECT_TRUE(same_bits(ra.intercept, rb.intercept));
}

/// A choice made before gives what choosing gave.
TEST_P(Property, ChosenBeforeOrNowGivesTheSameBits) {
  Setting const& s = GetParam();
  if (!find_model(s.model)->make(options())->fixes_choice()) {
    GTEST_SKIP() << s.model << " chooses anew";
  }
  Problem const data(s.n, s.p, 40);
  auto const team = serial_team();
  auto const fitted = fit(s, data, *team);
  TileResult chosen, given;
  Workspace work;
  fitted->tile(data.responses(), chosen, work);
  auto alpha = chosen.alpha;
  alpha[3] = std::nan("");
  Workspace fresh;  // nothing may be left over from the choosing
  fitted->tile_at(data.responses(), alpha, given, fresh);
  EXPECT_TRUE(std::isnan(given.score[3]));
  given.score[3] = chosen.score[3], given.score[43] = chosen.score[43];
  EXPECT_TRUE(same_bits(chosen.score, given.score));
}

TEST_P(Property, TilesDoNotChangeBits) {
  Setting const& s = GetParam();
  Problem const data(s.n, s.p, 700);
  auto const team = serial_team();
  auto const fitted = fit(s, data, *team);
  TileResult whole;
  Workspace work;
  fitted->tile(data.responses(), whole, work);
  for (std::size_t width : {1UL, 7UL, 64UL, 333UL, 600UL}) {
    TileResult part;
    for (std::size_t first = 0; first < data.t; first += width * 3 + 1) {
      std::size_t const count = std::min(width, data.t - first);
      fitted->tile(data.responses().columns(first, count), part, work);
      for (std::size_t c = 0; c < count; ++c) {
        ASSERT_EQ(part.alpha[c], whole.alpha[first + c]) << "width " << width << " target " << first + c;
        for (std::size_t k = 0; k < 2; ++k) {
          ASSERT_EQ(part.score[k * count + c], whole.score[k * data.t + first + c]) << "width " << width;
        }
        std::size_t const m = fitted->weight_rows();
        ASSERT_EQ(0, std::memcmp(part.weights.data() + c * m, whole.weights.data() + (first + c) * m, m * 4));
      }
    }
  }
}

TEST_P(Property, TestRowsDoNotLeak) {
  Setting const& s = GetParam();
  Problem data(s.n, s.p, 20);
  auto const team = serial_team();
  auto const before = fit(s, data, *team);
  TileResult a, b;
  Workspace work;
  before->tile(data.responses(), a, work);
  for (auto row : plan(s.n).outer.test) {
    for (std::size_t j = 0; j < data.p; ++j) {
      data.x[row + j * data.n] = data.x[row + j * data.n] * 3 - 40;
    }
    for (std::size_t c = 0; c < data.t; ++c) {
      data.y[row + c * data.n] = 100 - data.y[row + c * data.n];
    }
  }
  auto const after = fit(s, data, *team);
  after->tile(data.responses(), b, work);
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_FALSE(same_bits(a.score, b.score));
}

TEST_P(Property, NeighboursOfABadTargetAreUntouched) {
  Setting const& s = GetParam();
  Problem data(s.n, s.p, 12);
  auto const team = serial_team();
  auto const fitted = fit(s, data, *team);
  TileResult a, b;
  Workspace work;
  fitted->tile(data.responses(), a, work);
  data.y[3 + 5 * data.n] = std::numeric_limits<float>::infinity();
  std::fill_n(data.y.begin() + static_cast<std::ptrdiff_t>(8 * data.n), data.n, 2.5F);
  fitted->tile(data.responses(), b, work);
  EXPECT_EQ(b.flag[5], TargetFlag::not_finite);
  EXPECT_EQ(b.flag[8], TargetFlag::constant);
  for (std::size_t c = 0; c < data.t; ++c) {
    bool const bad = c == 5 || c == 8;
    EXPECT_EQ(bad, std::isnan(b.alpha[c]));
    EXPECT_EQ(bad, std::isnan(b.score[c]));
    if (!bad) {
      EXPECT_EQ(a.score[c], b.score[c]);
      EXPECT_EQ(a.alpha[c], b.alpha[c]);
    }
  }
}

TEST_P(Property, MemoryIsAsEstimated) {
  Setting const& s = GetParam();
  Problem const data(s.n * 4, s.p * 4, 8);
  auto const team = serial_team();
  double const held = fit(s, data, *team)->report().shared_bytes;
  double const said = find_model(s.model)
                          ->make(options())
                          ->cost(data.n, data.p, 0, plan(data.n), s.standardize, s.pca, plenty)
                          .shared_kept_bytes;
  EXPECT_LT(held, said * 1.1);
  EXPECT_GT(held, said * 0.8);
}

INSTANTIATE_TEST_SUITE_P(Forms, Property,
                         ::testing::Values(Setting{"ridge", 60, 14, true, 0}, Setting{"ridge", 60, 150, true, 0},
                                           Setting{"ridge", 60, 150, false, 0}, Setting{"ridge", 60, 14, true, 5},
                                           Setting{"ridge", 60, 150, true, 9}, Setting{"ols", 60, 14, true, 0},
                                           Setting{"ols", 60, 150, true, 0}, Setting{"pls", 60, 14, true, 0},
                                           Setting{"pls", 60, 150, true, 0}, Setting{"pls", 60, 150, false, 0},
                                           Setting{"pls", 60, 40, true, 9}, Setting{"cca", 60, 14, true, 0},
                                           Setting{"cca", 60, 150, false, 0}, Setting{"cca", 60, 40, true, 9},
                                           Setting{"pcr", 60, 14, true, 0},
                                           Setting{"pcr", 60, 150, true, 0},
                                           Setting{"ridge", 60, 14, true, 0, Selection::loo},
                                           Setting{"ridge", 60, 150, true, 0, Selection::loo},
                                           Setting{"ridge", 60, 150, false, 9, Selection::loo},
                                           Setting{"ridge", 60, 150, false, 0, Selection::gcv}));

TEST(Ridge, ShortMemoryReadsTheFeaturesSeveralTimes) {
  Problem const data(80, 3000, 30);
  ModelOptions o;
  o.alphas = {1, 10, 100, 1000};
  CvColumns columns;
  columns.rows = data.n;
  auto const plan = fold_plans({}, {}, columns)[0];
  auto const model = make_ridge(o);
  auto const team = serial_team();
  auto const source = data.source();
  auto const cost = model->cost(data.n, data.p, data.t, plan, true, 0, plenty);
  double const tight = (cost.shared_bytes - cost.shared_kept_bytes) * 0.6 + cost.shared_kept_bytes;
  auto const a = model->prepare({source}, plan, *team, plenty), b = model->prepare({source}, plan, *team, tight);
  EXPECT_GT(model->cost(data.n, data.p, data.t, plan, true, 0, tight).read_bytes, cost.read_bytes);
  TileResult ra, rb;
  Workspace work;
  a->tile(data.responses(), ra, work);
  b->tile(data.responses(), rb, work);
  EXPECT_TRUE(same_bits(ra.score, rb.score));
  EXPECT_TRUE(same_bits(ra.alpha, rb.alpha));
  EXPECT_THROW((void)model->prepare({source}, plan, *team, 1e5), Error);
}

TEST(Ridge, WideFeaturesInFloatPanels) {  // p > 4 n: float32 panels summed in float64 agree with float64 throughout
  Problem const wide(64, 2600, 25);
  ModelOptions o;
  o.alphas = {1, 10, 100, 1000, 1e4};
  CvColumns columns;
  columns.rows = wide.n;
  auto const plan = fold_plans({}, {}, columns)[2];
  auto const model = make_ridge(o);
  auto const team = serial_team();
  auto const source = wide.source();
  TileResult r, ols;
  Workspace work;
  model->prepare({source, true}, plan, *team, plenty)->tile(wide.responses(), r, work);
  // The same model as a spectral one of full rank goes through another factorisation.
  model->prepare({source, true, 63}, plan, *team, plenty)->tile(wide.responses(), ols, work);
  for (std::size_t i = 0; i < r.score.size(); ++i) {
    EXPECT_NEAR(r.score[i], ols.score[i], 2e-6);
  }
}

/// Features made of `rank` common factors of equal strength, and `own` of their own.
void mix_factors(Problem& d, std::size_t rank, float own) {
  Problem const factor(d.n, rank, 1, 5), load(rank, d.p, 1, 6);
  for (std::size_t j = 0; j < d.p; ++j) {
    for (std::size_t i = 0; i < d.n; ++i) {
      float sum = own * d.x[i + j * d.n];
      for (std::size_t k = 0; k < rank; ++k) {
        sum += (factor.x[i + k * d.n]) * load.x[k + j * rank];
      }
      d.x[i + j * d.n] = sum;
    }
  }
}

double trace_per_row(Problem const& d) {
  double trace = 0;
  for (std::size_t j = 0; j < d.p; ++j) {
    float const* x = d.x.data() + j * d.n;
    double const mean = std::accumulate(x, x + d.n, 0.0) / static_cast<double>(d.n);
    trace += std::accumulate(x, x + d.n, 0.0, [&](double sum, double v) { return sum + (v - mean) * (v - mean); });
  }
  return trace / static_cast<double>(d.n);
}

double worst_r2(Problem const& d, EncodingModel const& model, double alpha) {
  CvColumns columns;
  columns.rows = d.n;
  auto const plan = fold_plans({}, {}, columns)[1];
  auto const team = serial_team();
  auto const source = d.source();
  TileResult r;
  Workspace work;
  model.prepare({source, false}, plan, *team, plenty)->tile(d.responses(), r, work);
  auto const want = reference_r2(d, plan.outer, alpha);
  double worst = 0;
  for (std::size_t c = 0; c < d.t; ++c) {
    worst = std::max(worst, std::abs(r.score[d.t + c] - want[c]) / std::max(1.0, std::abs(want[c])));
  }
  return worst;
}

TEST(Ols, SteepFeaturesAreLeastSquaresInFloat64) {
  auto const model = make_ols({});
  Problem factor(400, 200, 20);
  mix_factors(factor, 1, 0.02F);
  EXPECT_LT(worst_r2(factor, *model, 0), 1e-5);
  for (auto [n, near] : {std::pair{400UL, 1e-3F}, std::pair{100UL, 1e-4F}}) {
    Problem twins(n, 20, 20);  // the second half of the features nearly repeats the first
    for (std::size_t j = 0; j < 10; ++j) {
      for (std::size_t i = 0; i < n; ++i) {
        float& own = twins.x[i + (j + 10) * n];
        own = twins.x[i + j * n] + near * own;
      }
    }
    EXPECT_LT(worst_r2(twins, *model, 0), 1e-5) << near;
  }
}

TEST(Ridge, SteepKernelsAtSmallAlphasEqualFloat64) {
  Problem data(120, 600, 10);
  mix_factors(data, 30, 0);  // rank 30 but for the rounding of the features
  double const unit = trace_per_row(data);
  for (double relative : {1e-9, 1.6e-6, 1e-4, 1e-2}) {
    ModelOptions o;
    o.alphas = {relative * unit};
    EXPECT_LT(worst_r2(data, *make_ridge(o), o.alphas[0]), 1e-5) << relative;
  }
}

TEST(Ridge, AlphasBelowTheRoundingOfAWideKernelAreDropped) {
  for (bool full : {false, true}) {  // 900² × 5000: products in float32
    Problem data(900, 5000, 4);
    mix_factors(data, full ? 1 : 30, full ? 1.0F : 0.0F);  // full: most of the variance in one factor
    double const unit = trace_per_row(data);
    ModelOptions o;
    o.alphas = {1e-6 * unit, 1e-5 * unit, unit};
    CvColumns columns;
    columns.rows = data.n;
    CvSpec two;
    two.folds = 2;
    auto const plan = fold_plans(two, two, columns)[0];
    auto const team = serial_team();
    auto const source = data.source();
    auto const fitted = make_ridge(o)->prepare({source, false}, plan, *team, plenty);
    EXPECT_EQ(fitted->report().dropped_alphas.size(), full ? 0U : 2U);
  }
}

TEST(Ridge, TooSmallAlphasAreDroppedAndReported) {
  Problem data(40, 20, 10);
  for (std::size_t j = 10; j < 20; ++j) {  // ten features twice: singular
    std::copy_n(data.x.begin() + static_cast<std::ptrdiff_t>((j - 10) * data.n), data.n,
                data.x.begin() + static_cast<std::ptrdiff_t>(j * data.n));
  }
  ModelOptions o;
  o.alphas = {1e-30, 1e-25, 1, 100};
  CvColumns columns;
  columns.rows = data.n;
  auto const plan = fold_plans({}, {}, columns)[0];
  auto const team = serial_team();
  auto const source = data.source();
  auto const fitted = make_ridge(o)->prepare({source}, plan, *team, plenty);
  TileResult r;
  Workspace work;
  fitted->tile(data.responses(), r, work);
  for (std::size_t c = 0; c < data.t; ++c) {
    EXPECT_TRUE(std::isfinite(r.score[c]));
    EXPECT_GE(r.alpha[c], fitted->report().alphas.front());
  }
  EXPECT_EQ(fitted->report().alphas.size() + fitted->report().dropped_alphas.size(), 4U);
}

TEST(Ridge, ConstantPredictionsAreCountedAndScoreZero) {
  Problem data(40, 3, 5);
  std::fill(data.x.begin(), data.x.end(), 1.0F);
  ModelOptions o;
  o.alphas = {1, 10};
  CvColumns columns;
  columns.rows = data.n;
  auto const plan = fold_plans({}, {}, columns)[0];
  auto const team = serial_team();
  auto const source = data.source();
  for (double pca : {0.0, 2.0}) {
    auto const fitted = make_ridge(o)->prepare({source, true, pca}, plan, *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile(data.responses(), r, work);
    EXPECT_EQ(r.degenerate, data.t);
    EXPECT_EQ(r.edge_high, data.t);  // all alphas tie: the larger
    for (std::size_t c = 0; c < data.t; ++c) {
      EXPECT_EQ(r.score[c], 0.0);
    }
    EXPECT_EQ(fitted->report().constant_features, 3U);
  }
}

TEST(Ridge, RefusesWhatCannotWork) {
  Problem data(30, 4, 2);
  ModelOptions o;
  EXPECT_THROW((void)make_ridge(o), Error);
  o.alphas = {1, -1};
  EXPECT_THROW((void)make_ridge(o), Error);
  o.alphas = {1, 2};
  CvColumns columns;
  columns.rows = data.n;
  auto plan = fold_plans({}, {}, columns)[0];
  auto const team = serial_team();
  auto const model = make_ridge(o);
  auto const source = data.source();
  EXPECT_THROW((void)model->prepare({source, true, 2.5}, plan, *team, plenty), Error);
  auto bad = plan;
  bad.inner.clear();
  EXPECT_THROW((void)model->prepare({source}, bad, *team, plenty), Error);
  bad = plan;
  bad.inner[0].test[0] = bad.outer.test[0];
  EXPECT_THROW((void)model->prepare({source}, bad, *team, plenty), Error);
  data.x[5] = std::numeric_limits<float>::quiet_NaN();
  auto const broken = data.source();
  EXPECT_THROW((void)model->prepare({broken}, plan, *team, plenty), Error);
}

TEST(Models, EveryRowOfTheTableLearnsALine) {
  for (auto const& row : models()) {
    Problem data(60, 6, 8);
    for (std::size_t c = 0; c < data.t; ++c) {
      for (std::size_t i = 0; i < data.n; ++i) {
        data.y[i + c * data.n] = 3 * data.x[i + (c % 6) * data.n] - 1;
      }
    }
    ModelOptions o;
    o.alphas = {1e-3, 1};
    CvColumns columns;
    columns.rows = data.n;
    auto const plan = fold_plans({}, {}, columns)[3];
    auto const team = serial_team();
    auto const source = data.source();
    TileResult r;
    Workspace work;
    MemorySource const y(data.responses());
    row.make(o)->prepare({source, true, 0, data.t, &y}, plan, *team, plenty)->tile(data.responses(), r, work);
    for (double s : r.score) {
      EXPECT_GT(s, 0.999) << row.name;
    }
    EXPECT_GT(row.make(o)->cost(60, 6, 8, plan, true, 0, plenty).prepare_flops, 0) << row.name;
  }
}

}  // namespace
}  // namespace striate
