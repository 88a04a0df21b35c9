#include "striate/math/skinny.hpp"

#include <algorithm>
#include <cstring>

// One source for every instruction set, as in the epilogues of models: the lanes are the same in each.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define STRIATE_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define STRIATE_CLONES
#endif

namespace striate {
namespace {

using Doubles = double __attribute__((vector_size(64)));
constexpr std::size_t lanes = 8;

double sum(Doubles const& v) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

/// Products of two columns with four vectors over rows [first, last): out[b] and out[4 + b].
STRIATE_CLONES void dots(double const* a0, double const* a1, double const* x, std::size_t ldx, std::size_t first,
                         std::size_t last, double* out) {
  static_assert(skinny_columns == 4);
  double const *x0 = x, *x1 = x + ldx, *x2 = x + 2 * ldx, *x3 = x + 3 * ldx;
  Doubles s00{}, s01{}, s02{}, s03{}, s10{}, s11{}, s12{}, s13{};
  std::size_t i = first;
  for (; i + lanes <= last; i += lanes) {
    Doubles a, b, v;
    std::memcpy(&a, a0 + i, sizeof a);
    std::memcpy(&b, a1 + i, sizeof b);
    std::memcpy(&v, x0 + i, sizeof v);
    s00 += a * v;
    s10 += b * v;
    std::memcpy(&v, x1 + i, sizeof v);
    s01 += a * v;
    s11 += b * v;
    std::memcpy(&v, x2 + i, sizeof v);
    s02 += a * v;
    s12 += b * v;
    std::memcpy(&v, x3 + i, sizeof v);
    s03 += a * v;
    s13 += b * v;
  }
  double rest[2 * skinny_columns] = {sum(s00), sum(s01), sum(s02), sum(s03), sum(s10), sum(s11), sum(s12), sum(s13)};
  for (; i < last; ++i) {
    for (std::size_t c = 0; c < skinny_columns; ++c) {
      rest[c] += a0[i] * x[i + c * ldx];
      rest[skinny_columns + c] += a1[i] * x[i + c * ldx];
    }
  }
  std::copy_n(rest, 2 * skinny_columns, out);
}

}  // namespace

void skinny_product(Part part, std::size_t n, double const* a, std::size_t lda, double const* x, std::size_t ldx,
                    std::size_t count, double* out, std::size_t ldo) {
  std::size_t const apart = count == skinny_columns ? ldx : 0;  // of fewer vectors the first stands for all
  std::size_t const groups = count == skinny_columns ? 1 : count;
  for (std::size_t g = 0; g < groups; ++g) {
    double const* from = x + g * ldx;
    std::size_t const columns = groups == 1 && count == skinny_columns ? skinny_columns : 1;
    for (std::size_t j = 0; j < n; j += 2) {
      bool const pair = j + 1 < n;
      std::size_t const first = part == Part::lower ? j + (pair ? 1 : 0) : 0, last = part == Part::upper ? j + 1 : n;
      double const *a0 = a + j * lda, *a1 = pair ? a0 + lda : a0;
      double sums[2 * skinny_columns];
      dots(a0, a1, from, apart, first, last, sums);
      for (std::size_t c = 0; c < columns; ++c) {
        double const* v = from + c * apart;
        double* to = out + (g + c) * ldo + j;
        to[0] = sums[c] + (part == Part::lower && pair ? a0[j] * v[j] : 0);
        if (pair) {
          to[1] = sums[skinny_columns + c] + (part == Part::upper ? a1[j + 1] * v[j + 1] : 0);
        }
      }
    }
  }
}

}  // namespace striate
