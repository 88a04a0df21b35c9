// Points of the simplex that banded ridge tries.
#include <cmath>

#include "striate/base/philox.hpp"
#include "striate/models/banded_ridge.hpp"

namespace striate {
namespace {

constexpr std::uint64_t purpose = 0x62616e64;  // "band"
constexpr std::size_t few = 4;                 ///< bands whose vertices and edges are tried

/// Gamma(shape, 1) (Marsaglia and Tsang 2000); below 1 from Gamma(shape + 1) u^(1/shape).
double gamma_draw(Philox& random, double shape) {
  double const d = shape + (shape < 1 ? 1 : 0) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  double value = 0;
  for (bool done = false; !done;) {
    double const x = random.normal(), v = std::pow(1 + c * x, 3), u = 1 - random.uniform();
    done = 1 + c * x > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v);
    value = d * v;
  }
  return shape < 1 ? value * std::pow(1 - random.uniform(), 1 / shape) : value;
}

std::vector<double> dirichlet(std::size_t bands, double concentration, Philox random) {
  std::vector<double> weights(bands);
  double sum = 0;
  for (auto& w : weights) {
    w = gamma_draw(random, concentration);
    sum += w;
  }
  for (auto& w : weights) {
    w = sum > 0 ? w / sum : 1 / static_cast<double>(bands);
  }
  return weights;
}

}  // namespace

std::vector<std::vector<double>> band_weights(std::size_t bands, std::size_t n_iter, std::uint64_t seed) {
  std::vector<std::vector<double>> all{std::vector<double>(bands, 1 / static_cast<double>(bands))};
  for (std::size_t b = 0; bands > 1 && bands <= few && b < bands; ++b) {
    all.emplace_back(bands, 0.0);
    all.back()[b] = 1;
  }
  for (std::size_t b = 0; bands > 2 && bands <= few && b < bands; ++b) {  // of two bands the middle is the first point
    for (std::size_t c = b + 1; c < bands; ++c) {
      all.emplace_back(bands, 0.0);
      all.back()[b] = all.back()[c] = 0.5;
    }
  }
  for (std::size_t i = all.size(); i < n_iter; ++i) {
    all.push_back(dirichlet(bands, i % 2 == 0 ? 0.1 : 1.0, Philox(seed, purpose, i)));
  }
  all.resize(bands == 1 ? 1 : n_iter);
  return all;
}

}  // namespace striate
