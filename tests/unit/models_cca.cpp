// cca against the singular vectors of the whitened cross-covariance (tests/golden/make_cca.py, which holds them against
// scikit-learn's CCA), held-out canonical correlations, noise, and what must be refused.
#include "banded_common.hpp"
#include "golden_fits.hpp"
#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"
#include "striate/models/components.hpp"

namespace striate {
namespace {

using namespace testing;

struct Case {
  char const* name;
  std::size_t folds = 4, inner = 3;
  bool standardize = true, scale = true;
  double pca = 0, response_pca = 0;
  Score inner_score = Score::r2;
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

FoldPlan plan_for(Case const& c, std::size_t n, std::size_t fold) {
  CvSpec outer, inner;
  outer.folds = c.folds;
  inner.folds = c.inner;
  outer.kind = c.folds == 0 ? CvSpec::Kind::none : CvSpec::Kind::kfold;
  CvColumns columns;
  columns.rows = n;
  return fold_plans(outer, inner, columns)[fold];
}

class CcaGolden : public ::testing::TestWithParam<Case> {};

TEST_P(CcaGolden, EqualsTheClosedForm) {
  Case const& c = GetParam();
  auto const g = read_golden(c.name, "components");
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  ModelOptions o;
  for (double count : g.at("counts").values) {
    o.components.push_back(static_cast<std::size_t>(count));
  }
  o.alphas = g.at("alphas").values;
  o.response_pca = c.response_pca;
  o.inner_score = c.inner_score;
  o.scores = {Score::pearson, Score::r2, Score::mse};
  o.standardize_responses = c.scale;
  o.predictions = o.coefficients = true;
  MemorySource const source({x.data(), n, p}), responses({y.data(), n, t});
  auto const team = serial_team();
  for (std::size_t fold = 0; fold < g.at("r2").rows; ++fold) {
    auto const fitted =
        make_cca(o)->prepare({source, c.standardize, c.pca, t, &responses}, plan_for(c, n, fold), *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile({y.data(), n, t}, r, work);
    std::string const where = " fold " + std::to_string(fold);
    for (std::size_t j = 0; j < t; ++j) {
      expect_close(r.alpha[j], g.at("components").at(fold, j), 0, "components" + where);
      expect_close(r.extra[j], g.at("penalty").at(fold, j), 1e-9, "penalty" + where);
      char const* names[] = {"pearson", "r2", "mse"};
      for (std::size_t s = 0; s < 3; ++s) {
        double const want = g.at(names[s]).at(fold, j);
        expect_close(r.score[s * t + j], want, 1e-5 * std::max(1.0, std::abs(want)), names[s] + where);
      }
    }
    auto const& pairs = fitted->report().variates;
    ASSERT_EQ(pairs.size(), g.at("canonical").cols);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      expect_close(pairs[i], g.at("canonical").at(fold, i), 1e-6, "canonical correlation" + where);
    }
    if (fold == 0) {
      expect_fits(g, *fitted, r, 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CcaGolden,
                         ::testing::Values(Case{.name = "cca_full"}, Case{.name = "cca_ridge", .response_pca = 5},
                                           Case{.name = "cca_wide", .standardize = false, .response_pca = 0.8},
                                           Case{.name = "cca_many", .response_pca = 10, .inner_score = Score::pearson},
                                           Case{.name = "cca_pca", .scale = false, .pca = 6, .response_pca = 7},
                                           Case{.name = "cca_refit", .folds = 0, .inner = 4, .response_pca = 6}),
                         [](auto const& info) { return std::string(info.param.name); });

/// n × p features, n × t responses; the first `shared` latent variables of the features drive all targets.
struct Latent {
  std::size_t n, p, t;
  std::vector<float> x, y;
  Latent(std::size_t rows, std::size_t features, std::size_t targets, std::size_t shared, double signal,
         std::uint64_t seed)
      : n(rows), p(features), t(targets) {
    Philox random(seed, 1, 0);
    std::vector<double> z(n * std::max<std::size_t>(1, shared));
    for (auto& v : z) {
      v = random.normal();
    }
    auto const fill = [&](std::size_t columns, double gain, std::vector<float>& out) {
      for (std::size_t j = 0; j < columns; ++j) {
        std::vector<double> w(shared);
        for (auto& v : w) {
          v = random.normal();
        }
        for (std::size_t i = 0; i < n; ++i) {
          double v = random.normal();
          for (std::size_t k = 0; k < shared; ++k) {
            v += gain * w[k] * z[i + k * n];
          }
          out.push_back(static_cast<float>(v));
        }
      }
    };
    fill(p, 1, x);
    fill(t, signal, y);
  }
  [[nodiscard]] MatrixView<float const> responses() const { return {y.data(), n, t}; }
  [[nodiscard]] std::unique_ptr<FittedFold> fit(ModelOptions const& o, FoldPlan const& plan, Team& team,
                                                double budget = plenty) const {
    MemorySource const source({x.data(), n, p}), responses_({y.data(), n, t});
    return make_cca(o)->prepare({source, true, 0, t, &responses_}, plan, team, budget);
  }
};

ModelOptions options() {
  ModelOptions o;
  o.alphas = {0.01, 0.1, 1, 10};
  o.relative_alphas = true;
  o.components = {1, 2, 3, 4, 6};
  o.response_pca = 10;
  o.predictions = o.coefficients = true;
  return o;
}

TEST(Cca, SharedVariablesCorrelateInRowsItHasNotSeen) {
  Latent const data(240, 60, 80, 3, 0.5, 3);
  auto const team = serial_team();
  auto const fitted = data.fit(options(), plan_of(data.n, 4, 1), *team);
  auto const& pairs = fitted->report().variates;
  ASSERT_EQ(pairs.size(), 6U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(pairs[i], 0.85) << i;
  }
  for (std::size_t i = 3; i < 6; ++i) {
    EXPECT_LT(std::abs(pairs[i]), 0.5) << i;  // 60 test rows: standard error 0.13
  }
  TileResult r;
  Workspace work;
  fitted->tile(data.responses(), r, work);
  double mean = 0;
  for (std::size_t c = 0; c < data.t; ++c) {
    mean += r.score[c] / static_cast<double>(data.t);
    EXPECT_EQ(r.extra[c], r.extra[0]);
  }
  EXPECT_GT(mean, 0.5);
}

TEST(Cca, NoiseScoresNothingAndCorrelatesWithNothing) {
  std::vector<double> scores, pairs;
  auto const team = serial_team();
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Latent const data(100, 40, 30, 0, 0, 100 + seed);
    for (std::size_t fold = 0; fold < 4; ++fold) {
      auto const fitted = data.fit(options(), plan_of(data.n, 4, fold), *team);
      TileResult r;
      Workspace work;
      fitted->tile(data.responses(), r, work);
      scores.insert(scores.end(), r.score.begin(), r.score.begin() + static_cast<std::ptrdiff_t>(data.t));
      auto const& mine = fitted->report().variates;
      pairs.insert(pairs.end(), mine.begin(), mine.end());
    }
  }
  // Data sets are the draws that are independent: folds of a set share rows, targets share components.
  auto const check = [](std::vector<double> const& all, char const* what) {
    std::size_t const sets = 12, each = all.size() / sets;
    double mean = 0, square = 0;
    std::vector<double> of(sets, 0.0);
    for (std::size_t i = 0; i < all.size(); ++i) {
      of[i / each] += all[i] / static_cast<double>(each);
    }
    for (double v : of) {
      mean += v / 12;
    }
    for (double v : of) {
      square += (v - mean) * (v - mean) / 11;
    }
    EXPECT_LT(std::abs(mean), 3.1 * std::sqrt(square / 12)) << what << ": mean " << mean;  // t with 11 df: p 0.01
    EXPECT_LT(std::abs(mean), 0.05) << what;
  };
  check(scores, "pearson");
  check(pairs, "canonical correlation");
}

TEST(Cca, TestRowsReachNothingButTheirScores) {
  Latent data(80, 30, 20, 2, 0.5, 5);
  auto const team = serial_team();
  auto const plan = plan_of(data.n, 4, 1);
  TileResult a, b;
  Workspace work;
  auto const before = data.fit(options(), plan, *team);
  before->tile(data.responses(), a, work);
  for (auto row : plan.outer.test) {
    data.y[row] = std::numeric_limits<float>::quiet_NaN();  // of target 0
    for (std::size_t c = 1; c < data.t; ++c) {
      data.y[row + c * data.n] = 100 - 3 * data.y[row + c * data.n];
    }
    for (std::size_t j = 0; j < data.p; ++j) {
      data.x[row + j * data.n] = data.x[row + j * data.n] * 3 - 40;
    }
  }
  auto const after = data.fit(options(), plan, *team);
  after->tile(data.responses(), b, work);
  std::size_t const m = before->weight_rows();
  EXPECT_TRUE(same_bits(std::vector<float>(a.weights.begin() + static_cast<std::ptrdiff_t>(m), a.weights.end()),
                        std::vector<float>(b.weights.begin() + static_cast<std::ptrdiff_t>(m), b.weights.end())));
  EXPECT_EQ(b.flag[0], TargetFlag::not_finite);
  EXPECT_EQ(a.extra[1], b.extra[1]);
  EXPECT_NE(a.score[1], b.score[1]);
  EXPECT_NE(before->report().variates, after->report().variates);
  EXPECT_TRUE(std::isfinite(after->report().variates[0]));
}

TEST(Cca, OneSettingNeedsNoInnerFolds) {
  Latent const data(60, 20, 10, 2, 0.5, 6);
  auto const team = serial_team();
  auto plan = plan_of(data.n, 4, 1);
  plan.inner.clear();
  auto o = options();
  o.alphas = {1};
  o.components = {3};
  EXPECT_EQ(make_cca(o)->candidates(), 1U);
  TileResult r;
  Workspace work;
  data.fit(o, plan, *team)->tile(data.responses(), r, work);
  EXPECT_EQ(r.alpha[0], 3);
  o.alphas = {1, 10};
  EXPECT_EQ(make_cca(o)->candidates(), 2U);
  EXPECT_THROW((void)data.fit(o, plan, *team), Error);
}

TEST(Cca, RefusesWhatCannotWork) {
  Latent const data(60, 20, 10, 2, 0.5, 7);
  auto const team = serial_team();
  auto const plan = plan_of(data.n, 4, 1);
  for (double pca : {-1.0, 2.5}) {
    auto o = options();
    o.response_pca = pca;
    EXPECT_THROW((void)make_cca(o), Error);
  }
  auto o = options();
  o.alphas.clear();
  EXPECT_THROW((void)make_cca(o), Error);
  o = options();
  o.components = {0};
  EXPECT_THROW((void)make_cca(o), Error);
  MemorySource const source({data.x.data(), data.n, data.p});
  EXPECT_THROW((void)make_cca(options())->prepare({source, true, 0, data.t}, plan, *team, plenty), Error);
  EXPECT_THROW((void)data.fit(options(), plan, *team, 1e4), Error);
}

}  // namespace
}  // namespace striate
