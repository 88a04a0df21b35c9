// Rearrangements keep what they promise to keep; corrections equal their definitions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "striate/base/error.hpp"
#include "striate/stats/cross.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/permute.hpp"

namespace striate {
namespace {

using Rows = std::vector<std::uint32_t>;

struct Made {
  Rows source;
  std::vector<float> sign;
};
Made made(PermutationSpec const& spec, std::size_t n, std::uint64_t index) {
  Made m;
  Permuter(spec, n).make(index, m.source, m.sign);
  return m;
}
bool is_permutation_of_rows(Rows source) {
  std::ranges::sort(source);
  for (std::uint32_t i = 0; i < source.size(); ++i)
    if (source[i] != i) return false;
  return true;
}

TEST(Permute, EveryArrangementIsDrawnEquallyOften) {
  PermutationSpec spec;
  spec.seed = 3;
  std::map<Rows, int> seen;
  for (std::uint64_t i = 0; i < 24000; ++i) ++seen[made(spec, 4, i).source];
  EXPECT_EQ(seen.size(), 24U);
  for (auto const& [rows, count] : seen) EXPECT_NEAR(count, 1000, 130);  // four standard deviations
  EXPECT_NEAR(Permuter(spec, 4).log10_arrangements(), std::log10(24), 1e-12);
}

TEST(Permute, DependsOnSeedStreamAndIndexAlone) {
  PermutationSpec spec;
  spec.seed = 8;
  auto const first = made(spec, 50, 17).source;
  EXPECT_EQ(first, made(spec, 50, 17).source);
  EXPECT_NE(first, made(spec, 50, 18).source);
  spec.stream = 1;
  EXPECT_NE(first, made(spec, 50, 17).source);
  spec.stream = 0, spec.seed = 9;
  EXPECT_NE(first, made(spec, 50, 17).source);
}

TEST(Permute, RowsStayInTheirBlockAndRepeatsTogether) {
  PermutationSpec spec;
  spec.block = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 2};
  spec.unit = {0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 6, 7};  // 0-3: two rows each in a block; 4, 5: single
  for (std::uint64_t i = 0; i < 200; ++i) {
    auto const source = made(spec, 12, i).source;
    ASSERT_TRUE(is_permutation_of_rows(source));
    for (std::size_t r = 0; r < 12; ++r) ASSERT_EQ(spec.block[source[r]], spec.block[r]);
    ASSERT_EQ(spec.unit[source[0]], spec.unit[source[2]]);
    ASSERT_EQ(source[8], 8U);  // the only single of its block
  }
  EXPECT_EQ(Permuter(spec, 12).fixed_rows(), 2U);
}

TEST(Permute, BlocksMoveWhole) {
  PermutationSpec spec;
  spec.shuffle = Shuffle::blocks;
  spec.length = 3;
  std::set<Rows> seen;
  for (std::uint64_t i = 0; i < 300; ++i) {
    auto const source = made(spec, 11, i).source;  // three blocks of 3, and a rest of 2 that stays
    ASSERT_TRUE(is_permutation_of_rows(source));
    for (std::size_t b = 0; b < 3; ++b) {
      ASSERT_EQ(source[3 * b] % 3, 0U);
      ASSERT_EQ(source[3 * b + 1], source[3 * b] + 1);
      ASSERT_EQ(source[3 * b + 2], source[3 * b] + 2);
    }
    ASSERT_EQ(source[9], 9U);
    seen.insert(source);
  }
  EXPECT_EQ(seen.size(), 6U);
}

TEST(Permute, CircularShiftsEachRunAndSignsFlipBlocks) {
  PermutationSpec spec;
  spec.shuffle = Shuffle::circular;
  spec.block = {0, 0, 0, 0, 1, 1, 1};
  std::set<Rows> seen;
  for (std::uint64_t i = 0; i < 500; ++i) {
    auto const source = made(spec, 7, i).source;
    for (std::size_t r = 0; r < 4; ++r) ASSERT_EQ(source[(r + 1) % 4], (source[r] + 1) % 4);
    for (std::size_t r = 0; r < 3; ++r) ASSERT_EQ(source[4 + (r + 1) % 3] - 4, (source[4 + r] - 4 + 1) % 3);
    seen.insert(source);
  }
  EXPECT_EQ(seen.size(), 12U);
  spec.shuffle = Shuffle::sign;
  std::set<std::vector<float>> signs;
  for (std::uint64_t i = 0; i < 100; ++i) {
    auto const m = made(spec, 7, i);
    ASSERT_EQ(m.source, (Rows{0, 1, 2, 3, 4, 5, 6}));
    for (std::size_t r = 1; r < 4; ++r) ASSERT_EQ(m.sign[r], m.sign[0]);
    signs.insert(m.sign);
  }
  EXPECT_EQ(signs.size(), 4U);
}

TEST(Permute, RefusesWhereNothingMoves) {
  PermutationSpec spec;
  spec.block = {0, 1, 2};
  EXPECT_THROW(Permuter(spec, 3), Error);
  spec.shuffle = Shuffle::blocks;
  spec.block = {0, 0, 1};
  EXPECT_THROW(Permuter(spec, 3), Error);
}

/// R: p.adjust(p, "BH"), p.adjust(p, "BY"), with a missing value left out.
TEST(Multiple, FalseDiscoveryRates) {
  double const nan = std::nan("");
  std::vector<double> const p{0.01, 0.04, nan, 0.03, 0.005, 0.9};
  auto const bh = fdr_bh(p), by = fdr_by(p);
  double const expected[] = {0.025, 0.05, nan, 0.05, 0.025, 0.9};
  double const harmonic = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4 + 1.0 / 5;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (i == 2) {
      EXPECT_TRUE(std::isnan(bh[i]) && std::isnan(by[i]));
      continue;
    }
    EXPECT_NEAR(bh[i], expected[i], 1e-12) << i;
    EXPECT_NEAR(by[i], std::min(1.0, expected[i] * harmonic), 1e-12) << i;
  }
}

TEST(Multiple, PIsNeverZeroAndTiesCount) {
  std::vector<double> const seen{0.5, std::nan(""), 0.2};
  std::vector<std::uint64_t> const exceed{0, 0, 4};
  auto const p = permutation_p(seen, exceed, 9);
  EXPECT_DOUBLE_EQ(p[0], 0.1);
  EXPECT_TRUE(std::isnan(p[1]));
  EXPECT_DOUBLE_EQ(p[2], 0.5);
  std::vector<double> const max{0.1, 0.5 - 1e-13, 0.3, 0.6};
  auto const corrected = maximum_p(seen, max);
  EXPECT_DOUBLE_EQ(corrected[0], 0.6);
  EXPECT_DOUBLE_EQ(corrected[2], 0.8);
}

TEST(Cross, BlocksGiveWhatRowsGive) {
  std::size_t const blocks = 5, length = 3, rows = blocks * length, width = cross_lanes;
  std::vector<float> y(rows * width), f(rows * width);
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] = std::sin(static_cast<float>(i)), f[i] = std::cos(static_cast<float>(3 * i + 1));
  std::vector<float> gram(blocks * blocks * width);
  std::vector<double> direct(width), sum(width, 0), plain(width, 0);
  block_cross(y.data(), f.data(), blocks, length, gram.data());
  Rows const order{3, 0, 4, 2, 1};
  Rows source;
  for (auto b : order)
    for (std::uint32_t r = 0; r < length; ++r) source.push_back(b * 3 + r);
  permuted_cross(y.data(), f.data(), source.data(), nullptr, rows, direct.data());
  add_blocks(gram.data(), order.data(), blocks, sum.data());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t t = 0; t < width; ++t)
      plain[t] += static_cast<double>(y[source[i] * width + t]) * static_cast<double>(f[i * width + t]);
  for (std::size_t t = 0; t < width; ++t) {
    EXPECT_NEAR(direct[t], plain[t], 1e-5);  // sums of a few float32 products
    EXPECT_NEAR(sum[t], plain[t], 1e-5);
  }
}

}  // namespace
}  // namespace striate
