// Feature-weighted receptive fields: against a brute force in float64 (tests/golden/make_fwrf.py), planted fields,
// noise, what must not change a bit, what must not leak, and what must be refused.
#include <numeric>

#include "banded_common.hpp"
#include "golden_fits.hpp"
#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"
#include "striate/models/fwrf.hpp"

namespace striate {
namespace {

using namespace testing;

std::size_t columns_of(std::vector<MapShape> const& maps) {
  std::size_t p = 0;
  for (auto const& map : maps) {
    p += map.channels * map.rows * map.cols;
  }
  return p;
}

std::vector<Band> bands_for(std::vector<MapShape> const& maps, bool standardize) {
  std::vector<std::size_t> widths;
  for (auto const& map : maps) {
    widths.push_back(map.channels * map.rows * map.cols);
  }
  return bands_of(widths, std::vector<double>(maps.size(), standardize ? 1 : 0));
}

struct Case {
  char const* name;
  FieldGrid rf;
  std::size_t folds = 4;
  bool standardize = true, scale = true, relative = false;
  Score inner_score = Score::r2;
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

class FwrfGolden : public ::testing::TestWithParam<Case> {};

TEST_P(FwrfGolden, EqualsBruteForce) {
  Case const& c = GetParam();
  auto const g = read_golden(c.name, "fwrf");
  auto const x = columns(g.at("x")), y = columns(g.at("y"));
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols;
  ModelOptions o;
  o.alphas = g.at("alphas").values;
  o.relative_alphas = c.relative;
  o.inner_score = c.inner_score;
  o.scores = {Score::pearson, Score::r2, Score::mse};
  o.standardize_responses = c.scale;
  o.predictions = o.coefficients = true;
  o.rf = c.rf;
  if (o.rf.sizes.empty() && o.rf.steps == 8) {
    o.rf.sizes = g.at("sizes").values;
  }
  for (std::size_t s = 0; s < g.at("shapes").rows; ++s) {
    auto const at = [&](std::size_t k) { return static_cast<std::size_t>(g.at("shapes").at(s, k)); };
    o.maps.push_back({at(0), at(1), at(2)});
  }
  auto const bands = bands_for(o.maps, c.standardize);
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  for (std::size_t fold = 0; fold < g.at("r2").rows; ++fold) {
    auto const plan = plan_of(n, c.folds, fold);
    auto const fitted = make_fwrf(o)->prepare({source, c.standardize, 0, t, nullptr, bands}, plan, *team, plenty);
    TileResult r;
    Workspace work;
    fitted->tile({y.data(), n, t}, r, work);
    for (std::size_t j = 0; j < t; ++j) {
      std::string const where = " fold " + std::to_string(fold) + " target " + std::to_string(j);
      expect_close(r.alpha[j], g.at("alpha").at(fold, j), 1e-5 * std::abs(g.at("alpha").at(fold, j)), "alpha" + where);
      char const* extras[] = {"x0", "y0", "sigma"};
      for (std::size_t k = 0; k < 3; ++k) {
        expect_close(r.extra[k * t + j], g.at(extras[k]).at(fold, j), 1e-9, extras[k] + where);
      }
      char const* scores[] = {"pearson", "r2", "mse"};
      for (std::size_t s = 0; s < (c.folds > 0 ? 3 : 2); ++s) {
        double const want = g.at(scores[s]).at(fold, j);
        expect_close(r.score[s * t + j], want, 1e-5 * std::max(1.0, std::abs(want)), scores[s] + where);
      }
    }
    if (fold > 0) {
      continue;
    }
    expect_fits(g, *fitted, r, 3e-5);
    for (std::size_t j = 0; j < t; ++j) {
      for (std::size_t i = 0; c.folds == 0 && i < plan.inner.size(); ++i) {
        expect_close(r.inner_score[(i * 3 + 1) * t + j], g.at("fold_r2").at(i, j), 1e-5, "inner r2");
      }
    }
    std::vector<float> coef(p * t);
    fitted->coefficients({x.data(), n, p}, 0, {r.weights.data(), fitted->weight_rows(), t}, coef.data());
    // A part of the columns gives that part of the coefficients.
    std::vector<float> part(5 * t);
    fitted->coefficients({x.data() + 4 * n, n, 5}, 4, {r.weights.data(), fitted->weight_rows(), t}, part.data());
    for (std::size_t j = 0; j < t; ++j) {
      EXPECT_EQ(0, std::memcmp(part.data() + 5 * j, coef.data() + 4 + j * p, 20));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, FwrfGolden,
    ::testing::Values(Case{.name = "layers", .rf = {.grid = 3}},
                      Case{.name = "plain",
                           .rf = {.grid = 3, .extent = 0.8, .width = 12, .height = 8},
                           .standardize = false,
                           .scale = false,
                           .inner_score = Score::pearson},
                      Case{.name = "wide", .rf = {.grid = 2}},
                      Case{.name = "relative", .rf = {.grid = 2}, .standardize = false, .relative = true},
                      Case{.name = "refit", .rf = {.grid = 3}, .folds = 0},
                      Case{.name = "radii", .rf = {.grid = 2, .steps = 4}}),
    [](auto const& info) { return std::string(info.param.name); });

/// Normal features, and responses of planted fields: a field of the grid (grid, sizes) each, all channels.
struct Planted {
  std::size_t n, t;
  std::vector<MapShape> maps{{5, 12, 12}, {6, 5, 5}};
  std::vector<float> x, y;
  std::vector<double> x0, y0, sigma;

  Planted(std::size_t stimuli, std::size_t targets, double signal, std::uint64_t seed, std::size_t grid = 4)
      : n(stimuli), t(targets) {
    std::size_t const p = columns_of(maps);
    for (std::size_t j = 0; j < p; ++j) {
      Philox random(seed, 1, j);
      for (std::size_t i = 0; i < n; ++i) {
        x.push_back(static_cast<float>(random.normal()));
      }
    }
    double const sizes[] = {0.08, 0.16, 0.32};
    for (std::size_t c = 0; c < t; ++c) {
      Philox random(seed, 2, c);
      auto const centre = [&](std::size_t i) {
        return (static_cast<double>(i) + 0.5) / static_cast<double>(grid) - 0.5;
      };
      x0.push_back(centre(c % grid));
      y0.push_back(centre(c / grid % grid));
      sigma.push_back(sizes[c % 3]);
      std::vector<double> f(n, 0.0);
      std::size_t column = 0;
      for (auto const& map : maps) {
        for (std::size_t k = 0; k < map.channels; ++k) {
          double const weight = random.normal();
          std::vector<double> z(n, 0.0);
          double square = 0;
          for (std::size_t pixel = 0; pixel < map.rows * map.cols; ++pixel, ++column) {
            double const row = static_cast<double>(pixel / map.cols), at = static_cast<double>(pixel % map.cols);
            double const dx = (at + 0.5) / static_cast<double>(map.cols) - 0.5 - x0[c],
                         dy = 0.5 - (row + 0.5) / static_cast<double>(map.rows) - y0[c];
            double const g = std::exp(-(dx * dx + dy * dy) / (2 * sigma[c] * sigma[c]));
            square += g * g;
            for (std::size_t i = 0; i < n; ++i) {
              z[i] += g * x[i + column * n];
            }
          }
          for (std::size_t i = 0; i < n; ++i) {
            f[i] += weight * z[i] / std::sqrt(square);
          }
        }
      }
      double power = 0;
      for (double v : f) {
        power += v * v / static_cast<double>(n);
      }
      for (std::size_t i = 0; i < n; ++i) {
        y.push_back(static_cast<float>(3 + signal * f[i] / std::sqrt(power) + random.normal()));
      }
    }
  }
  [[nodiscard]] ModelOptions options(std::size_t grid = 4) const {
    ModelOptions o;
    o.alphas = {1, 10, 100, 1000};
    o.predictions = o.coefficients = true;
    o.maps = maps;
    o.rf = {.grid = grid, .sizes = {0.08, 0.16, 0.32}};
    return o;
  }
  [[nodiscard]] std::unique_ptr<FittedFold> fit(ModelOptions const& o, FoldPlan const& plan, Team& team,
                                                double budget = plenty) const {
    MemorySource const source({x.data(), n, columns_of(maps)});
    return make_fwrf(o)->prepare({source, true, 0, t, nullptr, bands_for(maps, true)}, plan, team, budget);
  }
  [[nodiscard]] TileResult run(ModelOptions const& o, FoldPlan const& plan, Team& team, double budget = plenty) const {
    TileResult r;
    Workspace work;
    fit(o, plan, team, budget)->tile(responses(), r, work);
    return r;
  }
  [[nodiscard]] MatrixView<float const> responses() const { return {y.data(), n, t}; }
};

TEST(Fwrf, FindsThePlantedField) {
  Planted const data(300, 48, 1, 11);  // as much signal as noise
  auto const team = serial_team();
  auto const r = data.run(data.options(), plan_of(data.n, 5, 0), *team);
  double mean = 0;
  std::size_t exact = 0;
  for (std::size_t c = 0; c < data.t; ++c) {
    exact += r.extra[c] == data.x0[c] && r.extra[data.t + c] == data.y0[c] ? 1 : 0;
    EXPECT_NEAR(r.extra[c], data.x0[c], 0.2501) << c;  // a step of the grid
    EXPECT_NEAR(r.extra[data.t + c], data.y0[c], 0.2501) << c;
    double const ratio = r.extra[2 * data.t + c] / data.sigma[c];
    EXPECT_TRUE(ratio > 0.49 && ratio < 2.01) << c << ": " << ratio;
    mean += r.score[c] / static_cast<double>(data.t);
  }
  EXPECT_GT(mean, 0.55);
  EXPECT_GT(exact, data.t * 3 / 4);
}

TEST(Fwrf, InterpolatedAlphasAreTheComputedOnes) {
  Planted const data(120, 30, 1, 17);
  auto const team = serial_team();
  auto o = data.options(2);
  o.alphas.clear();
  for (int i = 0; i < 24; ++i) {
    o.alphas.push_back(std::pow(10.0, -1 + i * 0.3));
  }
  auto const plan = plan_of(data.n, 4, 1);
  auto const fitted = data.fit(o, plan, *team);
  EXPECT_LT(fitted->report().skeleton, 20U);
  auto const a = data.run(o, plan, *team);
  o.exact_grid = true;
  auto const b = data.run(o, plan, *team);
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  for (std::size_t c = 0; c < data.t; ++c) {
    EXPECT_EQ(a.alpha[c], b.alpha[c]);
    EXPECT_NEAR(a.score[c], b.score[c], 1e-5);
  }
}

TEST(Fwrf, NoiseScoresNothing) {
  Planted const data(150, 120, 0, 12);
  auto const team = serial_team();
  std::vector<double> scores;
  for (std::size_t fold = 0; fold < 5; ++fold) {
    auto const r = data.run(data.options(), plan_of(data.n, 5, fold), *team);
    scores.insert(scores.end(), r.score.begin(), r.score.begin() + static_cast<std::ptrdiff_t>(data.t));
  }
  double mean = 0, square = 0;
  for (double s : scores) {
    mean += s / static_cast<double>(scores.size());
  }
  for (double s : scores) {
    square += (s - mean) * (s - mean);
  }
  // Folds of a target are taken as one draw: its scores are correlated through the shared training rows.
  double const error = std::sqrt(square / static_cast<double>(scores.size()) / static_cast<double>(data.t));
  EXPECT_LT(std::abs(mean), 3 * error) << "mean pearson " << mean << ", standard error " << error;
}

TEST(Fwrf, TeamAndBudgetDoNotChangeBits) {
  Planted const data(60, 40, 1, 13);
  auto const o = data.options(3);
  auto const plan = plan_of(data.n, 4, 1);
  auto const serial = serial_team();
  OddTeam odd(3);
  auto const cost = make_fwrf(o)->cost(data.n, columns_of(data.maps), data.t, plan, true, 0, plenty);
  auto const least = make_fwrf(o)->cost(data.n, columns_of(data.maps), data.t, plan, true, 0, 1);
  EXPECT_LT(least.shared_bytes, cost.shared_bytes);
  EXPECT_GT(least.read_bytes, cost.read_bytes);  // a radius at a time
  auto const a = data.run(o, plan, *serial), b = data.run(o, plan, odd, least.shared_bytes * 1.001);
  EXPECT_TRUE(same_bits(a.score, b.score));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.prediction, b.prediction));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
  double const held = data.fit(o, plan, *serial)->report().shared_bytes;
  EXPECT_LT(held, cost.shared_kept_bytes * 1.1);
  EXPECT_GT(held, cost.shared_kept_bytes * 0.8);
}

TEST(Fwrf, TilesDoNotChangeBits) {
  Planted const data(40, 540, 1, 14);
  auto const team = serial_team();
  auto const fitted = data.fit(data.options(2), plan_of(data.n, 4, 1), *team);
  TileResult whole;
  Workspace work;
  fitted->tile(data.responses(), whole, work);
  std::size_t const m = fitted->weight_rows();
  for (std::size_t width : {1UL, 7UL, 130UL, 530UL}) {
    TileResult part;
    for (std::size_t first = 0; first < data.t; first += width * 3 + 1) {
      std::size_t const count = std::min(width, data.t - first);
      fitted->tile(data.responses().columns(first, count), part, work);
      for (std::size_t c = 0; c < count; ++c) {
        ASSERT_EQ(part.alpha[c], whole.alpha[first + c]) << "width " << width << " target " << first + c;
        for (std::size_t e = 0; e < 3; ++e) {
          ASSERT_EQ(part.extra[e * count + c], whole.extra[e * data.t + first + c]);
        }
        ASSERT_EQ(part.score[c], whole.score[first + c]);
        ASSERT_EQ(0, std::memcmp(part.weights.data() + c * m, whole.weights.data() + (first + c) * m, m * 4));
      }
    }
  }
}

TEST(Fwrf, TestRowsDoNotLeakAndBadTargetsTouchNoneElse) {
  Planted data(60, 20, 1, 15);
  auto const team = serial_team();
  auto const plan = plan_of(data.n, 4, 1);
  auto const a = data.run(data.options(2), plan, *team);
  for (auto row : plan.outer.test) {
    for (std::size_t j = 0; j < columns_of(data.maps); ++j) {
      data.x[row + j * data.n] = data.x[row + j * data.n] * 3 - 40;
    }
    for (std::size_t c = 0; c < data.t; ++c) {
      data.y[row + c * data.n] = 100 - data.y[row + c * data.n];
    }
  }
  auto const b = data.run(data.options(2), plan, *team);
  EXPECT_TRUE(same_bits(a.weights, b.weights));
  EXPECT_TRUE(same_bits(a.intercept, b.intercept));
  EXPECT_TRUE(same_bits(a.alpha, b.alpha));
  EXPECT_TRUE(same_bits(a.extra, b.extra));
  EXPECT_FALSE(same_bits(a.score, b.score));
  data.y[plan.outer.train[3] + 5 * data.n] = std::numeric_limits<float>::infinity();
  std::fill_n(data.y.begin() + static_cast<std::ptrdiff_t>(8 * data.n), data.n, 2.5F);
  auto const c = data.run(data.options(2), plan, *team);
  EXPECT_EQ(c.flag[5], TargetFlag::not_finite);
  EXPECT_EQ(c.flag[8], TargetFlag::constant);
  for (std::size_t t = 0; t < data.t; ++t) {
    bool const bad = t == 5 || t == 8;
    EXPECT_EQ(bad, std::isnan(c.score[t]));
    EXPECT_EQ(bad, std::isnan(c.extra[t]));
    EXPECT_TRUE(bad || c.score[t] == b.score[t]);
  }
}

TEST(Fwrf, RefusesWhatCannotWork) {
  Planted data(40, 3, 1, 16);
  auto const plan = plan_of(data.n, 4, 0);
  auto const team = serial_team();
  MemorySource const source({data.x.data(), data.n, columns_of(data.maps)});
  auto const refused = [&](Exit code, std::function<void(ModelOptions&)> const& change, Design const& design,
                           double budget, char const* words) {
    auto o = data.options(2);
    change(o);
    try {
      (void)make_fwrf(o)->prepare(design, plan, *team, budget);
      ADD_FAILURE() << "accepted: " << words;
    } catch (Error const& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  };
  auto const bands = bands_for(data.maps, true);
  Design const fine{source, true, 0, 3, nullptr, bands};
  refused(
      Exit::config, [](auto& o) { o.alphas.clear(); }, fine, plenty, "alphas");
  refused(
      Exit::config, [](auto& o) { o.rf.grid = 0; }, fine, plenty, "model.rf.grid");
  refused(
      Exit::config, [](auto& o) { o.rf.extent = 1.5; }, fine, plenty, "model.rf.extent");
  refused(
      Exit::config,
      [](auto& o) {
        o.rf.sizes = {0.1, -1};
      },
      fine, plenty, "model.rf.sizes");
  refused(
      Exit::config, [](auto& o) { o.rf.width = 0; }, fine, plenty, "model.rf.visual_angle");
  refused(
      Exit::data, [](auto& o) { o.maps[0].rows = 7; }, fine, plenty, "space 0");
  refused(
      Exit::data, [](auto& o) { o.maps.pop_back(); }, {source, true, 0, 3}, plenty, "cover");
  refused(
      Exit::config, [](auto&) {}, {source, true, 5, 3, nullptr, bands}, plenty, "pca");
  refused(
      Exit::config, [](auto&) {}, {source, false, 0, 3, nullptr, bands}, plenty, "standardize");
  refused(
      Exit::limit, [](auto&) {}, fine, 1e4, "model.rf.grid");
  data.x[5] = std::numeric_limits<float>::quiet_NaN();
  refused(
      Exit::data, [](auto&) {}, fine, plenty, "not finite");
}

}  // namespace
}  // namespace striate
