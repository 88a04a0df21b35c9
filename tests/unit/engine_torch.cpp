// The torch engine, on the CPU, against the blas engine: the same products and sums in every form of ridge, up to
// float32 rounding; whether factors are kept on the device or brought for each product must not change a bit.
#include "models_common.hpp"
#include "striate/base/error.hpp"
#include "striate/math/engine.hpp"
#include "striate/net/torch_engine.hpp"

namespace striate {
namespace {

using namespace testing;

struct Setting {
  char const* name;
  char const* model;
  std::size_t n, p;
  bool standardize;
  double pca;
  Selection selection = Selection::folds;
  bool outer = true;
};

void PrintTo(Setting const& s, std::ostream* os) { *os << s.name; }

class TorchEngine : public ::testing::TestWithParam<Setting> {
 protected:
  struct Fit {
    std::unique_ptr<EncodingModel> model;
    std::unique_ptr<FittedFold> fold;
    TileResult chosen, given;
    std::vector<double> choices;
  };
  static Fit fit(Problem const& data, Engine const* engine, std::size_t width = 512) {
    Setting const& s = GetParam();
    ModelOptions o;
    o.alphas = {0.1, 1, 10, 100, 1e3, 1e4, 1e5};
    o.predictions = s.outer;
    o.coefficients = true;
    o.scores = {Score::pearson, Score::r2, Score::mse};
    o.selection = s.selection;
    o.bands = {"one", "two"};
    o.n_iter = 5;
    o.engine = engine;
    o.width = width;
    o.split = s.outer;
    CvSpec outer, inner;
    outer.folds = 4;
    inner.folds = 3;
    CvColumns columns;
    columns.rows = data.n;
    FoldPlan plan = fold_plans(outer, inner, columns)[1];
    if (!s.outer) {
      plan.outer.test.clear();
    }
    Fit out;
    out.model = find_model(s.model)->make(o);
    auto const source = data.source();
    auto const team = serial_team();
    Design design{source, s.standardize, s.pca, data.t};
    if (std::string(s.model) == "banded_ridge") {
      design.bands = {{"one", 0, data.p / 2, s.standardize}, {"two", data.p / 2, data.p - data.p / 2, false}};
    }
    out.fold = out.model->prepare(design, plan, *team, plenty);
    Workspace work;
    out.fold->tile(data.responses(), out.chosen, work);
    if (out.model->fixes_choice()) {
      out.fold->tile_at(data.responses(), out.chosen.alpha, out.given, work);
    }
    std::vector<TargetFlag> flag;
    if (out.model->shares_choice()) {
      out.fold->choices(data.responses(), out.choices, flag, work);
    }
    return out;
  }
  /// Targets with all kinds of trouble among them.
  static Problem problem() {
    Problem data(GetParam().n, GetParam().p, 61);
    data.y[3 * data.n + 7] = std::nanf("");
    std::fill_n(data.y.data() + 17 * data.n, data.n, 2.5F);
    return data;
  }
};

template <class T>
void expect_near(std::vector<T> const& mine, std::vector<T> const& theirs, double tolerance, char const* what) {
  ASSERT_EQ(mine.size(), theirs.size()) << what;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    ASSERT_EQ(std::isnan(mine[i]), std::isnan(theirs[i])) << what << " at " << i;
    if (!std::isnan(mine[i])) {
      ASSERT_NEAR(mine[i], theirs[i], tolerance * (1 + std::abs(theirs[i]))) << what << " at " << i;
    }
  }
}

TEST_P(TorchEngine, AgreesWithBlas) {
  Problem const data = problem();
  auto const torch = torch_engine({.device = "cpu"});
  Fit const a = fit(data, nullptr), b = fit(data, torch.get());
  EXPECT_EQ(a.fold->report().form, b.fold->report().form);
  EXPECT_EQ(a.chosen.flag, b.chosen.flag);
  expect_near(b.chosen.alpha, a.chosen.alpha, 0, "alpha");  // no ties in this problem
  expect_near(b.chosen.score, a.chosen.score, 1e-5, "score");
  expect_near(b.chosen.inner_score, a.chosen.inner_score, 1e-5, "inner score");
  expect_near(b.chosen.extra, a.chosen.extra, 1e-5, "extra");
  expect_near(b.chosen.prediction, a.chosen.prediction, 2e-5, "prediction");
  expect_near(b.chosen.weights, a.chosen.weights, 2e-5, "weights");
  expect_near(b.chosen.intercept, a.chosen.intercept, 2e-5, "intercept");
  expect_near(b.given.score, a.given.score, 1e-5, "score at a given alpha");
  expect_near(b.choices, a.choices, 1e-5, "choices");
  EXPECT_EQ(a.chosen.degenerate, b.chosen.degenerate);
  EXPECT_EQ(a.chosen.edge_high, b.chosen.edge_high);
}

TEST_P(TorchEngine, KeptOrBroughtFactorsGiveTheSameBits) {
  Problem const data = problem();
  auto const there = torch_engine({.device = "cpu"}), kept = torch_engine({.device = "cpu", .resident = 1e9}),
             some = torch_engine({.device = "cpu", .resident = 3e4}),
             none = torch_engine({.device = "cpu", .resident = 0});
  Fit const a = fit(data, there.get());
  for (Engine const* engine : {kept.get(), some.get(), none.get()}) {
    Fit const b = fit(data, engine);
    EXPECT_TRUE(same_bits(a.chosen.score, b.chosen.score));
    EXPECT_TRUE(same_bits(a.chosen.alpha, b.chosen.alpha));
    EXPECT_TRUE(same_bits(a.chosen.weights, b.chosen.weights));
    EXPECT_TRUE(same_bits(a.chosen.prediction, b.chosen.prediction));
    EXPECT_TRUE(same_bits(a.given.score, b.given.score));
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, TorchEngine,
                         ::testing::Values(Setting{"block_inverse", "ridge", 80, 300, false, 0},
                                           Setting{"dual", "ridge", 80, 300, true, 0},
                                           Setting{"primal", "ridge", 120, 20, true, 0},
                                           Setting{"spectral_dual", "ridge", 60, 200, true, 10},
                                           Setting{"spectral_primal", "ridge", 90, 30, true, 0.9},
                                           Setting{"loo_dual", "ridge", 60, 200, true, 0, Selection::loo},
                                           Setting{"loo_primal", "ridge", 90, 30, false, 0, Selection::loo},
                                           Setting{"gcv", "ridge", 60, 200, true, 0, Selection::gcv},
                                           Setting{"ols", "ols", 90, 30, true, 0},
                                           Setting{"banded_dual", "banded_ridge", 60, 200, true, 0},
                                           Setting{"banded_primal", "banded_ridge", 90, 20, true, 0},
                                           Setting{"refit", "ridge", 80, 300, false, 0, Selection::folds, false},
                                           Setting{"refit_primal", "ridge", 90, 20, true, 0, Selection::folds, false},
                                           Setting{"refit_loo", "ridge", 60, 200, true, 0, Selection::loo, false}),
                         [](auto const& info) { return info.param.name; });

TEST(TorchDevice, RefusesAGpuThatIsNotThere) {
  try {
    auto const torch = torch_engine({.device = "cuda"});
    EXPECT_EQ(torch->device(), "cuda");  // there is one
  } catch (Error const& error) {
    EXPECT_EQ(error.code(), Exit::config);
    EXPECT_NE(std::string(error.what()).find("device: cuda"), std::string::npos);
  }
}

}  // namespace
}  // namespace striate
