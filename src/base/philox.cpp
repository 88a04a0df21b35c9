#include "striate/base/philox.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace striate {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) noexcept {
  for (int round = 0; round < 10; ++round) {
    std::uint64_t const a = std::uint64_t{0xD2511F53} * c[0], b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(a)};
    k[0] += 0x9E3779B9, k[1] += 0xBB67AE85;
  }
  return c;
}

// The key is the seed; the upper half of the counter is a block of (purpose, index) under the same seed, so that
// streams of different names meet with probability 2^-64, and the lower half counts 2^64 blocks of each.
Philox::Philox(std::uint64_t seed, std::uint64_t purpose, std::uint64_t index) noexcept
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {
  auto const name = philox4x32({static_cast<std::uint32_t>(purpose), static_cast<std::uint32_t>(purpose >> 32),
                                static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)},
                               {key_[0] ^ 0x73747269u, key_[1] ^ 0x61746521u});
  counter_ = {0, 0, name[0], name[1]};
}

std::uint32_t Philox::next() noexcept {
  if (left_ == 0) {
    block_ = philox4x32(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    left_ = 4;
  }
  return block_[static_cast<std::size_t>(4 - left_--)];
}

std::uint64_t Philox::next64() noexcept {
  std::uint64_t const low = next();
  return low | std::uint64_t{next()} << 32;
}

double Philox::uniform() noexcept { return static_cast<double>(next64() >> 11) * 0x1p-53; }

std::uint64_t Philox::below(std::uint64_t bound) noexcept {
  std::uint64_t const reject = (0 - bound) % bound;  // values below would make small results likelier
  std::uint64_t x = next64();
  while (x < reject) x = next64();
  return x % bound;
}

double Philox::normal() noexcept {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double const u = 1.0 - uniform(), angle = 2 * std::numbers::pi * uniform();  // u in (0, 1]
  double const radius = std::sqrt(-2 * std::log(u));
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::vector<std::uint64_t> permutation(std::uint64_t seed, std::uint64_t purpose, std::uint64_t index,
                                       std::uint64_t n) {
  std::vector<std::uint64_t> order(n);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  Philox random(seed, purpose, index);
  for (std::uint64_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace striate
