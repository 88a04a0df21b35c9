// Banded ridge against scikit-learn in float64 (tests/golden/make_banded.py).
#include "banded_common.hpp"

namespace striate {
namespace {

using namespace testing;

struct Case {
  char const* name;
  std::size_t folds = 3;
  Score inner_score = Score::r2;
  bool relative = false;
  char const* form = nullptr;
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

class BandedGolden : public ::testing::TestWithParam<Case> {
 protected:
  std::map<std::string, Array> g = read_golden(GetParam().name);
  std::vector<float> x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols, m = g.at("bands").cols;

  void near(double got, double want, double tolerance, std::string const& what, std::size_t fold, std::size_t c) {
    std::string const where = what + " fold " + std::to_string(fold) + " target " + std::to_string(c);
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got)) << where;
    } else {
      EXPECT_NEAR(got, want, tolerance) << where;
    }
  }
  void check(TileResult const& r, std::size_t fold, std::size_t c) {
    double const alpha = g.at("alpha").at(fold, c);
    near(r.alpha[c], alpha, 1e-6 * alpha, "alpha", fold, c);
    for (std::size_t b = 0; b < m; ++b) {
      near(r.extra[b * t + c], g.at("gamma").at(fold * m + b, c), 2e-6, "gamma", fold, c);
      if (GetParam().folds == 0) {
        continue;
      }
      near(r.extra[(m + b) * t + c], g.at("split_r2").at(fold * m + b, c), 1e-5, "split r2", fold, c);
      near(r.extra[(2 * m + b) * t + c], g.at("split_pearson").at(fold * m + b, c), 1e-5, "split pearson", fold, c);
    }
    char const* names[] = {"pearson", "r2", "mse"};
    for (std::size_t s = 0; s < 3; ++s) {
      double const want = g.at(names[s]).at(fold, c);
      near(r.score[s * t + c], want, 1e-5 * (s == 2 ? std::abs(want) : std::max(1.0, std::abs(want))), names[s], fold,
           c);
    }
  }
  void check_weights(FittedFold const& fitted, TileResult const& r, std::size_t c) {
    std::size_t const half = p / 2 + 1;  // in two panels
    std::vector<float> coef(p * t);
    for (auto [first, count] : {std::pair{std::size_t{0}, half}, std::pair{half, p - half}}) {
      std::vector<float> part(count * t);
      fitted.coefficients({x.data() + first * n, n, count}, first, {r.weights.data(), fitted.weight_rows(), t},
                          part.data());
      for (std::size_t k = 0; k < t; ++k) {
        std::copy_n(part.data() + k * count, count, coef.data() + k * p + first);
      }
    }
    double size = 0;
    for (std::size_t j = 0; j < p; ++j) {
      size = std::max(size, std::abs(g.at("coef").at(j, c)));
    }
    for (std::size_t j = 0; j < p; ++j) {
      near(coef[j + c * p], g.at("coef").at(j, c), 5e-5 * size + 1e-9, "coefficient " + std::to_string(j), 0, c);
    }
    double const b = g.at("intercept").at(0, c);
    near(r.intercept[c], b, 1e-4 * (1 + std::abs(b)), "intercept", 0, c);
    for (std::size_t f = 0; GetParam().folds == 0 && f < g.at("fold_r2").rows; ++f) {
      near(r.inner_score[(f * 3 + 1) * t + c], g.at("fold_r2").at(f, c), 1e-5, "inner r2", f, c);
    }
    std::size_t const e = g.at("prediction").rows;
    for (std::size_t i = 0; GetParam().folds > 0 && i < e; ++i) {
      double const want = g.at("prediction").at(i, c);
      near(r.prediction[i + c * e], want, 3e-5 * (1 + std::abs(want)), "prediction", 0, c);
    }
  }
};

TEST_P(BandedGolden, EqualsScikitLearn) {
  Case const& c = GetParam();
  std::vector<std::size_t> widths;
  for (double w : g.at("bands").values) {
    widths.push_back(static_cast<std::size_t>(w));
  }
  auto const bands = bands_of(widths, g.at("standardize").values);
  ModelOptions o = options_of(bands, g.at("alphas").values, g.at("gammas").rows);
  o.seed = static_cast<std::uint64_t>(g.at("seed").values[0]);
  o.inner_score = c.inner_score;
  o.relative_alphas = c.relative;
  o.standardize_responses = false;
  o.split = c.folds > 0;
  if (g.contains("pca")) {
    o.band_pca = g.at("pca").values;
  }
  auto const gammas = band_weights(m, o.n_iter, o.seed);
  for (std::size_t i = 0; i < gammas.size(); ++i) {
    for (std::size_t b = 0; b < m; ++b) {
      EXPECT_NEAR(gammas[i][b], g.at("gammas").at(i, b), 1e-12) << "candidate " << i;
    }
  }
  auto const model = make_banded_ridge(o);
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  Workspace work;
  for (std::size_t fold = 0; fold < g.at("alpha").rows; ++fold) {
    auto const fitted = model->prepare({source, true, 0, 0, nullptr, bands}, plan_of(n, c.folds, fold), *team, plenty);
    if (c.form != nullptr) {
      EXPECT_EQ(fitted->report().form, c.form);
    }
    TileResult r;
    fitted->tile({y.data(), n, t}, r, work);
    for (std::size_t k = 0; k < t; ++k) {
      double const clear = g.at("clear").at(fold, k);
      EXPECT_EQ(std::isnan(clear), std::isnan(r.score[k])) << "target " << k;
      if (clear == 0) {
        continue;
      }
      check(r, fold, k);
      if (fold == 0) {
        check_weights(*fitted, r, k);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BandedGolden,
    ::testing::Values(Case{.name = "banded_dual", .form = "dual"},
                      Case{.name = "banded_plain", .form = "dual block-inverse"},
                      Case{.name = "banded_primal", .inner_score = Score::pearson, .form = "primal"},
                      Case{.name = "banded_mixed", .relative = true},
                      Case{.name = "banded_refit", .folds = 0, .form = "primal"},
                      Case{.name = "banded_many", .folds = 0}, Case{.name = "banded_pca", .form = "dual"},
                      Case{.name = "banded_pca_relative", .folds = 0, .relative = true, .form = "dual"}),
    [](auto const& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace striate
