// What corrections by whole maps must be: a family-wise error of 5 % where there is nothing, however smooth the map is, and
// more found than by the maximum where a signal is weak but wide.
//
// STRIATE_REPETITIONS=5000 build/tests/test_spatial_statistics is the long form; 500 by default.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "striate/base/philox.hpp"
#include "striate/stats/clusters.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/permute.hpp"

namespace striate {
namespace {

std::size_t repetitions() {
  char const* const given = std::getenv("STRIATE_REPETITIONS");
  return given != nullptr ? std::strtoul(given, nullptr, 10) : 500;
}

constexpr std::uint64_t side = 6;
constexpr std::size_t n = 20, t = side * side * side, P = 79;
constexpr double threshold = 0.35;

/// How often a family of tests has a p of at most 0.05.
struct Found {
  double max = 0, tfce = 0, size = 0, mass = 0;
};

/// A predictor, and voxels whose noise neighbours share; those of a cube read the predictor at `signal`.
class Experiment {
 public:
  Experiment(std::uint64_t seed, double signal, Neighbours const& neighbours) : neighbours_(neighbours), tfce_(neighbours) {
    Philox draw(seed, 77, 0);
    std::vector<double> rough(t);
    x_.resize(n), y_.resize(n * t);
    for (double& x : x_) x = draw.normal();
    for (std::size_t i = 0; i < n; ++i) {
      for (double& v : rough) v = draw.normal();
      for (std::size_t v = 0; v < t; ++v) {
        double sum = rough[v];
        for (auto u : neighbours.of(v)) sum += rough[u];
        std::size_t const x = v / (side * side), y = v / side % side, z = v % side;
        bool const inside = x < 4 && y < 4 && z < 4;
        y_[i * t + v] = sum / std::sqrt(static_cast<double>(neighbours.of(v).size() + 1)) + (inside ? signal * x_[i] : 0);
      }
    }
    PermutationSpec spec;
    spec.seed = seed;
    Permuter const permuter(spec, n);
    std::vector<std::uint32_t> source(n);
    std::iota(source.begin(), source.end(), 0U);
    observed_ = statistics(source);
    std::vector<float> sign;
    for (std::size_t i = 0; i < P; ++i) {
      permuter.make(i, source, sign);
      Maxima const m = statistics(source);
      over_.max += reaches(m.max, observed_.max) ? 1 : 0;
      over_.tfce += reaches(m.tfce, observed_.tfce) ? 1 : 0;
      over_.size += m.size >= observed_.size ? 1 : 0;
      over_.mass += reaches(m.mass, observed_.mass) ? 1 : 0;
    }
  }
  void count(Found& found) const {
    auto const small = [](double over) { return (over + 1) / (P + 1) <= 0.05 ? 1.0 : 0.0; };
    found.max += small(over_.max), found.tfce += small(over_.tfce);
    found.size += small(over_.size), found.mass += small(over_.mass);
  }

 private:
  using Maxima = Found;
  Maxima statistics(std::vector<std::uint32_t> const& source) {
    std::vector<double> sum(t, 0), square(t, 0), cross(t, 0), enhanced(t);
    double mean = 0, variance = 0;
    for (double x : x_) mean += x / n;
    for (double x : x_) variance += (x - mean) * (x - mean);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t v = 0; v < t; ++v) {
        double const y = y_[source[i] * t + v];
        sum[v] += y, square[v] += y * y, cross[v] += (x_[i] - mean) * y;
      }
    std::vector<float> map(t);
    for (std::size_t v = 0; v < t; ++v)
      map[v] = static_cast<float>(cross[v] / std::sqrt(variance * (square[v] - sum[v] * sum[v] / n)));
    tfce_.enhance(map, enhanced);
    auto const c = clusters(neighbours_, map, threshold);
    Maxima m;
    m.max = std::ranges::max(map), m.tfce = std::ranges::max(enhanced);
    for (auto s : c.size) m.size = std::max(m.size, static_cast<double>(s));
    for (auto s : c.mass) m.mass = std::max(m.mass, s);
    return m;
  }

  Neighbours const& neighbours_;
  Tfce tfce_;
  std::vector<double> x_, y_;
  Maxima observed_, over_;
};

Found run(std::size_t runs, double signal) {
  std::vector<std::uint64_t> index(t);
  std::iota(index.begin(), index.end(), std::uint64_t{0});
  auto const neighbours = grid_neighbours({side, side, side}, index, 26);
  Found found;
  for (std::size_t r = 0; r < runs; ++r) Experiment(3000 + r, signal, neighbours).count(found);
  for (double* f : {&found.max, &found.tfce, &found.size, &found.mass}) *f /= static_cast<double>(runs);
  std::printf("share of maps with p <= 0.05: maximum %.4f, tfce %.4f, cluster size %.4f, mass %.4f\n", found.max, found.tfce,
              found.size, found.mass);
  return found;
}

/// Twice and a half the standard error of a share of 0.05.
double allowed() { return 2.5 * std::sqrt(0.05 * 0.95 / static_cast<double>(repetitions())); }

TEST(SpatialStatistics, UnderTheNullTheFamilyErrsInOneOfTwenty) {
  Found const f = run(repetitions(), 0);
  for (double share : {f.max, f.tfce, f.mass}) EXPECT_NEAR(share, 0.05, allowed());
  EXPECT_LT(f.size, 0.05 + allowed());  // sizes tie, which can only make p greater
  EXPECT_GT(f.size, 0.02);
}

TEST(SpatialStatistics, AWideSignalIsFoundMoreOftenThanByTheMaximum) {
  Found const f = run(repetitions() / 4, 0.45);
  EXPECT_GT(f.tfce, f.max + 0.05);
  EXPECT_GT(f.mass, f.max + 0.05);
}

}  // namespace
}  // namespace striate
