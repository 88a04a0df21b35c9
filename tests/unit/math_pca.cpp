#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "reduce_golden.hpp"
#include "striate/base/error.hpp"
#include "striate/math/pca.hpp"

namespace striate {
namespace {

/// Low rank and noise, with means and scales of their own; column-major.
std::vector<float> data(std::size_t n, std::size_t p, std::size_t rank, double noise, unsigned seed) {
  std::mt19937 draw(seed);
  auto const next = [&] { return draw() / 4294967296.0 - 0.5; };
  std::vector<double> a(n * rank), b(p * rank);
  for (auto& v : a) v = next();
  for (auto& v : b) v = next();
  std::vector<float> x(n * p);
  for (std::size_t j = 0; j < p; ++j)
    for (std::size_t i = 0; i < n; ++i) {
      double v = 3 * std::sin(static_cast<double>(j));
      for (std::size_t k = 0; k < rank; ++k) v += a[i * rank + k] * b[j * rank + k] * 4 / static_cast<double>(k + 1);
      x[j * n + i] = static_cast<float>(v + noise * next());
    }
  return x;
}

/// Components are orthonormal, diagonalise the covariance, have the variances they say; each row's reconstruction error
/// is what the other variances leave.
void check(Pca const& f, std::vector<float> const& x, std::size_t n, double tolerance) {
  std::size_t const p = f.units(), k = f.count();
  std::vector<double> scores(n * k, 0.0);
  double total = 0;
  for (std::size_t j = 0; j < p; ++j) {
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += static_cast<double>(x[j * n + i]);
    mean /= static_cast<double>(n);
    ASSERT_NEAR(f.mean[j], mean, 1e-9);
    for (std::size_t i = 0; i < n; ++i) {
      double const d = static_cast<double>(x[j * n + i]) - mean;
      total += d * d / static_cast<double>(n - 1);
      for (std::size_t c = 0; c < k; ++c) scores[c * n + i] += d * static_cast<double>(f.components[c * p + j]);
    }
  }
  EXPECT_NEAR(f.total_variance, total, 1e-6 * total);
  for (std::size_t a = 0; a < k; ++a)
    for (std::size_t b = 0; b <= a; ++b) {
      double dot = 0, covariance = 0;
      for (std::size_t j = 0; j < p; ++j)
        dot += static_cast<double>(f.components[a * p + j]) * static_cast<double>(f.components[b * p + j]);
      for (std::size_t i = 0; i < n; ++i) covariance += scores[a * n + i] * scores[b * n + i] / static_cast<double>(n - 1);
      ASSERT_NEAR(dot, a == b && a < f.rank ? 1 : 0, 2e-6) << a << " " << b;
      ASSERT_NEAR(covariance, a == b ? f.variance[a] : 0, tolerance * f.variance[0]) << a << " " << b;
    }
}

/// scikit-learn's, up to the sign: 1.2.1 makes the greatest score of a component positive, we its greatest entry.
void expect_components(Pca const& f, testing::Record const& components, testing::Record const& variance,
                       testing::Record const& mean, double tolerance) {
  ASSERT_EQ(f.count(), components.rows);
  for (std::size_t k = 0; k < f.count(); ++k) {
    double dot = 0;
    for (std::size_t j = 0; j < f.units(); ++j)
      dot += static_cast<double>(f.components[k * f.units() + j]) * components(k, j);
    for (std::size_t j = 0; j < f.units(); ++j)
      ASSERT_NEAR(f.components[k * f.units() + j], (dot < 0 ? -1 : 1) * components(k, j), tolerance) << k << " " << j;
    EXPECT_NEAR(f.variance[k] / variance(0, k), 1, tolerance);
    float const* const row = f.components.data() + k * f.units();
    EXPECT_GT(*std::max_element(row, row + f.units(), [](float a, float b) { return std::abs(a) < std::abs(b); }), 0);
  }
  for (std::size_t j = 0; j < f.units(); ++j) ASSERT_NEAR(f.mean[j], mean(0, j), 1e-7);
}

TEST(PcaGolden, EqualsScikitLearns) {
  auto const g = testing::reduce_golden();
  auto const team = serial_team();
  for (std::string const name : {"wide", "tall"}) {
    auto const& x = g.at(name + "_x");
    auto const columns = x.columns();
    MatrixView<float const> const view(columns.data(), x.rows, x.cols);
    auto const f = exact_pca(*memory_source(view), {.count = 6}, *team);
    expect_components(f, g.at(name + "_components"), g.at(name + "_variance"), g.at(name + "_mean"), 1e-6);
    for (std::size_t k = 0; k < 6; ++k) {
      EXPECT_NEAR(f.ratio(k), g.at(name + "_ratio")(0, k), 1e-7);
      EXPECT_NEAR(f.singular_value(k) / g.at(name + "_singular")(0, k), 1, 1e-6);
    }
    std::size_t at = 0;
    for (double const share : {.5, .8, .95})
      EXPECT_EQ(exact_pca(*memory_source(view), {.share = share}, *team).count(), g.at(name + "_share")(0, at++));
    auto const stage = pca_stage({{x.cols, 1, 1}, "feature row column"}, LayerAxis::whole, {f}, true);
    std::vector<float> scores(x.rows * 6);
    stage->apply(x.floats().data(), x.rows, scores.data());
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t k = 0; k < 6; ++k)
        ASSERT_NEAR(std::abs(scores[r * 6 + k]), std::abs(g.at(name + "_scores")(r, k)), 1e-5);
    auto const steps = incremental_pca(*memory_source(view), 5, 17, *team);
    expect_components(steps, g.at(name + "_steps"), g.at(name + "_steps_variance"), g.at(name + "_steps_mean"), 1e-5);
    for (std::size_t k = 0; k < 5; ++k) EXPECT_NEAR(steps.ratio(k), g.at(name + "_steps_ratio")(0, k), 1e-6);
    // The range finder meets the same subspace where iterations separate it.
    auto const random = randomized_pca(*memory_source(view), 6, {.oversample = 10, .iterations = 12, .seed = 5}, *team);
    expect_components(random, g.at(name + "_components"), g.at(name + "_variance"), g.at(name + "_mean"), 1e-5);
  }
}

struct Shape {
  std::size_t n, p;
};

TEST(Pca, RandomisedIsNearTheBestAndDoesNotDependOnPanels) {
  auto const team = serial_team();
  std::size_t const n = 1100, p = 2100;
  auto const x = data(n, p, 30, 0.3, 7);
  RandomizedOptions const options{.oversample = 10, .iterations = 4, .seed = 1, .layer = "a"};
  auto const a = randomized_pca(*memory_source({x.data(), n, p}, 1024), 10, options, *team);
  auto const b = randomized_pca(*memory_source({x.data(), n, p}, 8192), 10, options, *team);
  EXPECT_EQ(0, std::memcmp(a.components.data(), b.components.data(), a.components.size() * 4));
  EXPECT_EQ(a.variance, b.variance);
  check(a, x, n, 1e-5);
  auto const best = exact_pca(*memory_source({x.data(), n, p}), {.count = 10}, *team);
  for (std::size_t k = 0; k < 10; ++k) {
    EXPECT_LE(a.variance[k], best.variance[k] * (1 + 1e-6));
    EXPECT_GT(a.variance[k], best.variance[k] * (1 - 1e-3)) << k;
  }
}

/// Singular values that fall by 10^-0.35 each: the fifteenth is 10^-4.9 of the first. All are there, in float64 and (of
/// more numbers) in float32 products.
TEST(Pca, RandomisedKeepsSmallComponents) {
  auto const team = serial_team();
  struct Case {
    std::size_t n, p, asked, oversample;
    double tolerance;
  };
  for (Case const c : {Case{300, 200, 15, 10, 2e-3}, Case{1600, 1500, 11, 100, 2e-3}}) {
    std::size_t const most = 20;
    // Cosines are orthogonal and their rows have the mean 0.
    auto const cosine = [](std::size_t i, std::size_t k, std::size_t n) {
      return std::sqrt(2.0 / static_cast<double>(n)) *
             std::cos(M_PI * (static_cast<double>(i) + 0.5) * static_cast<double>(k + 1) / static_cast<double>(n));
    };
    std::vector<double> sum(c.n * c.p), left(c.n);
    for (std::size_t k = 0; k < most; ++k) {
      for (std::size_t i = 0; i < c.n; ++i)
        left[i] = 100 * std::pow(10, -0.35 * static_cast<double>(k)) * cosine(i, k, c.n);
      for (std::size_t j = 0; j < c.p; ++j) {
        double const right = cosine(j, k, c.p);
        for (std::size_t i = 0; i < c.n; ++i) sum[j * c.n + i] += left[i] * right;
      }
    }
    std::vector<float> const x(sum.begin(), sum.end());
    RandomizedOptions const options{.oversample = c.oversample, .iterations = 4, .seed = 1, .layer = "a"};
    auto const f = randomized_pca(*memory_source({x.data(), c.n, c.p}, 1024), c.asked, options, *team);
    EXPECT_EQ(f.rank, c.asked);
    for (std::size_t k = 0; k < c.asked; ++k) {
      double const sigma = 100 * std::pow(10, -0.35 * static_cast<double>(k));
      EXPECT_NEAR(f.singular_value(k) / sigma, 1, c.tolerance) << c.n << " " << k;
      double dot = 0;
      for (std::size_t j = 0; j < c.p; ++j)
        dot += static_cast<double>(f.components[k * c.p + j]) * cosine(j, k, c.p);
      EXPECT_NEAR(std::abs(dot), 1, c.tolerance) << c.n << " " << k;
    }
    auto const wider = randomized_pca(*memory_source({x.data(), c.n, c.p}, 8192), c.asked, options, *team);
    EXPECT_EQ(f.variance, wider.variance);
    EXPECT_EQ(f.components, wider.components);
  }
  // What has few dimensions still has few, and a constant none.
  auto const x = data(120, 300, 3, 0, 9);
  EXPECT_EQ(randomized_pca(*memory_source({x.data(), 120, 300}), 8, {}, *team).rank, 3U);
  std::vector<float> const flat(120 * 300, 2.5F);
  EXPECT_EQ(randomized_pca(*memory_source({flat.data(), 120, 300}), 8, {}, *team).rank, 0U);
}

TEST(Pca, IsAnEigenbasisOfTheCovariance) {
  auto const team = serial_team();
  for (Shape const s : {Shape{60, 2500}, Shape{200, 90}, Shape{90, 90}, Shape{600, 1100}, Shape{1100, 300}}) {
    auto const x = data(s.n, s.p, 12, 0.1, 1);
    auto const source = memory_source({x.data(), s.n, s.p}, 1024);
    auto const f = exact_pca(*source, {.count = 10}, *team);
    EXPECT_EQ(f.rank, 10U);
    check(f, x, s.n, 1e-6);
  }
}

TEST(Pca, DoesNotDependOnPanels) {
  auto const team = serial_team();
  std::size_t const n = 1500;
  for (std::size_t const p : {std::size_t{5000}, std::size_t{700}}) {
    auto const x = data(n, p, 8, 0.2, 2);
    auto const a = exact_pca(*memory_source({x.data(), n, p}, 1024), {.count = 6}, *team);
    auto const b = exact_pca(*memory_source({x.data(), n, p}, 8192), {.count = 6}, *team);
    EXPECT_EQ(0, std::memcmp(a.components.data(), b.components.data(), a.components.size() * 4));
    EXPECT_EQ(a.variance, b.variance);
    EXPECT_EQ(a.mean, b.mean);
    check(a, x, n, 1e-6);  // of 5000 units: float32 panels
  }
}

TEST(Pca, KeepsAShareOfTheVariance) {
  auto const team = serial_team();
  for (Shape const s : {Shape{80, 400}, Shape{300, 60}}) {
    auto const x = data(s.n, s.p, 10, 0.5, 3);
    for (double const share : {0.3, 0.9, 0.99}) {
      auto const f = exact_pca(*memory_source({x.data(), s.n, s.p}), {.share = share}, *team);
      double sum = 0;
      for (std::size_t k = 0; k + 1 < f.count(); ++k) sum += f.ratio(k);
      EXPECT_LE(sum, share);
      EXPECT_GT(sum + f.ratio(f.count() - 1), share);
      check(f, x, s.n, 1e-6);
    }
  }
}

TEST(Pca, IsZeroBeyondTheRank) {
  auto const team = serial_team();
  for (Shape const s : {Shape{20, 300}, Shape{300, 20}}) {
    auto const x = data(s.n, s.p, 3, 0, 4);
    auto const f = exact_pca(*memory_source({x.data(), s.n, s.p}), {.count = 8}, *team);
    EXPECT_EQ(f.count(), 8U);
    EXPECT_LE(f.rank, 8U);
    EXPECT_NEAR(f.ratio(0) + f.ratio(1) + f.ratio(2), 1, 1e-6);
    std::vector<float> const constant(s.n * s.p, 2.5F);
    auto const none = exact_pca(*memory_source({constant.data(), s.n, s.p}), {.count = 2}, *team);
    EXPECT_EQ(none.rank, 0U);
    EXPECT_EQ(none.ratio(0), 0);
    std::vector<float> row(s.p, 3), out(2, 9);
    pca_stage({{s.p, 1, 1}, "channel row column"}, LayerAxis::whole, {none}, true)->apply(row.data(), 1, out.data());
    EXPECT_EQ(out, (std::vector<float>{0, 0}));
  }
}

TEST(Pca, RefusesWhatHasNoComponents) {
  auto const team = serial_team();
  auto x = data(5, 40, 2, 0.1, 5);
  EXPECT_THROW((void)exact_pca(*memory_source({x.data(), 5, 40}), {.count = 5}, *team), Error);
  EXPECT_THROW((void)exact_pca(*memory_source({x.data(), 1, 200}), {.count = 1}, *team), Error);
  x[17] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW((void)exact_pca(*memory_source({x.data(), 5, 40}), {.count = 2}, *team), Error);
  EXPECT_THROW((void)exact_pca(*memory_source({x.data(), 40, 5}), {.count = 2}, *team), Error);
}

TEST(PcaStage, ProjectsAlongEachAxis) {
  auto const team = serial_team();
  std::size_t const n = 40, channels = 6, rows = 3, cols = 2, units = channels * rows * cols;
  auto const x = data(n, units, 9, 0.3, 6);  // column-major
  std::vector<float> c_order(n * units);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < units; ++j) c_order[i * units + j] = x[j * n + i];
  LayerShape const in{{channels, rows, cols}, "channel row column"};
  for (auto const axis : {LayerAxis::whole, LayerAxis::channel, LayerAxis::position})
    for (bool const whiten : {false, true}) {
      AxisCut const cut(in, axis);
      std::vector<Pca> fits;
      for (std::size_t i = 0; i < cut.iterations; ++i) {
        std::vector<float> part;
        for (std::size_t u = 0; u < cut.length; ++u) {
          auto const from = x.begin() + static_cast<std::ptrdiff_t>((cut.first(i) + u * cut.step) * n);
          part.insert(part.end(), from, from + static_cast<std::ptrdiff_t>(n));
        }
        fits.push_back(exact_pca(*memory_source({part.data(), n, cut.length}), {.count = 4}, *team));
      }
      auto const stage = pca_stage(in, axis, fits, whiten);
      auto const shape = stage->output().shape;
      auto const want_shape = axis == LayerAxis::whole     ? std::vector<std::size_t>{4, 1, 1}
                              : axis == LayerAxis::channel ? std::vector<std::size_t>{4, rows, cols}
                                                           : std::vector<std::size_t>{channels, 4, 1};
      EXPECT_EQ(shape, want_shape);
      std::size_t const width = stage->output().units();
      std::vector<float> out(n * width);
      stage->apply(c_order.data(), n, out.data());
      for (std::size_t r = 0; r < n; ++r)
        for (std::size_t i = 0; i < cut.iterations; ++i)
          for (std::size_t k = 0; k < 4; ++k) {
            double want = 0;
            for (std::size_t u = 0; u < cut.length; ++u)
              want += (static_cast<double>(c_order[r * units + cut.first(i) + u * cut.step]) - fits[i].mean[u]) *
                      static_cast<double>(fits[i].components[k * cut.length + u]);
            if (whiten) want /= std::sqrt(fits[i].variance[k]);
            std::size_t const at = axis == LayerAxis::channel ? k * rows * cols + i : i * 4 + k;
            ASSERT_NEAR(out[r * width + at], want, 2e-5);
          }
    }
}

}  // namespace
}  // namespace striate
