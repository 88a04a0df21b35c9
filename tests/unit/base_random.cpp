/// Random numbers and checksums against published answers.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "striate/base/hash.hpp"
#include "striate/base/philox.hpp"

using namespace striate;

// Random123's kat_vectors, philox4x32 10.
TEST(Philox, KnownAnswers) {
  using Block = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StreamsAreTheirNames) {
  Philox a(1, 2, 3), same(1, 2, 3), seed(2, 2, 3), purpose(1, 3, 3), index(1, 2, 4);
  auto const first = a.next64();
  EXPECT_EQ(first, same.next64());
  std::set<std::uint64_t> const all{first, seed.next64(), purpose.next64(), index.next64()};
  EXPECT_EQ(all.size(), 4u);
}

TEST(Philox, MomentsOfTheDistributions) {
  Philox random(5, 1, 0);
  double sum = 0, squares = 0, uniform = 0, cubes = 0;
  int const n = 200000;
  for (int i = 0; i < n; ++i) {
    double const x = random.normal();
    sum += x, squares += x * x, cubes += x * x * x;
    uniform += random.uniform();
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(cubes / n, 0, 5 * std::sqrt(15.0 / n));
  EXPECT_NEAR(uniform / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  int count[3] = {};
  for (int i = 0; i < 30000; ++i) ++count[random.below(3)];
  for (int c : count) EXPECT_NEAR(c, 10000, 5 * std::sqrt(30000 * 2.0 / 9));
}

TEST(Philox, PermutationsHoldEachOnce) {
  auto const p = permutation(1, 2, 3, 100);
  EXPECT_EQ(std::set(p.begin(), p.end()).size(), 100u);
  EXPECT_EQ(*std::max_element(p.begin(), p.end()), 99u);
  EXPECT_NE(p, permutation(1, 2, 4, 100));
  // Every order of three equally often.
  std::map<std::vector<std::uint64_t>, int> seen;
  for (std::uint64_t i = 0; i < 6000; ++i) ++seen[permutation(7, 1, i, 3)];
  ASSERT_EQ(seen.size(), 6u);
  for (auto const& [order, times] : seen) EXPECT_NEAR(times, 1000, 150);
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);  // RFC 3720's check value
  std::string const zeros(32, '\0');
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8A9136AAu);
  EXPECT_EQ(crc32c("56789", 5, crc32c("1234", 4)), 0xE3069283u);
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
