// Against scikit-learn in float64 (tests/golden/make_ridge.py).
#include "models_common.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

using namespace testing;

struct Case {
  char const* name;
  char const* model = "ridge";
  std::size_t folds = 4, inner = 3;  // 0 folds: none; groups where the record holds them
  bool standardize = true;
  double pca = 0;
  Score inner_score = Score::r2;
  bool relative = false;
  char const* form = nullptr;  // expected of the planner
  Selection selection = Selection::folds;
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

class Golden : public ::testing::TestWithParam<Case> {};

std::vector<FoldPlan> plans_of(Case const& c, std::map<std::string, Array> const& g) {
  CvSpec outer, inner;
  outer.folds = c.folds;
  inner.folds = c.inner;
  CvColumns columns;
  columns.rows = g.at("x").rows;
  if (c.folds == 0) {
    outer.kind = CvSpec::Kind::none;
  }
  if (g.count("groups") != 0) {
    outer.kind = inner.kind = CvSpec::Kind::group;
    outer.folds = inner.folds = 0;
    for (double v : g.at("groups").values) {
      columns.group.push_back(std::to_string(static_cast<int>(v)));
    }
  }
  return fold_plans(outer, inner, columns);
}

void expect_close(double got, double want, double tolerance, std::string const& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": got " << got << ", expected NaN";
  } else {
    EXPECT_NEAR(got, want, tolerance) << what;
  }
}

void check_fold(std::map<std::string, Array> const& g, TileResult const& r, std::size_t fold, std::size_t t) {
  char const* names[] = {"pearson", "r2", "mse"};
  for (std::size_t c = 0; c < t; ++c) {
    std::string const where = " fold " + std::to_string(fold) + " target " + std::to_string(c);
    double const alpha = g.at("alpha").at(fold, c);
    expect_close(r.alpha[c], alpha, 1e-6 * alpha, "alpha" + where);
    for (std::size_t s = 0; s < 3; ++s) {
      double const want = g.at(names[s]).at(fold, c);
      expect_close(r.score[s * t + c], want, 1e-5 * (s == 2 ? std::abs(want) : std::max(1.0, std::abs(want))),
                   names[s] + where);
    }
  }
}

void check_weights(std::map<std::string, Array> const& g, FittedFold const& fitted, TileResult const& r,
                   std::vector<float> const& x) {
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  std::vector<float> coef(p * t);
  std::size_t const half = p / 2;  // in two panels
  for (auto [first, count] : {std::pair{std::size_t{0}, half}, std::pair{half, p - half}}) {
    std::vector<float> part(count * t);
    fitted.coefficients({x.data() + first * n, n, count}, first, {r.weights.data(), fitted.weight_rows(), t},
                        part.data());
    for (std::size_t c = 0; c < t; ++c) {
      std::copy_n(part.data() + c * count, count, coef.data() + c * p + first);
    }
  }
  for (std::size_t c = 0; c < t; ++c) {
    double size = 0;
    for (std::size_t j = 0; j < p; ++j) {
      size = std::max(size, std::abs(g.at("coef").at(j, c)));
    }
    for (std::size_t j = 0; j < p; ++j) {
      expect_close(coef[j + c * p], g.at("coef").at(j, c), 2e-5 * size + 1e-9, "coefficient " + std::to_string(j));
    }
    double const b = g.at("intercept").at(0, c);
    // Large coefficients that cancel (collinear features) leave their float32 rounding in it.
    expect_close(r.intercept[c], b, 1e-4 * (1 + std::abs(b)) + 1e-6 * size, "intercept " + std::to_string(c));
  }
}

TEST_P(Golden, EqualsScikitLearn) {
  Case const& c = GetParam();
  auto const g = read_golden(c.name);
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  ModelOptions options;
  options.alphas = g.at("alphas").values;
  options.relative_alphas = c.relative;
  options.selection = c.selection;
  options.inner_score = c.inner_score;
  options.scores = {Score::pearson, Score::r2, Score::mse};
  options.standardize_responses = false;
  options.predictions = options.coefficients = true;
  auto const model = find_model(c.model)->make(options);
  MemorySource const source({x.data(), n, p});
  auto const plans = plans_of(c, g);
  auto const team = serial_team();
  ASSERT_EQ(plans.size(), g.at("alpha").rows);
  for (std::size_t fold = 0; fold < plans.size(); ++fold) {
    auto const fitted = model->prepare({source, c.standardize, c.pca}, plans[fold], *team, plenty);
    if (c.form != nullptr) {
      EXPECT_EQ(fitted->report().form, c.form);
    }
    TileResult r;
    Workspace work;
    fitted->tile({y.data(), n, t}, r, work);
    check_fold(g, r, fold, t);
    if (fold == 0) {
      check_weights(g, *fitted, r, x);
      for (std::size_t i = 0; i < plans[0].outer.test.size(); ++i) {
        for (std::size_t k = 0; k < t; ++k) {
          double const want = g.at("prediction").at(i, k);
          expect_close(r.prediction[i + k * plans[0].outer.test.size()], want, 3e-5 * (1 + std::abs(want)),
                       "prediction");
        }
      }
      for (std::size_t i = 0; g.count("fold_r2") != 0 && i < plans[0].inner.size(); ++i) {
        for (std::size_t k = 0; k < t; ++k) {
          expect_close(r.inner_score[(i * 3 + 1) * t + k], g.at("fold_r2").at(i, k), 1e-5, "inner r2");
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Golden,
    ::testing::Values(
        Case{.name = "primal", .form = "primal"}, Case{.name = "primal_plain", .standardize = false, .form = "primal"},
        Case{.name = "dual", .form = "dual"},
        Case{.name = "dual_plain", .standardize = false, .form = "dual block-inverse"},
        Case{.name = "dual_dense", .standardize = false, .inner_score = Score::pearson, .form = "dual block-inverse"},
        Case{.name = "primal_dense", .inner_score = Score::pearson, .form = "primal"},
        Case{.name = "pca_count", .pca = 6, .form = "spectral dual"},
        Case{.name = "pca_share", .pca = 0.9, .form = "spectral primal"},
        Case{.name = "pca_relative", .pca = 5, .relative = true}, Case{.name = "groups"},
        Case{.name = "groups_plain", .standardize = false, .form = "dual block-inverse"},
        Case{.name = "relative", .relative = true},
        Case{.name = "relative_plain", .standardize = false, .relative = true},
        Case{.name = "refit_primal", .folds = 0, .inner = 4},
        Case{.name = "refit_dual", .folds = 0, .inner = 4, .standardize = false},
        Case{.name = "ols_deficient", .model = "ols", .standardize = false, .form = "spectral primal"},
        Case{.name = "ols_duplicate", .model = "ols"},
        Case{.name = "ols_collinear", .model = "ols", .standardize = false, .form = "spectral primal"},
        Case{.name = "ols_wide", .model = "ols", .form = "spectral dual"}),
    [](auto const& info) { return std::string(info.param.name); });

constexpr Selection loo = Selection::loo, gcv = Selection::gcv;

// tests/golden/make_selection.py
INSTANTIATE_TEST_SUITE_P(
    Selection, Golden,
    ::testing::Values(
        Case{.name = "loo_primal", .folds = 3, .form = "spectral primal", .selection = loo},
        Case{.name = "loo_primal_plain", .folds = 3, .standardize = false, .inner_score = Score::pearson,
             .selection = loo},
        Case{.name = "loo_dual", .folds = 3, .form = "spectral dual", .selection = loo},
        Case{.name = "loo_dual_plain", .folds = 3, .standardize = false, .inner_score = Score::pearson,
             .selection = loo},
        Case{.name = "loo_pca", .folds = 3, .pca = 6, .selection = loo},
        Case{.name = "loo_small", .folds = 3, .selection = loo}, Case{.name = "loo_twice", .folds = 3, .selection = loo},
        Case{.name = "loo_refit", .folds = 0, .standardize = false, .selection = loo},
        Case{.name = "gcv_primal", .folds = 3, .selection = gcv},
        Case{.name = "gcv_dual", .folds = 3, .standardize = false, .selection = gcv},
        Case{.name = "gcv_pca", .folds = 3, .pca = 6, .selection = gcv},
        Case{.name = "gcv_refit", .folds = 0, .selection = gcv}),
    [](auto const& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace striate
