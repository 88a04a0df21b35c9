#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/philox.hpp"
#include "striate/math/projection.hpp"

namespace striate {
namespace {

std::vector<float> values(std::size_t n, unsigned seed) {
  std::mt19937 draw(seed);
  std::vector<float> x(n);
  for (auto& v : x) v = static_cast<float>(draw() / 4294967296.0 - 0.3);
  return x;
}

/// Word of entry (unit, component), as documented: lane and word within a group of 16.
std::uint32_t word(ProjectionOptions const& o, std::size_t unit, std::size_t c, std::uint32_t* pair = nullptr) {
  static std::uint64_t const name = std::stoull(sha256("striate projection conv5").substr(0, 16), nullptr, 16);
  auto const group = static_cast<std::uint32_t>(c / 16), lane = static_cast<std::uint32_t>(c % 4);
  auto const four = philox4x32({static_cast<std::uint32_t>(unit), group * 4 + lane, static_cast<std::uint32_t>(name),
                                static_cast<std::uint32_t>(name >> 32)},
                               {static_cast<std::uint32_t>(o.seed), static_cast<std::uint32_t>(o.seed >> 32)});
  std::size_t const w = c % 16 / 4;
  if (pair != nullptr) pair[0] = four[w / 2 * 2], pair[1] = four[w / 2 * 2 + 1];
  return four[w];
}

double entry(ProjectionOptions const& o, std::size_t units, std::size_t unit, std::size_t c) {
  if (o.kind == ProjectionKind::sparse) {
    double const density = o.density > 0 ? o.density : 1 / std::sqrt(static_cast<double>(units));
    double const x = word(o, unit, c), half = std::round(density * 0x1p31);
    return x < half ? -1 : x < 2 * half ? 1 : 0;
  }
  std::uint32_t ab[2];
  (void)word(o, unit, c, ab);
  double const u = (static_cast<double>(ab[0] >> 1) + 0.5) * 0x1p-31;
  double const angle = 2 * std::numbers::pi * static_cast<double>(ab[1]) * 0x1p-32, r = std::sqrt(-2 * std::log(u));
  return c % 8 < 4 ? r * std::cos(angle) : r * std::sin(angle);
}

struct Case {
  ProjectionKind kind;
  std::size_t units, components, rows;
  double density;
};

TEST(Projection, IsNaNWholeWhereARowHoldsANaN) {
  std::size_t const units = 9000, k = 37, rows = 19, bad = 17;
  for (double const density : {0.0, 0.01, 0.5}) {
    ProjectionOptions const o{ProjectionKind::sparse, k, density, 5, "conv5"};
    auto const stage = projection_stage({{units, 1, 1}, "channel row column"}, o);
    auto x = values(rows * units, 3);
    std::vector<float> clean(rows * k), y(rows * k);
    stage->apply(x.data(), rows, clean.data());
    x[bad * units + 8500] = std::numeric_limits<float>::quiet_NaN();
    stage->apply(x.data(), rows, y.data());
    for (std::size_t i = 0; i < rows * k; ++i)
      if (i / k == bad)
        ASSERT_TRUE(std::isnan(y[i])) << density << " component " << i % k;
      else
        ASSERT_EQ(y[i], clean[i]) << density;
  }
}

TEST(Projection, EqualsTheProductWithTheMatrixOfItsDefinition) {
  for (Case const& t : {Case{ProjectionKind::gaussian, 2500, 21, 11, 0}, Case{ProjectionKind::sparse, 9000, 37, 19, 0},
                        Case{ProjectionKind::sparse, 1500, 300, 5, 1.0 / 3}, Case{ProjectionKind::gaussian, 7, 300, 1, 0},
                        Case{ProjectionKind::sparse, 50, 3, 2, 1}}) {
    ProjectionOptions const o{t.kind, t.components, t.density, 0x123456789ULL, "conv5"};
    auto const stage = projection_stage({{t.units, 1, 1}, "channel row column"}, o);
    EXPECT_EQ(stage->output().shape, (std::vector<std::size_t>{t.components, 1, 1}));
    auto const x = values(t.rows * t.units, 1);
    std::vector<float> out(t.rows * t.components);
    stage->apply(x.data(), t.rows, out.data());
    double const factor = ProjectionEntries(o, t.units).factor();
    for (std::size_t c = 0; c < t.components; ++c) {
      std::vector<double> column(t.units);
      for (std::size_t u = 0; u < t.units; ++u) column[u] = entry(o, t.units, u, c);
      for (std::size_t r = 0; r < t.rows; ++r) {
        double want = 0, size = 0;
        for (std::size_t u = 0; u < t.units; ++u) {
          double const v = static_cast<double>(x[r * t.units + u]) * column[u];
          want += v, size += v * v;
        }
        ASSERT_NEAR(out[r * t.components + c], factor * want, 2e-6 * factor * (std::sqrt(size) + 1))
            << "row " << r << " component " << c << " of " << t.units;
      }
    }
  }
}

TEST(Projection, ARowsBitsDoNotDependOnTheOthers) {
  for (auto const kind : {ProjectionKind::gaussian, ProjectionKind::sparse}) {
    std::size_t const units = 5000, k = 50, rows = 37;
    auto const stage = projection_stage({{units}, "unit"}, {kind, k, 0, 3, "fc1"});
    auto const x = values(rows * units, 2);
    std::vector<float> all(rows * k), one(k);
    stage->apply(x.data(), rows, all.data());
    for (std::size_t r = 0; r < rows; ++r) {
      stage->apply(x.data() + r * units, 1, one.data());
      ASSERT_EQ(0, std::memcmp(one.data(), all.data() + r * k, k * 4)) << "row " << r;
    }
  }
}

TEST(Projection, EntriesAreStandardAndLayersAndSeedsDiffer) {
  std::size_t const units = 4096, groups = 16;
  auto const moments = [&](ProjectionOptions const& o, double* m) {
    std::vector<float> e(units * 16);
    ProjectionEntries const entries(o, units);
    for (std::size_t g = 0; g < groups; ++g) {
      entries.make(0, units, g, e.data());
      for (float const v : e) {
        double const x = static_cast<double>(v);
        m[0] += x, m[1] += x * x, m[2] += x * x * x * x, m[3] += std::abs(x) > 3 ? 1 : 0;
      }
    }
    for (int i = 0; i < 4; ++i) m[i] /= static_cast<double>(units * 16 * groups);
  };
  double m[4] = {}, s[4] = {};
  moments({ProjectionKind::gaussian, 256, 0, 7, "a"}, m);
  double const n = static_cast<double>(units * 16 * groups);  // bounds: five standard errors
  EXPECT_NEAR(m[0], 0, 5 / std::sqrt(n));
  EXPECT_NEAR(m[1], 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(m[2], 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(m[3], 0.0026998, 5 * std::sqrt(0.0027 / n));
  moments({ProjectionKind::sparse, 256, 0.1, 7, "a"}, s);
  EXPECT_NEAR(s[0], 0, 5 * std::sqrt(0.1 / n));
  EXPECT_NEAR(s[1], 0.1, 5 * std::sqrt(0.09 / n));
  std::vector<float> a(64), b(64), c(64);
  ProjectionEntries({ProjectionKind::gaussian, 16, 0, 7, "a"}, 4).make(0, 4, 0, a.data());
  ProjectionEntries({ProjectionKind::gaussian, 16, 0, 7, "b"}, 4).make(0, 4, 0, b.data());
  ProjectionEntries({ProjectionKind::gaussian, 16, 0, 8, "a"}, 4).make(0, 4, 0, c.data());
  for (std::size_t i = 0; i < 64; ++i) EXPECT_TRUE(a[i] != b[i] && a[i] != c[i]);
}

/// Johnson and Lindenstrauss' bound on the distortion of distances, at scikit-learn's number of components.
TEST(Projection, KeepsDistances) {
  std::size_t const n = 40, units = 3000;
  double const eps = 0.3;
  std::size_t const k = johnson_lindenstrauss_min_dim(n, eps);
  EXPECT_EQ(k, 409U);  // sklearn.random_projection.johnson_lindenstrauss_min_dim(40, eps=0.3) and below
  EXPECT_EQ(johnson_lindenstrauss_min_dim(1000000, 0.1), 11841U);
  EXPECT_EQ(johnson_lindenstrauss_min_dim(10000, 0.5), 442U);
  EXPECT_THROW((void)johnson_lindenstrauss_min_dim(10, 1), Error);
  auto const x = values(n * units, 5);
  for (auto const kind : {ProjectionKind::gaussian, ProjectionKind::sparse}) {
    auto const stage = projection_stage({{units}, "unit"}, {kind, k, 0, 11, "x"});
    std::vector<float> y(n * k);
    stage->apply(x.data(), n, y.data());
    auto const distance = [](float const* a, float const* b, std::size_t m) {
      double sum = 0;
      for (std::size_t i = 0; i < m; ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
      return sum;
    };
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) {
        double const ratio = distance(&y[i * k], &y[j * k], k) / distance(&x[i * units], &x[j * units], units);
        ASSERT_GT(ratio, 1 - eps);
        ASSERT_LT(ratio, 1 + eps);
      }
  }
}

TEST(Projection, RefusesWhatIsNoProjection) {
  EXPECT_THROW((void)projection_stage({{8}, "unit"}, {ProjectionKind::gaussian, 0, 0, 0, ""}), Error);
  EXPECT_THROW((void)projection_stage({{8}, "unit"}, {ProjectionKind::sparse, 4, 1.5, 0, ""}), Error);
}

}  // namespace
}  // namespace striate
