#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "striate/math/blas.hpp"
#include "striate/math/columns.hpp"
#include "striate/math/gram.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/math/skeleton.hpp"
#include "striate/math/skinny.hpp"

namespace striate {
namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 draw(seed);  // the engine's stream is standard; distributions are not used
  std::vector<float> x(n);
  for (auto& v : x) {
    v = static_cast<float>(draw() / 4294967296.0 - 0.5);
  }
  return x;
}

TEST(PanelProduct, EqualsTheDefinitionAtEveryShape) {
  Buffer<float> scratch;
  for (auto [m, k, n] :
       std::vector<std::array<std::size_t, 3>>{{1, 1, 8}, {47, 5, 16}, {48, 256, 8}, {97, 300, 520}, {200, 601, 24}}) {
    auto const at = random_floats(m * k, 1), b = random_floats(k * n, 2);
    std::vector<float> packed(packed_size(m, k)), c(padded_rows(m) * n, 9);
    pack_rows<float>({.from = at.data(), .row_stride = k}, m, k, packed.data());
    panel_product(packed.data(), m, k, b.data(), k, n, c.data(), scratch);
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t i = 0; i < padded_rows(m); ++i) {
        double want = 0;
        for (std::size_t l = 0; i < m && l < k; ++l) {
          want += static_cast<double>(at[i * k + l]) * b[l + j * k];
        }
        ASSERT_NEAR(c[i + j * padded_rows(m)], want, 1e-5) << m << " " << k << " " << n << " at " << i << "," << j;
      }
    }
  }
}

TEST(PanelProduct, AColumnsBitsDoNotDependOnItsPlace) {
  std::size_t const m = 150, k = 777, n = 528;
  auto const at = random_floats(m * k, 3), column = random_floats(k, 4);
  std::vector<float> packed(packed_size(m, k)), b(k * n), c(padded_rows(m) * n);
  pack_rows<float>({.from = at.data(), .row_stride = k}, m, k, packed.data());
  for (std::size_t j = 0; j < n; ++j) {
    std::copy(column.begin(), column.end(), b.begin() + static_cast<std::ptrdiff_t>(j * k));
  }
  Buffer<float> scratch;
  panel_product(packed.data(), m, k, b.data(), k, n, c.data(), scratch);
  for (std::size_t j = 1; j < n; ++j) {
    ASSERT_EQ(0, std::memcmp(c.data(), c.data() + j * padded_rows(m), m * sizeof(float))) << j;
  }
}

TEST(Gram, PanelsAndPrecisionAgreeWithTheDefinition) {
  std::size_t const n = 300, p = 2500;
  auto const x = random_floats(n * p, 5);
  std::vector<double> weight(p);
  for (std::size_t j = 0; j < p; ++j) {
    weight[j] = 1 + static_cast<double>(j % 7);
  }
  PackedShape const shape(n);
  ASSERT_EQ(shape.across, 2U);
  auto build = [&](bool wide, std::size_t cut) {
    std::vector<double> g(shape.doubles(), 0.0);
    for (std::size_t b = 0; b < shape.blocks(); ++b) {
      std::size_t i = 0, j = 0;
      shape.position(b, i, j);
      for (std::size_t first = 0; first < p; first += cut) {
        add_row_gram(shape, i, j, x.data() + first * n, n, std::min(cut, p - first), weight.data() + first, wide,
                     g.data() + b * shape.block * shape.block);
      }
    }
    return g;
  };
  auto const wide = build(true, p), narrow = build(false, p);
  EXPECT_EQ(wide, build(true, 1024));
  EXPECT_EQ(narrow, build(false, 2048));
  for (std::size_t i = 0; i < n; i += 13) {
    for (std::size_t j = 0; j < n; j += 11) {
      double want = 0;
      for (std::size_t l = 0; l < p; ++l) {
        want += weight[l] * x[i + l * n] * static_cast<double>(x[j + l * n]);
      }
      EXPECT_NEAR(shape.at(wide.data(), i, j), want, 1e-9);
      EXPECT_NEAR(shape.at(narrow.data(), i, j), want, 2e-3);
    }
  }
  PackedShape const features(40);
  std::vector<double> g(features.doubles(), 0.0);
  add_column_gram(features, 0, 0, x.data(), n, 20, 220, g.data());
  for (std::size_t i = 0; i < 40; i += 3) {
    double want = 0;
    for (std::size_t r = 20; r < 220; ++r) {
      want += static_cast<double>(x[r + i * n]) * x[r + 7 * n];
    }
    EXPECT_NEAR(features.at(g.data(), i, 7), want, 1e-10);
  }
}

TEST(Columns, StatisticsOfSeveralTrainingSets) {
  std::vector<float> const x{1000.25F, 1000.5F, 1000.75F, 7, 7, 7, 1000.0F, 1001.0F};
  RowBlocks blocks;
  blocks.begin = {0, 3, 6, 8};
  blocks.sets = {{0, 2}, {1}, {0, 1, 2}};
  double out[7];
  column_stats(x.data(), blocks, true, out);
  double const mean0 = (1000.25 + 1000.5 + 1000.75 + 1000 + 1001) / 5, all = (5 * mean0 + 21) / 8;
  EXPECT_NEAR(out[0], all, 1e-9);
  EXPECT_NEAR(out[1], mean0 - all, 1e-9);
  EXPECT_NEAR(out[2], 1 / std::sqrt(0.125), 1e-9);  // a small spread on a large mean keeps its digits
  EXPECT_EQ(out[4], 0.0);                           // constant in its set
  EXPECT_NEAR(out[5], 0, 1e-9);
  column_stats(x.data(), blocks, false, out);
  EXPECT_EQ(out[2], 1.0);
  EXPECT_EQ(out[4], 0.0);
}

TEST(Skeleton, ReproducesEveryAlphaInEveryDirection) {
  for (auto [low, high, count] : std::vector<std::array<double, 3>>{{1, 20, 20}, {-1, 8, 20}, {0, 6, 50}, {0, 8, 99}}) {
    std::vector<double> alphas;
    for (int i = 0; i < count; ++i) {
      alphas.push_back(std::pow(10, low + (high - low) * i / (count - 1)));
    }
    Skeleton const s = alpha_skeleton(alphas, 1e6);
    EXPECT_LE(s.chosen.size(), alphas.size());
    if (count > 40) {
      EXPECT_LT(s.chosen.size(), 30U);
    }
    for (double lambda = 1e-12; lambda < 1e6; lambda *= 1.7) {
      for (std::size_t a = 0; a < alphas.size(); ++a) {
        double sum = 0;
        for (std::size_t j = 0; j < s.chosen.size(); ++j) {
          sum += s.weight[a * s.chosen.size() + j] / (lambda + alphas[s.chosen[j]]);
        }
        ASSERT_NEAR(sum * (lambda + alphas[a]), 1, 3e-6) << "alpha " << alphas[a] << " lambda " << lambda;
      }
    }
  }
}

TEST(Skinny, ProductsAreThoseOfTheLibrary) {
  for (std::size_t n : {1, 3, 8, 29, 61}) {
    std::size_t const columns = 6;
    auto const f = random_floats(n * (n + columns), 3);
    std::vector<double> a(f.begin(), f.begin() + static_cast<std::ptrdiff_t>(n * n)), lower = a;
    std::vector<double> const x(f.begin() + static_cast<std::ptrdiff_t>(n * n), f.end());
    for (std::size_t j = 0; j < n; ++j) std::fill_n(lower.begin() + static_cast<std::ptrdiff_t>(j * n), j, 0.0);
    auto const expect = [&](char trans, std::vector<double> const& m, std::vector<double> const& out) {
      std::vector<double> plain(n * columns);
      blas::gemm(trans, 'N', n, columns, n, 1.0, m.data(), n, x.data(), n, 0.0, plain.data(), n);
      for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(out[i], plain[i], 1e-12 * static_cast<double>(n)) << n;
    };
    std::vector<double> out(n * columns, 7);
    skinny_transposed(n, a.data(), x.data(), columns, out.data());
    expect('T', a, out);
    skinny_lower_transposed(n, a.data(), x.data(), columns, out.data());  // what is above the diagonal is not read
    expect('T', lower, out);
    skinny_lower(n, a.data(), x.data(), columns, out.data());
    expect('N', lower, out);
  }
}

/// Columns have the same bits alone and anywhere among others.
TEST(Skinny, ColumnsOfAProductStandAlone) {
  for (auto const& [rows, depth] : {std::pair{1, 1}, std::pair{9, 6}, std::pair{300, 37}, std::pair{517, 129}}) {
    std::size_t const m = static_cast<std::size_t>(rows), k = static_cast<std::size_t>(depth), stride = m + 3, n = 21;
    auto const f = random_floats(stride * k + k * n, 5);
    std::vector<double> const a(f.begin(), f.begin() + static_cast<std::ptrdiff_t>(stride * k)),
        x(f.begin() + static_cast<std::ptrdiff_t>(stride * k), f.end());
    std::vector<double> plain(m * n), whole(m * n, 7), one(m, 7);
    blas::gemm('N', 'N', m, n, k, 1.0, a.data(), stride, x.data(), k, 0.0, plain.data(), m);
    skinny_product(m, k, a.data(), stride, x.data(), n, whole.data());
    for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(whole[i], plain[i], 1e-13 * static_cast<double>(k));
    for (std::size_t c = 0; c < n; ++c) {
      skinny_product(m, k, a.data(), stride, x.data() + c * k, 1, one.data());
      EXPECT_EQ(std::memcmp(one.data(), whole.data() + c * m, m * sizeof(double)), 0) << m << " column " << c;
    }
  }
}

TEST(Blas, FactorsAndEigenvalues) {
  std::size_t const n = 30;
  auto const f = random_floats(n * 50, 8);
  std::vector<double> a(n * n), x(f.begin(), f.end());
  blas::gemm('N', 'T', n, n, 50, 1.0, x.data(), n, x.data(), n, 0.0, a.data(), n);
  auto c = a;
  ASSERT_TRUE(blas::cholesky(n, c.data(), n));
  std::vector<double> left(f.begin(), f.begin() + 2 * n), right(f.begin(), f.begin() + 2 * n);
  blas::cholesky_solve(n, 2, c.data(), n, left.data(), n);
  blas::cholesky_solve_right(2, n, c.data(), n, right.data(), 2);
  for (std::size_t i = 0; i < n; ++i) {
    double back = 0, back_right = 0;
    for (std::size_t j = 0; j < n; ++j) {
      back += a[i + j * n] * left[j];
      back_right += right[2 * j] * a[j + i * n];
    }
    EXPECT_NEAR(back, f[i], 1e-10);
    EXPECT_NEAR(back_right, f[2 * i], 1e-10);
  }
  blas::cholesky_inverse(n, c.data(), n);
  EXPECT_EQ(c[3 + 7 * n], c[7 + 3 * n]);
  for (std::size_t count : {std::size_t{4}, n}) {
    auto e = a;
    std::vector<double> values(count), vectors(n * count);
    blas::eigen_top(n, e.data(), n, count, values.data(), vectors.data());
    for (std::size_t k = 0; k < count; ++k) {
      EXPECT_TRUE(k == 0 || values[k] <= values[k - 1]);
      for (std::size_t i = 0; i < n; ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < n; ++j) {
          sum += a[i + j * n] * vectors[j + k * n];
        }
        EXPECT_NEAR(sum, values[k] * vectors[i + k * n], 1e-9);
      }
    }
  }
  a[0] = -1;
  EXPECT_FALSE(blas::cholesky(n, a.data(), n));
}

}  // namespace
}  // namespace striate
