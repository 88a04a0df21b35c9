// pls and pcr against scikit-learn in float64 (tests/golden/make_components.py), and what must not change or leak.
#include <numeric>

#include "models_common.hpp"
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

void expect_close(double got, double want, double tolerance, std::string const& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": got " << got << ", expected NaN";
  } else {
    EXPECT_NEAR(got, want, tolerance) << what;
  }
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

/// Held-out predictions, and coefficients with their intercept, of the first fold.
void check_fits(std::map<std::string, Array> const& g, FittedFold const& fitted, TileResult const& r) {
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols, e = g.at("prediction").rows;
  auto const x = columns(g.at("x"));
  std::vector<float> coef(p * t);
  fitted.coefficients({x.data(), n, p}, 0, {r.weights.data(), fitted.weight_rows(), t}, coef.data());
  for (std::size_t c = 0; c < t; ++c) {
    double size = 1e-9;
    for (std::size_t j = 0; j < p; ++j) {
      size = std::max(size, std::abs(g.at("coef").at(j, c)));
    }
    for (std::size_t j = 0; j < p; ++j) {
      expect_close(coef[j + c * p], g.at("coef").at(j, c), 2e-5 * size, "coefficient " + std::to_string(j));
    }
    double const b = g.at("intercept").at(0, c);
    expect_close(r.intercept[c], b, 1e-4 * (1 + std::abs(b)), "intercept " + std::to_string(c));
    for (std::size_t i = 0; i < e; ++i) {
      double const want = g.at("prediction").at(i, c);
      expect_close(r.prediction[i + c * e], want, 3e-5 * (1 + std::abs(want)), "prediction");
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
    check_fits(g, *fitted, r);
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

}  // namespace
}  // namespace striate
