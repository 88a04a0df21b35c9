#include "striate/math/panel_product.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace striate {
namespace {

constexpr std::size_t depth_block = 256;  // 48 × 256 floats of A stay in the first-level cache
constexpr std::size_t width_block = 512;  // 256 × 512 floats of B in the second

// C (48 × 8, leading dimension ldc) = [C +] A B over `depth` steps; a: three panels (depth × 16) `next` floats apart,
// b: depth × 8. One body for every instruction set: LANES floats a vector, COLS columns at a time so that the sums fit
// the registers.
#define STRIATE_KERNEL(NAME, ATTRIBUTE, LANES, COLS)                                                                  \
  ATTRIBUTE void NAME(float const* a, std::size_t next, float const* b, std::size_t depth, float* c, std::size_t ldc, \
                      bool add) {                                                                                     \
    using Vector = float __attribute__((vector_size(LANES * 4)));                                                     \
    for (std::size_t part = 0; part < panel_rows; part += LANES) {                                                    \
      for (std::size_t first = 0; first < sliver; first += COLS) {                                                    \
        Vector sum[COLS][3];                                                                                          \
        for (std::size_t j = 0; j < COLS; ++j) {                                                                      \
          sum[j][0] = sum[j][1] = sum[j][2] = Vector{};                                                               \
        }                                                                                                             \
        float const* ak = a + part;                                                                                   \
        float const* bk = b + first;                                                                                  \
        for (std::size_t k = 0; k < depth; ++k, ak += panel_rows, bk += sliver) {                                     \
          Vector a0, a1, a2;                                                                                          \
          std::memcpy(&a0, ak, sizeof a0);                                                                            \
          std::memcpy(&a1, ak + next, sizeof a1);                                                                     \
          std::memcpy(&a2, ak + 2 * next, sizeof a2);                                                                 \
          _Pragma("GCC unroll 8") for (std::size_t j = 0; j < COLS; ++j) {                                            \
            Vector const bj = Vector{} + bk[j];                                                                       \
            sum[j][0] += a0 * bj;                                                                                     \
            sum[j][1] += a1 * bj;                                                                                     \
            sum[j][2] += a2 * bj;                                                                                     \
          }                                                                                                           \
        }                                                                                                             \
        for (std::size_t j = 0; j < COLS; ++j) {                                                                      \
          float* out = c + part + (first + j) * ldc;                                                                  \
          for (std::size_t v = 0; v < 3; ++v) {                                                                       \
            Vector old;                                                                                               \
            std::memcpy(&old, out + v * panel_rows, sizeof old);                                                      \
            Vector const now = add ? old + sum[j][v] : sum[j][v];                                                     \
            std::memcpy(out + v * panel_rows, &now, sizeof now);                                                      \
          }                                                                                                           \
        }                                                                                                             \
      }                                                                                                               \
    }                                                                                                                 \
  }

using Kernel = void (*)(float const*, std::size_t, float const*, std::size_t, float*, std::size_t, bool);
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

/// From depth after depth to row after row.
void transpose_panel(float* panel, std::size_t depth) {
  std::vector<float> const from(panel, panel + panel_rows * depth);
  for (std::size_t r = 0; r < panel_rows; ++r) {
    for (std::size_t k = 0; k < depth; ++k) {
      panel[r * depth + k] = from[k * panel_rows + r];
    }
  }
}

}  // namespace

char const* panel_product_kernel() { return choice().name; }

template <class T>
void pack_rows(PackSource<T> const& m, std::size_t rows, std::size_t depth, float* out, Packing packing) {
  for (std::size_t first = 0; first < rows; first += panel_rows) {
    std::size_t const count = std::min(panel_rows, rows - first);
    T const* row[panel_rows];
    double scale[panel_rows] = {}, shift[panel_rows] = {};
    for (std::size_t r = 0; r < panel_rows; ++r) {  // rows past the end repeat the last one, times zero
      std::size_t const at = first + std::min(r, count - 1);
      row[r] = m.from + at * m.row_stride;
      scale[r] = r < count ? (m.row_scale == nullptr ? 1.0 : m.row_scale[at]) : 0.0;
      shift[r] = m.row_shift == nullptr ? 0.0 : m.row_shift[at];
    }
    for (std::size_t k = 0; k < depth; ++k, out += panel_rows) {
      double const here = m.depth_scale == nullptr ? 1.0 : m.depth_scale[k];
      for (std::size_t r = 0; r < panel_rows; ++r) {
        double const x = static_cast<double>(row[r][k * m.depth_stride]) - shift[r];
        out[r] = static_cast<float>((x * m.factor + m.offset) * (scale[r] * here));
      }
    }
    if (packing == Packing::rows) {
      transpose_panel(out - panel_rows * depth, depth);
    }
  }
}

template void pack_rows(PackSource<float> const&, std::size_t, std::size_t, float*, Packing);
template void pack_rows(PackSource<double> const&, std::size_t, std::size_t, float*, Packing);

void panel_product(float const* packed, std::size_t rows, std::size_t depth, float const* b, std::size_t ldb,
                   std::size_t cols, float* c, Buffer<float>& scratch) {
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
      for (std::size_t i = 0; i < ldc; i += 3 * panel_rows) {
        float const* a = packed + i * depth + k0 * panel_rows;
        for (std::size_t j = 0; j < width; j += sliver) {
          kernel(a, panel_rows * depth, slivers + j * kc, kc, c + i + (j0 + j) * ldc, ldc, k0 > 0);
        }
      }
    }
  }
}

}  // namespace striate
