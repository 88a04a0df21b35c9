#include "striate/math/panel_product.hpp"

#include <algorithm>
#include <cstring>

namespace striate {
namespace {

constexpr std::size_t depth_block = 256;  // 48 × 256 floats of A stay in the first-level cache
constexpr std::size_t width_block = 512;  // 256 × 512 floats of B in the second

// C (48 × 8, leading dimension ldc) = [C +] A B over `depth` steps; a: depth × 48, b: depth × 8. One body for every
// instruction set: LANES floats a vector, COLS columns at a time so that the sums fit the registers.
#define STRIATE_KERNEL(NAME, ATTRIBUTE, LANES, COLS)                                                               \
  ATTRIBUTE void NAME(float const* a, float const* b, std::size_t depth, float* c, std::size_t ldc, bool add) {    \
    using Vector = float __attribute__((vector_size(LANES * 4)));                                                  \
    for (std::size_t half = 0; half < panel_rows; half += 3 * LANES) {                                             \
      for (std::size_t first = 0; first < sliver; first += COLS) {                                                 \
        Vector sum[COLS][3];                                                                                       \
        for (std::size_t j = 0; j < COLS; ++j) {                                                                   \
          sum[j][0] = sum[j][1] = sum[j][2] = Vector{};                                                            \
        }                                                                                                          \
        float const* ak = a + half;                                                                                \
        float const* bk = b + first;                                                                               \
        for (std::size_t k = 0; k < depth; ++k, ak += panel_rows, bk += sliver) {                                  \
          Vector a0, a1, a2;                                                                                       \
          std::memcpy(&a0, ak, sizeof a0);                                                                         \
          std::memcpy(&a1, ak + LANES, sizeof a1);                                                                 \
          std::memcpy(&a2, ak + 2 * LANES, sizeof a2);                                                             \
          _Pragma("GCC unroll 8") for (std::size_t j = 0; j < COLS; ++j) {                                         \
            Vector const bj = Vector{} + bk[j];                                                                    \
            sum[j][0] += a0 * bj;                                                                                  \
            sum[j][1] += a1 * bj;                                                                                  \
            sum[j][2] += a2 * bj;                                                                                  \
          }                                                                                                        \
        }                                                                                                          \
        for (std::size_t j = 0; j < COLS; ++j) {                                                                   \
          float* out = c + half + (first + j) * ldc;                                                               \
          for (std::size_t v = 0; v < 3; ++v) {                                                                    \
            Vector old;                                                                                            \
            std::memcpy(&old, out + v * LANES, sizeof old);                                                        \
            Vector const now = add ? old + sum[j][v] : sum[j][v];                                                  \
            std::memcpy(out + v * LANES, &now, sizeof now);                                                        \
          }                                                                                                        \
        }                                                                                                          \
      }                                                                                                            \
    }                                                                                                              \
  }

using Kernel = void (*)(float const*, float const*, std::size_t, float*, std::size_t, bool);
struct Choice {
  Kernel run;
  char const* name;
};

STRIATE_KERNEL(generic_kernel, , 4, 4)
#if defined(__x86_64__)
STRIATE_KERNEL(avx2_kernel, __attribute__((target("avx2,fma"))), 8, 4)
STRIATE_KERNEL(avx512_kernel, __attribute__((target("avx512f,avx512vl,avx512dq"))), 16, 8)
#endif

Choice const& choice() {
  static Choice const chosen = [] {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
      return Choice{avx512_kernel, "AVX-512"};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return Choice{avx2_kernel, "AVX2"};
    }
#endif
    return Choice{generic_kernel, "generic"};
  }();
  return chosen;
}

}  // namespace

char const* panel_product_kernel() { return choice().name; }

void pack_panel(float const* a, std::size_t row_stride, std::size_t depth_stride, std::size_t rows, std::size_t depth,
                std::size_t panel, float* out) {
  std::size_t const first = panel * panel_rows, count = std::min(panel_rows, rows - first);
  constexpr std::size_t block = 64;
  for (std::size_t kb = 0; kb < depth; kb += block) {
    std::size_t const end = std::min(depth, kb + block);
    for (std::size_t r = 0; r < count; ++r) {
      float const* row = a + (first + r) * row_stride;
      for (std::size_t k = kb; k < end; ++k) {
        out[k * panel_rows + r] = row[k * depth_stride];
      }
    }
    for (std::size_t k = kb; k < end; ++k) {
      std::fill(out + k * panel_rows + count, out + (k + 1) * panel_rows, 0.0F);
    }
  }
}

void panel_product(float const* packed, std::size_t rows, std::size_t depth, float const* b, std::size_t ldb, std::size_t cols, float* c,
                   Buffer<float>& scratch) {
  Kernel const kernel = choice().run;
  std::size_t const ldc = padded_rows(rows);
  float* slivers = scratch.grow(depth_block * width_block);
  if (depth == 0) {
    std::fill_n(c, ldc * cols, 0.0F);
  }
  for (std::size_t j0 = 0; j0 < cols; j0 += width_block) {
    std::size_t const width = std::min(width_block, cols - j0);
    for (std::size_t k0 = 0; k0 < depth; k0 += depth_block) {
      std::size_t const kc = std::min(depth_block, depth - k0);
      for (std::size_t j = 0; j < width; ++j) {
        float const* from = b + k0 + (j0 + j) * ldb;
        float* to = slivers + j / sliver * sliver * kc + j % sliver;
        for (std::size_t k = 0; k < kc; ++k) {
          to[k * sliver] = from[k];
        }
      }
      for (std::size_t i = 0; i < ldc; i += panel_rows) {
        float const* a = packed + i * depth + k0 * panel_rows;
        for (std::size_t j = 0; j < width; j += sliver) {
          kernel(a, slivers + j * kc, kc, c + i + (j0 + j) * ldc, ldc, k0 > 0);
        }
      }
    }
  }
}

}  // namespace striate
