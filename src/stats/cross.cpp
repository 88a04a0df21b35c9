#include "striate/stats/cross.hpp"

#include <algorithm>
#include <cstring>

#include "striate/math/clones.hpp"

namespace striate {

STRIATE_CLONES void permuted_cross(float const* y, float const* f, std::uint32_t const* source, float const* sign,
                                   std::size_t rows, std::size_t width, double* out) {
  for (std::size_t first = 0; first < width; first += cross_lanes) {
    double sum[cross_lanes] = {};
    for (std::size_t i = 0; i < rows; ++i) {
      float const* const a = y + source[i] * width + first;
      float const* const b = f + i * width + first;
      double const s = sign == nullptr ? 1.0 : sign[i];
      for (std::size_t t = 0; t < cross_lanes; ++t)
        sum[t] += s * static_cast<double>(a[t]) * static_cast<double>(b[t]);
    }
    std::copy_n(sum, cross_lanes, out + first);
  }
}

STRIATE_CLONES void block_cross(float const* y, float const* f, std::size_t blocks, std::size_t length,
                                std::size_t width, double* gram) {
  for (std::size_t i = 0; i < blocks; ++i)
    for (std::size_t j = 0; j < blocks; ++j) {
      double* const out = gram + (i * blocks + j) * width;
      std::fill_n(out, width, 0.0);
      for (std::size_t r = 0; r < length; ++r) {
        float const* const a = y + (j * length + r) * width;
        float const* const b = f + (i * length + r) * width;
        for (std::size_t t = 0; t < width; ++t) out[t] += static_cast<double>(a[t]) * static_cast<double>(b[t]);
      }
    }
}

STRIATE_CLONES void add_blocks(double const* gram, std::uint32_t const* order, std::size_t blocks, std::size_t width,
                               double* out) {
  for (std::size_t i = 0; i < blocks; ++i) {
    double const* const row = gram + (i * blocks + order[i]) * width;
    for (std::size_t t = 0; t < width; ++t) out[t] += row[t];
  }
}

}  // namespace striate
