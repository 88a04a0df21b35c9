// The best single unit under the null: the search is paid for, by held-out scores and by permutations.
#include <numeric>

#include "models_common.hpp"
#include "striate/base/philox.hpp"
#include "striate/models/univariate.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/permute.hpp"

namespace striate {
namespace {

using namespace testing;

std::vector<FoldPlan> plans(std::size_t n, std::size_t folds = 4) {
  CvSpec outer;
  outer.folds = folds;
  CvColumns columns;
  columns.rows = n;
  return fold_plans(outer, {.kind = CvSpec::Kind::none}, columns);
}

std::vector<float> normals(std::size_t count, std::uint64_t stream) {
  Philox draw(stream, 7, 0);
  std::vector<float> values(count);
  for (float& v : values) {
    v = static_cast<float>(draw.normal());
  }
  return values;
}

/// Among thousands of units some correlate with any target in the training rows; held-out rows know nothing of it.
TEST(UnivariateNull, NoiseScoresZeroWithinItsError) {
  std::size_t const n = 60, p = 3000, t = 300;
  auto const x = normals(n * p, 1), y = normals(n * t, 2);
  MemorySource const source({x.data(), n, p});
  auto const team = serial_team();
  std::vector<double> mean(t, 0);
  double found = 0;
  auto const all = plans(n);
  for (auto const& plan : all) {
    TileResult r;
    Workspace work;
    make_univariate({})->prepare({source}, plan, *team, plenty)->tile({y.data(), n, t}, r, work);
    for (std::size_t c = 0; c < t; ++c) {
      mean[c] += r.score[c] / static_cast<double>(all.size());
      found += std::abs(r.extra[c]) / static_cast<double>(t * all.size());
    }
  }
  double const average = std::accumulate(mean.begin(), mean.end(), 0.0) / t;
  double square = 0;
  for (double v : mean) {
    square += (v - average) * (v - average);
  }
  EXPECT_LT(std::abs(average), 3.5 * std::sqrt(square / (t - 1) / t));
  EXPECT_GT(found, 0.4);  // what scoring the search on its own rows would have claimed
}

/// The search is repeated for each rearrangement of the responses, so that p pays for it.
TEST(UnivariateNull, PIsUniformUnderTheNull) {
  std::size_t const n = 24, p = 40, t = 6, P = 39, runs = 400;
  auto const team = serial_team();
  auto const all = plans(n, 3);
  std::vector<double> values;
  for (std::size_t run = 0; run < runs; ++run) {
    auto const x = normals(n * p, 100 + 2 * run), y = normals(n * t, 101 + 2 * run);
    MemorySource const source({x.data(), n, p});
    std::vector<std::unique_ptr<FittedFold>> folds;
    for (auto const& plan : all) {
      folds.push_back(make_univariate({})->prepare({source}, plan, *team, plenty));
    }
    TileResult r;
    Workspace work;
    auto const scores = [&](std::vector<float> const& of) {
      std::vector<double> sum(t, 0);
      for (auto const& fold : folds) {
        fold->tile({of.data(), n, t}, r, work);
        std::transform(sum.begin(), sum.end(), r.score.begin(), sum.begin(), std::plus<>());
      }
      return sum;
    };
    auto const seen = scores(y);
    std::vector<std::uint64_t> exceed(t, 0);
    PermutationSpec spec;
    spec.seed = run;
    Permuter const permuter(spec, n);
    for (std::size_t i = 0; i < P; ++i) {
      std::vector<std::uint32_t> from;
      std::vector<float> sign, moved(n * t);
      permuter.make(i, from, sign);
      for (std::size_t k = 0; k < n * t; ++k) {
        moved[k] = y[k / n * n + from[k % n]];
      }
      auto const now = scores(moved);
      for (std::size_t c = 0; c < t; ++c) {
        exceed[c] += reaches(now[c], seen[c]) ? 1 : 0;
      }
    }
    auto const part = permutation_p(seen, exceed, P);
    values.insert(values.end(), part.begin(), part.end());
  }
  std::ranges::sort(values);
  double distance = 0;  // Kolmogorov and Smirnov's, at the values that p can take
  for (std::size_t j = 1; j <= P + 1; ++j) {
    double const at = static_cast<double>(j) / (P + 1);
    auto const below = static_cast<double>(std::ranges::upper_bound(values, at + 1e-9) - values.begin());
    distance = std::max(distance, std::abs(below / static_cast<double>(values.size()) - at));
  }
  EXPECT_LT(distance * std::sqrt(static_cast<double>(values.size())), 1.63);  // exceeded once in a hundred
}

}  // namespace
}  // namespace striate
