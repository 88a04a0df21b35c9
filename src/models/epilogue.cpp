#include "epilogue.hpp"

#include <cstring>

// One source for every instruction set; the lanes (and so the order of summation) are the same in each. Which clone
// runs depends on the CPU alone.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define STRIATE_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define STRIATE_CLONES
#endif

namespace striate::detail {
namespace {

using Doubles = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));
constexpr std::size_t lanes = 8;

}  // namespace

STRIATE_CLONES void prediction_sums(float const* p, std::size_t n, std::size_t stride, std::size_t count,
                                    double const* y, Sums* out) {
  std::size_t const whole = n / (2 * lanes) * (2 * lanes);
  for (std::size_t c = 0; c < count; ++c) {
    float const* column = p + c * stride;
    Doubles f0{}, f1{}, ff0{}, ff1{}, fy0{}, fy1{};
    for (std::size_t i = 0; i < whole; i += 2 * lanes) {
      Floats a, b;
      Doubles ya, yb;
      std::memcpy(&a, column + i, sizeof a);
      std::memcpy(&b, column + i + lanes, sizeof b);
      std::memcpy(&ya, y + i, sizeof ya);
      std::memcpy(&yb, y + i + lanes, sizeof yb);
      Doubles const da = __builtin_convertvector(a, Doubles), db = __builtin_convertvector(b, Doubles);
      f0 += da;
      f1 += db;
      ff0 += da * da;
      ff1 += db * db;
      fy0 += da * ya;
      fy1 += db * yb;
    }
    f0 += f1;
    ff0 += ff1;
    fy0 += fy1;
    Sums s;
    for (std::size_t l = 0; l < lanes; ++l) {
      s.f += f0[l];
      s.ff += ff0[l];
      s.fy += fy0[l];
    }
    for (std::size_t i = whole; i < n; ++i) {
      double const d = column[i];
      s.f += d;
      s.ff += d * d;
      s.fy += d * y[i];
    }
    out[c] = s;
  }
}

void test_responses(float const* y, unsigned const* rows, std::size_t n, double mean, double* out, double& sum,
                    double& square) {
  double s = 0, ss = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double const v = static_cast<double>(y[rows[i]]) - mean;
    out[i] = v;
    s += v;
    ss += v * v;
  }
  sum = s;
  square = ss;
}

}  // namespace striate::detail
