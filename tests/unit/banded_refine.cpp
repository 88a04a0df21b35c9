// Refinement of band weights: against scipy's maximum and against plain float64 algebra at what was chosen.
#include "banded_common.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

using namespace testing;

/// One target, some weights and alpha, one split: plain float64 algebra.
struct Exact {
  std::vector<float> const& x;
  std::size_t n, p;
  std::vector<Band> const& bands;

  /// Standardised features times the root of their weight, rows × p column-major, by the training rows.
  std::vector<double> scaled(std::vector<std::uint32_t> const& train, std::vector<std::uint32_t> const& rows,
                             std::vector<double> const& gamma) const {
    std::vector<double> z(rows.size() * p);
    for (std::size_t b = 0; b < bands.size(); ++b) {
      for (std::size_t j = bands[b].first; j < bands[b].first + bands[b].count; ++j) {
        double mean = 0, square = 0;
        for (auto i : train) mean += x[i + j * n] / static_cast<double>(train.size());
        for (auto i : train) square += (x[i + j * n] - mean) * (x[i + j * n] - mean);
        double const sd = std::sqrt(square / static_cast<double>(train.size()));
        double const scale = (bands[b].standardize ? (sd > 1e-9 ? 1 / sd : 0) : 1) * std::sqrt(gamma[b]);
        for (std::size_t i = 0; i < rows.size(); ++i) z[i + j * rows.size()] = (x[rows[i] + j * n] - mean) * scale;
      }
    }
    return z;
  }
  /// Predictions of the test rows, from each band, less the training mean.
  std::vector<std::vector<double>> parts(float const* y, Split const& split, std::vector<double> const& gamma,
                                         double alpha) const {
    std::size_t const m = split.train.size(), e = split.test.size();
    auto const a = scaled(split.train, split.train, gamma), v = scaled(split.train, split.test, gamma);
    std::vector<double> k(m * m), w(m);
    blas::gemm('N', 'T', m, m, p, 1.0, a.data(), m, a.data(), m, 0.0, k.data(), m);
    double mean = 0;
    for (auto i : split.train) mean += y[i] / static_cast<double>(m);
    for (std::size_t i = 0; i < m; ++i) {
      k[i * (m + 1)] += alpha;
      w[i] = y[split.train[i]] - mean;
    }
    EXPECT_TRUE(blas::cholesky(m, k.data(), m));
    blas::cholesky_solve(m, 1, k.data(), m, w.data(), m);
    std::vector<std::vector<double>> out;
    for (auto const& band : bands) {
      std::vector<double> beta(band.count), f(e);
      blas::gemv('T', m, band.count, 1.0, a.data() + band.first * m, m, w.data(), 0.0, beta.data());
      blas::gemv('N', e, band.count, 1.0, v.data() + band.first * e, e, beta.data(), 0.0, f.data());
      out.push_back(f);
    }
    return out;
  }
  double score_of(Score which, float const* y, Split const& split, std::vector<double> const& gamma,
                  double alpha) const {
    double mean = 0;
    for (auto i : split.train) mean += y[i] / static_cast<double>(split.train.size());
    Moments m;
    auto const f = parts(y, split, gamma, alpha);
    for (std::size_t i = 0; i < split.test.size(); ++i) {
      double sum = 0;
      for (auto const& part : f) sum += part[i];
      m.add(y[split.test[i]] - mean, sum);
    }
    return score(which, m);
  }
};

std::vector<double> gamma_of(TileResult const& r, std::size_t bands, std::size_t t) {
  std::vector<double> gamma;
  for (std::size_t b = 0; b < bands; ++b) gamma.push_back(r.extra[b * r.alpha.size() + t]);
  return gamma;
}

struct Climb {
  char const* name;
  Score score;
};

class RefineGolden : public ::testing::TestWithParam<Climb> {};

TEST_P(RefineGolden, ClimbsAsHighAsScipy) {
  auto const g = read_golden(GetParam().name);
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  std::vector<std::size_t> widths;
  for (double w : g.at("bands").values) widths.push_back(static_cast<std::size_t>(w));
  auto const bands = bands_of(widths, g.at("standardize").values);
  ModelOptions o = options_of(bands, g.at("alphas").values, static_cast<std::size_t>(g.at("settings").values[1]));
  o.seed = static_cast<std::uint64_t>(g.at("settings").values[0]);
  o.inner_score = GetParam().score;
  o.scores = {GetParam().score};
  o.split = false;
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  auto const plan = plan_of(n, 0, 0);
  Workspace work;
  double gained = 0, possible = 0;
  for (bool refine : {false, true}) {
    o.refine = refine;
    auto const fitted = make_banded_ridge(o)->prepare({source, true, 0, 0, nullptr, bands}, plan, *team, plenty);
    TileResult r;
    fitted->tile({y.data(), n, t}, r, work);
    for (std::size_t k = 0; k < t; ++k) {
      double const searched = g.at("searched").at(0, k), best = g.at("refined").at(0, k);
      double mean = 0, gammas = 0;
      auto const gamma = gamma_of(r, bands.size(), k);
      for (auto const& inner : plan.inner) {
        mean += Exact{x, n, p, bands}.score_of(o.inner_score, y.data() + k * n, inner, gamma, r.alpha[k]) / 3;
      }
      for (double part : gamma) gammas += part;
      EXPECT_NEAR(gammas, 1, 1e-9);
      EXPECT_NEAR(r.score[k], mean, 1e-5) << "target " << k << " at its own weights";
      EXPECT_GE(r.alpha[k], o.alphas.front() * (1 - 1e-9));
      EXPECT_LE(r.alpha[k], o.alphas.back() * (1 + 1e-9));
      if (!refine) {
        EXPECT_NEAR(r.score[k], searched, 1e-5);
      } else {
        EXPECT_GE(r.score[k], searched - 1e-6);
        gained += r.score[k] - searched;
        possible += best - searched;
      }
    }
  }
  EXPECT_GT(gained, 0.8 * possible);
}

INSTANTIATE_TEST_SUITE_P(All, RefineGolden,
                         ::testing::Values(Climb{"banded_refine_dual", Score::r2},
                                           Climb{"banded_refine_plain", Score::r2},
                                           Climb{"banded_refine_primal", Score::pearson}),
                         [](auto const& info) { return std::string(info.param.name); });

struct Kind {
  char const* form;
  std::size_t n;
  std::vector<std::size_t> widths;
  std::vector<double> standardize;
};

TEST(Refine, IsExactAtWhatItChose) {
  for (auto const& kind : {Kind{"dual", 60, {50, 90, 30}, {1, 0, 1}}, Kind{"dual block-inverse", 60, {40, 60}, {0, 0}},
                           Kind{"primal", 90, {6, 8, 5}, {1, 0, 1}}}) {
    auto const bands = bands_of(kind.widths, kind.standardize);
    std::size_t const p = bands.back().first + bands.back().count, m = bands.size(), t = 20;
    Problem const data(kind.n, p, t);
    ModelOptions o = options_of(bands, {0.1, 1, 10, 100, 1e3, 1e4}, 6);
    o.refine = true;
    o.standardize_responses = false;
    auto const plan = plan_of(kind.n, 4, 1);
    auto const source = data.source();
    auto const team = serial_team();
    auto const fitted = make_banded_ridge(o)->prepare({source, true, 0, 0, nullptr, bands}, plan, *team, plenty);
    EXPECT_EQ(fitted->report().form, kind.form);
    TileResult r;
    Workspace work;
    fitted->tile(data.responses(), r, work);
    std::vector<float> coef(p * t);
    fitted->coefficients({data.x.data(), data.n, p}, 0, {r.weights.data(), fitted->weight_rows(), t}, coef.data());
    std::size_t between = 0;
    for (std::size_t k = 0; k < t; ++k) {
      auto const gamma = gamma_of(r, m, k);
      between += std::ranges::find(o.alphas, r.alpha[k]) == o.alphas.end() ? 1 : 0;
      float const* y = data.y.data() + k * data.n;
      auto const parts = Exact{data.x, data.n, p, bands}.parts(y, plan.outer, gamma, r.alpha[k]);
      std::size_t const e = plan.outer.test.size();
      double mean = 0, sd = 0;
      for (auto i : plan.outer.train) mean += y[i] / static_cast<double>(plan.outer.train.size());
      for (auto i : plan.outer.train)
        sd += (y[i] - mean) * (y[i] - mean) / static_cast<double>(plan.outer.train.size());
      for (std::size_t i = 0; i < e; ++i) {
        double f = mean, linear = r.intercept[k];
        for (auto const& part : parts) f += part[i];
        for (std::size_t j = 0; j < p; ++j) {
          linear += static_cast<double>(coef[j + k * p]) * data.x[plan.outer.test[i] + j * data.n];
        }
        EXPECT_NEAR(r.prediction[i + k * e], f, 1e-4 * std::sqrt(sd)) << kind.form << k;
        EXPECT_NEAR(linear, f, 3e-4 * std::sqrt(sd)) << kind.form << k;
      }
      double const r2 = Exact{data.x, data.n, p, bands}.score_of(Score::r2, y, plan.outer, gamma, r.alpha[k]);
      EXPECT_NEAR(r.score[t + k], r2, 1e-5 * std::max(1.0, std::abs(r2)))
          << kind.form << k << " alpha " << r.alpha[k] << " gamma " << ::testing::PrintToString(gamma);
    }
    EXPECT_GT(between, t / 2) << kind.form;
  }
}

/// Bands of very unequal worth: a few random weights and refinement outdo ten times as many weights, in the inner
/// score.
TEST(Refine, OfFewWeightsOutdoesMany) {
  Problem const data(80, 90, 30);
  auto const bands = bands_of({15, 25, 10, 20, 20});
  auto const source = data.source();
  auto const team = serial_team();
  double few = 0, many = 0;
  Workspace work;
  for (bool refine : {false, true}) {
    ModelOptions o = options_of(bands, {1, 10, 100, 1e3, 1e4}, refine ? 8 : 80);
    o.refine = refine;
    o.split = false;
    o.scores = {Score::r2};
    TileResult r;
    make_banded_ridge(o)
        ->prepare({source, true, 0, 0, nullptr, bands}, plan_of(data.n, 0, 0), *team, plenty)
        ->tile(data.responses(), r, work);
    for (double s : r.score) (refine ? few : many) += s / static_cast<double>(data.t);
  }
  EXPECT_GT(few, many);
}

}  // namespace
}  // namespace striate
