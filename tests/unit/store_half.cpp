#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "striate/store/half.hpp"

using namespace striate;

namespace {

/// The value of a half by its definition.
double value_of(std::uint16_t h) {
  int const e = h >> 10 & 31, m = h & 1023;
  double const v = e == 0 ? std::ldexp(m, -24) : std::ldexp(1024 + m, e - 25);
  return h & 0x8000 ? -v : v;
}

}  // namespace

TEST(Half, EveryPatternComesBack) {
  std::vector<std::uint16_t> all(65536), back(65536);
  std::vector<float> floats(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = std::uint16_t(i);
  from_half(all.data(), all.size(), floats.data());
  std::size_t const overflow = to_half(floats.data(), floats.size(), back.data());
  EXPECT_EQ(overflow, 0u);  // infinities were infinite before
  for (std::uint32_t i = 0; i < 65536; ++i) {
    auto const h = std::uint16_t(i);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(from_half(h)), std::bit_cast<std::uint32_t>(floats[i])) << i;
    if ((h & 0x7c00) == 0x7c00 && (h & 1023)) {
      EXPECT_TRUE(std::isnan(floats[i]));
      EXPECT_EQ(back[i], h | 0x200) << "a NaN becomes quiet";
    } else {
      if ((h & 0x7c00) != 0x7c00) {
        EXPECT_EQ(double(floats[i]), value_of(h)) << i;
      }
      EXPECT_EQ(back[i], h);
      EXPECT_EQ(to_half(floats[i]), h);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  // Against the definition: the nearest of all finite halves, the even one of two that are equally near.
  std::vector<std::uint16_t> finite;
  for (std::uint32_t h = 0; h < 0x7c00; ++h) finite.push_back(std::uint16_t(h));
  std::mt19937 random(7);
  std::vector<float> in;
  for (int i = 0; i < 20000; ++i) {
    float const f = std::bit_cast<float>(std::uint32_t(random()) & 0x7fffffffu);
    if (f < 65520.f) in.push_back(f);
    std::uint16_t const h = std::uint16_t(random() % 0x7bff);
    in.push_back(float((value_of(h) + value_of(std::uint16_t(h + 1))) / 2));  // ties
    in.push_back(std::nextafter(in.back(), 0.f));
    in.push_back(float(value_of(h) * (1 + (random() % 1000) * 1e-6)));
  }
  for (float f : in) {
    if (f >= 65520.f) continue;
    auto const up = std::lower_bound(finite.begin(), finite.end(), f, [](std::uint16_t h, float x) { return value_of(h) < double(x); });
    std::uint16_t expected;
    if (up == finite.end()) {
      expected = 0x7bff;
    } else if (up == finite.begin()) {
      expected = *up;
    } else {
      double const above = value_of(*up) - double(f), below = double(f) - value_of(*(up - 1));
      expected = above < below ? *up : below < above ? *(up - 1) : (*up & 1 ? *(up - 1) : *up);
    }
    ASSERT_EQ(to_half(f), expected) << f;
    ASSERT_EQ(to_half(-f), expected | 0x8000) << -f;
    std::vector<float> eight(9, f);
    std::vector<std::uint16_t> out(9);
    to_half(eight.data(), 9, out.data());
    ASSERT_EQ(out[0], expected) << f << " by the vector instruction";
    ASSERT_EQ(out[8], expected);
  }
}

TEST(Half, CountsOverflow) {
  float const inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> const in{65504.f, 65519.99f, 65520.f, -1e30f, inf, -inf, nan, 1.f, 3e38f};
  std::vector<std::uint16_t> out(in.size());
  EXPECT_EQ(to_half(in.data(), in.size(), out.data()), 3u);
  EXPECT_EQ(out[0], 0x7bff);
  EXPECT_EQ(out[1], 0x7bff);
  EXPECT_EQ(out[2], 0x7c00);
  EXPECT_EQ(out[3], 0xfc00);
  EXPECT_EQ(to_half(nan) & 0x7fff, 0x7e00);
}
