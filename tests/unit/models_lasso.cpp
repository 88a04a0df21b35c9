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
    auto const fitted = model->prepare({source, c.standardize}, all[fold], *team, plenty);
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
                      Case{.name = "collinear", .relative = true}),
    [](auto const& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace striate
