#include "epilogue.hpp"

#include <cstring>

#include "striate/math/clones.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

using Doubles = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));
constexpr std::size_t lanes = 8;

}  // namespace

STRIATE_CLONES void cumulative_sums(float const* packed, std::size_t rows, std::size_t depth, float const* z,
                                    double const* y, Sums* out) {
  static_assert(panel_rows == 2 * lanes);
  std::memset(static_cast<void*>(out), 0, (depth + 1) * sizeof(Sums));
  for (std::size_t first = 0; first < rows; first += panel_rows) {
    float const* at = packed + first * depth;
    Doubles f0{}, f1{}, y0, y1;
    std::memcpy(&y0, y + first, sizeof y0);
    std::memcpy(&y1, y + first + lanes, sizeof y1);
    for (std::size_t k = 0; k < depth; ++k) {
      Floats a, b;
      std::memcpy(&a, at + k * panel_rows, sizeof a);
      std::memcpy(&b, at + k * panel_rows + lanes, sizeof b);
      double const zk = z[k];
      f0 += __builtin_convertvector(a, Doubles) * zk;
      f1 += __builtin_convertvector(b, Doubles) * zk;
      Doubles const f = f0 + f1, ff = f0 * f0 + f1 * f1, fy = f0 * y0 + f1 * y1;
      Sums& s = out[k + 1];
      for (std::size_t l = 0; l < lanes; ++l) {
        s.f += f[l];
        s.ff += ff[l];
        s.fy += fy[l];
      }
    }
  }
}

}  // namespace striate::detail
