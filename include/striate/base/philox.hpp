#pragma once
/// Counter-based random numbers (Philox4x32-10; Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
///
/// A stream is named by (seed, purpose, index), so that draw 17 of permutation 4 is the same on any rank of any number
/// of ranks. Purposes are constants or hashes of a text; two uses never share one.
#include <array>
#include <cstdint>
#include <vector>

namespace striate {

/// One block: 128 random bits from a 128-bit counter and a 64-bit key.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                      std::array<std::uint32_t, 2> key) noexcept;

class Philox {
 public:
  Philox(std::uint64_t seed, std::uint64_t purpose, std::uint64_t index) noexcept;
  std::uint32_t next() noexcept;
  std::uint64_t next64() noexcept;
  double uniform() noexcept;                          ///< [0, 1), 53 bits
  std::uint64_t below(std::uint64_t bound) noexcept;  ///< [0, bound), unbiased; bound >= 1
  double normal() noexcept;                           ///< mean 0, variance 1 (Box and Muller 1958)

 private:
  std::array<std::uint32_t, 4> counter_{};
  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 4> block_{};
  int left_ = 0;
  double spare_ = 0;
  bool has_spare_ = false;
};

/// A random order of 0 … n-1 (Fisher and Yates).
[[nodiscard]] std::vector<std::uint64_t> permutation(std::uint64_t seed, std::uint64_t purpose, std::uint64_t index,
                                                     std::uint64_t n);

}  // namespace striate
