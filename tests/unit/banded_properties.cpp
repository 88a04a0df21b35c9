// Banded ridge: what must not change a bit, what must not leak, and what must be refused.
#include <numeric>

#include "banded_common.hpp"
#include "striate/base/error.hpp"
#include "striate/models/ridge.hpp"

namespace striate {
namespace {

using namespace testing;

struct Setting {
  std::size_t n;
  std::vector<std::size_t> bands;
  bool standardize, refine = false;
  std::vector<double> pca = {};
};

void PrintTo(Setting const& s, std::ostream* os) {
  *os << s.n << "x" << s.bands.size() << " " << s.standardize << s.refine;
}

class BandedProperty : public ::testing::TestWithParam<Setting> {
 protected:
  Setting const& s = GetParam();
  std::vector<Band> bands = bands_of(s.bands, std::vector<double>(s.bands.size(), s.standardize ? 1 : 0));
  std::size_t p = std::accumulate(s.bands.begin(), s.bands.end(), std::size_t{0});
  FoldPlan plan = plan_of(s.n, 4, 1);
  ModelOptions options = options_of(bands, {0.1, 1, 10, 100, 1e3, 1e4}, 9);

  std::unique_ptr<FittedFold> fit(Problem const& data, Team& team, double budget = plenty) {
    options.refine = s.refine;
    options.band_pca = s.pca;
    auto const source = data.source();
    return make_banded_ridge(options)->prepare({source, s.standardize, 0, 0, nullptr, bands}, plan, team, budget);
  }
  TileResult run(Problem const& data, Team& team, double budget = plenty) {
    TileResult r;
    Workspace work;
    fit(data, team, budget)->tile(data.responses(), r, work);
    return r;
  }
};

TEST_P(BandedProperty, TeamPanelsAndBudgetDoNotChangeBits) {
  Problem const data(s.n, p, 40);
  auto const serial = serial_team();
  OddTeam odd(3);
  auto const a = run(data, *serial), b = run(data, odd, plenty / 100);
  EXPECT_TRUE(same_bits(a.score, b.score));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.prediction, b.prediction));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
}

TEST_P(BandedProperty, TilesDoNotChangeBits) {
  Problem const data(s.n, p, 540);
  auto const team = serial_team();
  auto const fitted = fit(data, *team);
  TileResult whole;
  Workspace work;
  fitted->tile(data.responses(), whole, work);
  std::size_t const m = fitted->weight_rows(), extras = whole.extra.size() / data.t;
  for (std::size_t width : {1UL, 7UL, 130UL, 530UL}) {
    TileResult part;
    for (std::size_t first = 0; first < data.t; first += width * 3 + 1) {
      std::size_t const count = std::min(width, data.t - first);
      fitted->tile(data.responses().columns(first, count), part, work);
      for (std::size_t c = 0; c < count; ++c) {
        ASSERT_EQ(part.alpha[c], whole.alpha[first + c]) << "width " << width << " target " << first + c;
        for (std::size_t e = 0; e < extras; ++e) {
          ASSERT_EQ(part.extra[e * count + c], whole.extra[e * data.t + first + c]);
        }
        ASSERT_EQ(part.score[c], whole.score[first + c]);
        ASSERT_EQ(0, std::memcmp(part.weights.data() + c * m, whole.weights.data() + (first + c) * m, m * 4));
      }
    }
  }
}

TEST_P(BandedProperty, TestRowsDoNotLeak) {
  Problem data(s.n, p, 20);
  auto const team = serial_team();
  auto const a = run(data, *team);
  for (auto row : plan.outer.test) {
    for (std::size_t j = 0; j < data.p; ++j) {
      data.x[row + j * data.n] = data.x[row + j * data.n] * 3 - 40;
    }
    for (std::size_t c = 0; c < data.t; ++c) {
      data.y[row + c * data.n] = 100 - data.y[row + c * data.n];
    }
  }
  auto const b = run(data, *team);
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_FALSE(same_bits(a.score, b.score));
}

TEST_P(BandedProperty, NeighboursOfABadTargetAreUntouched) {
  Problem data(s.n, p, 12);
  auto const team = serial_team();
  auto const a = run(data, *team);
  data.y[3 + 5 * data.n] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(data.y.begin() + static_cast<std::ptrdiff_t>(8 * data.n), data.n, 2.5F);
  auto const b = run(data, *team);
  EXPECT_EQ(b.flag[5], TargetFlag::not_finite);
  EXPECT_EQ(b.flag[8], TargetFlag::constant);
  for (std::size_t c = 0; c < data.t; ++c) {
    for (std::size_t e = 0; e < a.extra.size() / data.t; ++e) {
      double const was = a.extra[e * data.t + c], is = b.extra[e * data.t + c];
      EXPECT_TRUE(c == 5 || c == 8 ? std::isnan(is) && std::isnan(b.score[c]) : was == is) << c;
    }
    EXPECT_TRUE(c == 5 || c == 8 || a.score[c] == b.score[c]);
  }
}

TEST_P(BandedProperty, SharesSumToTheScores) {
  Problem const data(s.n, p, 30);
  auto const team = serial_team();
  auto const r = run(data, *team);
  std::size_t const m = bands.size();
  for (std::size_t c = 0; c < data.t; ++c) {
    double gamma = 0, r2 = 0, pearson = 0;
    for (std::size_t b = 0; b < m; ++b) {
      gamma += r.extra[b * data.t + c];
      r2 += r.extra[(m + b) * data.t + c];
      pearson += r.extra[(2 * m + b) * data.t + c];
    }
    EXPECT_NEAR(gamma, 1, 1e-12);
    EXPECT_NEAR(pearson, r.score[c], 1e-10);
    EXPECT_NEAR(r2, r.score[data.t + c], 1e-10 * (1 + std::abs(r2)));
  }
}

TEST_P(BandedProperty, MemoryIsAsEstimated) {
  Problem const data(s.n, p, 8);
  auto const team = serial_team();
  double const held = fit(data, *team)->report().shared_bytes;
  options.refine = s.refine;
  options.band_pca = s.pca;
  double const said = make_banded_ridge(options)->cost(data.n, p, 0, plan, s.standardize, 0, plenty).shared_kept_bytes;
  EXPECT_LT(held, said * 1.1);
  EXPECT_GT(held, said * 0.5);  // the skeleton may need fewer alphas
  EXPECT_THROW((void)fit(data, *team, held / 2), Error);
}

INSTANTIATE_TEST_SUITE_P(Forms, BandedProperty,
                         ::testing::Values(Setting{60, {6, 8}, true}, Setting{60, {900, 700, 40}, true},
                                           Setting{60, {90, 60}, false}, Setting{300, {1500, 30}, true},
                                           Setting{60, {6, 8}, true, true}, Setting{60, {200, 300, 40}, true, true},
                                           Setting{60, {90, 60}, false, true},
                                           Setting{60, {90, 60}, false, false, {7, 0}},
                                           Setting{60, {200, 300, 40}, true, true, {10, 0.7, 0}}));

TEST(Banded, ShortMemoryReadsTheFeaturesSeveralTimes) {
  Problem const data(80, 3000, 30);
  auto const bands = bands_of({1300, 1700});
  auto const team = serial_team();
  auto const source = data.source();
  auto const plan = plan_of(data.n, 5, 0);
  auto const model = make_banded_ridge(options_of(bands, {1, 10, 100, 1000}, 6));
  auto const cost = model->cost(data.n, data.p, data.t, plan, true, 0, plenty);
  double const tight = (cost.shared_bytes - cost.shared_kept_bytes) * 0.6 + cost.shared_kept_bytes;
  EXPECT_GT(model->cost(data.n, data.p, data.t, plan, true, 0, tight).read_bytes, cost.read_bytes);
  TileResult a, b;
  Workspace work;
  model->prepare({source, true, 0, 0, nullptr, bands}, plan, *team, plenty)->tile(data.responses(), a, work);
  model->prepare({source, true, 0, 0, nullptr, bands}, plan, *team, tight)->tile(data.responses(), b, work);
  EXPECT_TRUE(same_bits(a.score, b.score));
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  EXPECT_TRUE(same_bits(a.weights, b.weights));
}

TEST(Banded, OfOneBandIsRidge) {
  for (auto [p, standardize] : {std::pair{12UL, true}, std::pair{150UL, true}, std::pair{150UL, false}}) {
    Problem const data(60, p, 30);
    auto const team = serial_team();
    auto const source = data.source();
    auto const plan = plan_of(data.n, 4, 2);
    ModelOptions const o = options_of(bands_of({p}), {0.1, 1, 10, 100, 1e3, 1e4}, 20);
    TileResult a, b;
    Workspace work;
    make_ridge(o)->prepare({source, standardize}, plan, *team, plenty)->tile(data.responses(), a, work);
    Design const design{source, standardize, 0, 0, nullptr, bands_of({p}, {standardize ? 1.0 : 0.0})};
    make_banded_ridge(o)->prepare(design, plan, *team, plenty)->tile(data.responses(), b, work);
    EXPECT_TRUE(same_bits(a.alpha, b.alpha));
    for (std::size_t i = 0; i < a.score.size(); ++i) {
      EXPECT_NEAR(a.score[i], b.score[i], 2e-6 * (1 + std::abs(a.score[i])));
    }
  }
}

TEST(Banded, AVertexIsRidgeOnThatBand) {  // gamma 0 leaves a band out
  Problem const data(80, 40, 40);         // 15 columns make the first band
  auto const team = serial_team();
  auto const source = data.source();
  auto const plan = plan_of(data.n, 4, 0);
  auto const bands = bands_of({15, 25});
  ModelOptions const o = options_of(bands, {1, 10, 100, 1e3}, 3);
  TileResult joint, alone[2];
  Workspace work;
  make_banded_ridge(o)->prepare({source, true, 0, 0, nullptr, bands}, plan, *team, plenty)->tile(data.responses(), joint, work);
  MemorySource const parts[] = {MemorySource({data.x.data(), data.n, 15}),
                                MemorySource({data.x.data() + 15 * data.n, data.n, 25})};
  for (int b = 0; b < 2; ++b) {
    make_ridge(o)->prepare({parts[b]}, plan, *team, plenty)->tile(data.responses(), alone[b], work);
  }
  std::size_t found = 0;
  for (std::size_t c = 0; c < data.t; ++c) {
    for (std::size_t b = 0; b < 2; ++b) {
      if (joint.extra[b * data.t + c] == 1) {
        ++found;
        EXPECT_EQ(joint.alpha[c], alone[b].alpha[c]);
        EXPECT_NEAR(joint.score[c], alone[b].score[c], 3e-6);
        EXPECT_EQ(joint.extra[(3 - b) * data.t + c], 0.0) << "r2 of the band that is left out";
      }
    }
  }
  EXPECT_GT(found, 0U);
}

TEST(Banded, NoiseScoresNothing) {
  Problem data(60, 400, 300);
  data.y = Problem(60, 300, 1, 77).x;  // columns that have nothing to do with the features
  auto const bands = bands_of({250, 150});
  auto const team = serial_team();
  auto const source = data.source();
  double sum = 0, square = 0;
  Workspace work;
  for (std::size_t fold = 0; fold < 4; ++fold) {
    TileResult r;
    make_banded_ridge(options_of(bands, {1, 100, 1e4}, 10))
        ->prepare({source, true, 0, 0, nullptr, bands}, plan_of(data.n, 4, fold), *team, plenty)
        ->tile(data.responses(), r, work);
    for (std::size_t c = 0; c < data.t; ++c) {
      sum += r.score[c];
      square += r.score[c] * r.score[c];
    }
  }
  double const count = 4.0 * 300, mean = sum / count;
  EXPECT_LT(std::abs(mean), 4 * std::sqrt(square / count / count)) << mean;
}

TEST(Banded, RefusesWhatCannotWork) {
  Problem data(30, 6, 2);
  auto const bands = bands_of({2, 4});
  ModelOptions o = options_of(bands, {}, 5);
  EXPECT_THROW((void)make_banded_ridge(o), Error);
  o.alphas = {1, 0};
  EXPECT_THROW((void)make_banded_ridge(o), Error);
  o.alphas = {1, 10};
  o.n_iter = 0;
  EXPECT_THROW((void)make_banded_ridge(o), Error);
  o.n_iter = 5;
  auto const model = make_banded_ridge(o);
  auto const source = data.source();
  auto const team = serial_team();
  auto plan = plan_of(data.n, 4, 0);
  auto const refused = [&](Design const& design, FoldPlan const& p) {
    EXPECT_THROW((void)model->prepare(design, p, *team, plenty), Error);
  };
  refused({source, true, 2, 0, nullptr, bands}, plan);             // pca of all bands together
  o.band_pca = {1.5, 0};
  EXPECT_THROW((void)make_banded_ridge(o), Error);
  o.band_pca = {};
  refused({source, true, 0, 0, nullptr, bands_of({2, 3})}, plan);  // a column too few
  refused({source, true, 0, 0, nullptr, bands_of({2, 0, 4})}, plan);
  refused({source, true, 0, 0, nullptr, bands_of({6})}, plan);
  EXPECT_THROW((void)model->cost(30, 6, 2, plan, true, 2, plenty), Error);
  plan.inner.clear();
  refused({source, true, 0, 0, nullptr, bands}, plan);
  data.x[4 * 30 + 20] = std::numeric_limits<float>::quiet_NaN();
  auto const broken = data.source();
  try {
    (void)model->prepare({broken, true, 0, 0, nullptr, bands}, plan_of(data.n, 4, 0), *team, plenty);
    FAIL();
  } catch (Error const& e) {
    EXPECT_NE(std::string(e.what()).find("feature 2 of b1"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace striate
