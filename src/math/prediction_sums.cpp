#include "striate/math/prediction_sums.hpp"

#include <cstring>

#include "striate/math/clones.hpp"

namespace striate {
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

/// A lane is a prediction, so that nothing is summed across lanes and short folds cost no more than their rows.
STRIATE_CLONES void combined_sums(float const* p, std::size_t n, std::size_t stride, std::size_t q, float const* weight,
                                  std::size_t width, double const* y, Sums* out) {
  static_assert(combined_lanes == lanes);
  for (std::size_t first = 0; first < width; first += lanes) {
    Doubles f{}, ff{}, fy{};
    for (std::size_t i = 0; i < n; ++i) {
      Floats v{};
      for (std::size_t j = 0; j < q; ++j) {
        Floats w;
        std::memcpy(&w, weight + j * width + first, sizeof w);
        v += w * p[j * stride + i];
      }
      Doubles const d = __builtin_convertvector(v, Doubles);
      f += d;
      ff += d * d;
      fy += d * y[i];
    }
    for (std::size_t l = 0; l < lanes; ++l) out[first + l] = {f[l], ff[l], fy[l]};
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

}  // namespace striate
