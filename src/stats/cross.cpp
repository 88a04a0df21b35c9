#include "striate/stats/cross.hpp"

#include <algorithm>
#include <cstring>

#include "striate/math/clones.hpp"

namespace striate {
namespace {

using Floats = float __attribute__((vector_size(64)));
using Doubles = double __attribute__((vector_size(64)));
using Half = float __attribute__((vector_size(32)));
constexpr std::size_t lanes = 16;
static_assert(cross_lanes == 2 * lanes);
constexpr std::size_t panel = 32;  ///< rows whose float32 products are summed before they are added in float64

}  // namespace

STRIATE_CLONES void permuted_cross(float const* y, float const* f, std::uint32_t const* source, float const* sign,
                                   std::size_t rows, double* out) {
  Doubles sum[4] = {};
  for (std::size_t begin = 0; begin < rows; begin += panel) {
    std::size_t const end = std::min(begin + panel, rows);
    Floats part[2] = {};
    for (std::size_t i = begin; i < end; ++i) {
      Floats a[2], b[2];
      std::memcpy(a, y + source[i] * cross_lanes, sizeof a);
      std::memcpy(b, f + i * cross_lanes, sizeof b);
      if (sign != nullptr) b[0] *= sign[i], b[1] *= sign[i];
      part[0] += a[0] * b[0];
      part[1] += a[1] * b[1];
    }
    Half halves[4];
    std::memcpy(halves, part, sizeof halves);
    for (std::size_t v = 0; v < 4; ++v) sum[v] += __builtin_convertvector(halves[v], Doubles);
  }
  std::memcpy(out, sum, sizeof sum);
}

STRIATE_CLONES void block_cross(float const* y, float const* f, std::size_t blocks, std::size_t length, float* gram) {
  for (std::size_t i = 0; i < blocks; ++i)
    for (std::size_t j = 0; j < blocks; ++j) {
      double out[cross_lanes] = {};
      for (std::size_t r = 0; r < length; ++r) {
        float const* const a = y + (j * length + r) * cross_lanes;
        float const* const b = f + (i * length + r) * cross_lanes;
        for (std::size_t t = 0; t < cross_lanes; ++t) out[t] += static_cast<double>(a[t]) * static_cast<double>(b[t]);
      }
      for (std::size_t t = 0; t < cross_lanes; ++t)
        gram[(i * blocks + j) * cross_lanes + t] = static_cast<float>(out[t]);
    }
}

STRIATE_CLONES void add_blocks(float const* gram, std::uint32_t const* order, std::size_t blocks, double* out) {
  Floats sum[2] = {};
  for (std::size_t i = 0; i < blocks; ++i) {
    Floats row[2];
    std::memcpy(row, gram + (i * blocks + order[i]) * cross_lanes, sizeof row);
    sum[0] += row[0];
    sum[1] += row[1];
  }
  for (std::size_t t = 0; t < cross_lanes; ++t) out[t] += static_cast<double>(sum[t / lanes][t % lanes]);
}

}  // namespace striate
