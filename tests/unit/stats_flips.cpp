// Sign flips of held-out improvements: against loops in numpy (tests/golden/make_flips.py), and how often chance
// passes.
//
// STRIATE_REPETITIONS=1000 build/tests/test_stats_flips is the long form; 40 feature matrices by default.
#include <fstream>
#include <sstream>

#include "models_common.hpp"
#include "striate/base/philox.hpp"
#include "striate/stats/flips.hpp"
#include "striate/stats/multiple.hpp"

namespace striate {
namespace {

using namespace testing;

Permuter signs(std::size_t blocks, std::uint64_t seed, std::uint64_t stream = 0xFFFFFFFF) {
  PermutationSpec spec;
  spec.shuffle = Shuffle::sign, spec.seed = seed, spec.stream = stream;
  return {spec, blocks};
}

TEST(Flips, AreThoseOfNumpy) {
  char const* source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/flips.txt");
  std::size_t tests = 0, blocks = 0, T = 0, n = 0, seed = 0;
  in >> tests >> blocks >> T >> n >> seed;
  ASSERT_EQ(tests, 2U);
  std::vector<double> sums((tests + 1) * blocks * T), statistic(tests * T), exceed(tests * T), max(tests * n);
  for (auto* values : {&sums, &statistic, &exceed, &max})
    for (double& v : *values) in >> v;
  ASSERT_TRUE(in.good() || in.eof());
  auto const got = flip_improvements(sums, tests, blocks, T, signs(blocks, seed), n);
  for (std::size_t i = 0; i < tests * T; ++i) {
    EXPECT_NEAR(got.statistic[i], statistic[i], 1e-12);
    EXPECT_EQ(static_cast<double>(got.exceed[i]), exceed[i]);
  }
  for (std::size_t i = 0; i < tests * n; ++i) EXPECT_NEAR(got.max[i], max[i], 1e-12);
  // A target by itself gets the same; one without a score gets none, and takes no part in the maxima.
  for (std::size_t t = 0; t < T; ++t) {
    std::vector<double> one;
    for (std::size_t i = t; i < sums.size(); i += T) one.push_back(sums[i]);
    auto const alone = flip_improvements(one, tests, blocks, 1, signs(blocks, seed), n);
    for (std::size_t k = 0; k < tests; ++k) {
      EXPECT_EQ(alone.statistic[k], got.statistic[k * T + t]);
      EXPECT_EQ(alone.exceed[k], got.exceed[k * T + t]);
    }
  }
  auto missing = sums;
  missing[0] = std::nan("");
  auto const without = flip_improvements(missing, tests, blocks, T, signs(blocks, seed), n);
  EXPECT_TRUE(std::isnan(without.statistic[0]));
  EXPECT_EQ(without.exceed[0], 0U);
  for (std::size_t i = 1; i < tests * T; ++i) EXPECT_EQ(without.exceed[i], got.exceed[i]);
  for (double v : without.max) EXPECT_FALSE(std::isnan(v));
}

class Columns final : public FeatureSource {
 public:
  Columns(std::size_t rows, std::vector<float> values) : rows_(rows), values_(std::move(values)) {}
  [[nodiscard]] std::size_t rows() const override { return rows_; }
  [[nodiscard]] std::size_t cols() const override { return values_.size() / rows_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(first * rows_), count * rows_, out);
  }

 private:
  std::size_t rows_;
  std::vector<float> values_;
};

/// y = signal · A w + unique · B v + noise, over n rows of which `block` neighbours share an autoregressive past.
struct Case {
  char const* name;
  std::size_t n = 60, p = 40, block = 1;
  double signal = 0, unique = 0, correlation = 0;
  double least = 0, most = 0.05;  ///< rate at 0.05 that is expected
};

struct Rates {
  double p = 0, family = 0;
};

Rates rates(Case const& c, std::size_t runs) {
  constexpr std::size_t t = 20, P = 199;
  ModelOptions options;
  options.alphas = {0.1, 1, 10, 100, 1e3, 1e4, 1e6};
  options.scores = {Score::r2};
  options.predictions = true;
  auto const model = find_model("ridge")->make(options);
  auto const team = serial_team();
  CvSpec outer, inner;
  outer.folds = inner.folds = 5;
  CvColumns columns;
  columns.rows = c.n;
  auto const plans = fold_plans(outer, inner, columns);  // whole blocks in each outer fold
  std::size_t const blocks = c.n / c.block;
  Rates out;
  for (std::size_t run = 0; run < runs; ++run) {
    Philox draw(31, c.n * 1000 + c.p, run);
    auto const normal = [&](std::size_t count) {
      std::vector<float> values;
      for (std::size_t i = 0; i < count * c.n; ++i) {
        bool const first = i % c.n % c.block == 0;
        values.push_back(
            static_cast<float>(draw.normal() * (first ? 1 : std::sqrt(1 - 0.49)) + (first ? 0 : 0.7 * values.back())));
      }
      return values;
    };
    auto const a = normal(c.p);
    auto b = normal(c.p), y = normal(t);
    for (std::size_t i = 0; i < b.size(); ++i)
      b[i] = static_cast<float>(c.correlation * a[i] + std::sqrt(1 - c.correlation * c.correlation) * b[i]);
    for (std::size_t v = 0; v < t; ++v)
      for (std::size_t u = 0; u < c.p; ++u) {
        double const root = std::sqrt(static_cast<double>(c.p)), w = c.signal * draw.normal() / root,
                     x = c.unique * draw.normal() / root;
        for (std::size_t i = 0; i < c.n; ++i)
          y[v * c.n + i] += static_cast<float>(w * a[u * c.n + i] + x * b[u * c.n + i]);
      }
    auto both = a;
    both.insert(both.end(), b.begin(), b.end());
    std::vector<double> sums(2 * blocks * t, 0);
    TileResult smaller, larger;
    Workspace work;
    for (auto const& plan : plans) {
      MatrixView<float const> const view(y.data(), c.n, t);
      model->prepare({Columns(c.n, a)}, plan, *team, 1e9)->tile(view, smaller, work);
      model->prepare({Columns(c.n, both)}, plan, *team, 1e9)->tile(view, larger, work);
      auto const& test = plan.outer.test;
      for (std::size_t v = 0; v < t; ++v) {
        double mean = 0, sd = 0, square = 0, middle = 0;
        for (auto r : plan.outer.train) mean += view(r, v) / static_cast<double>(plan.outer.train.size());
        for (auto r : plan.outer.train)
          sd += std::pow(view(r, v) - mean, 2) / static_cast<double>(plan.outer.train.size());
        auto const z = [&](std::size_t i) { return (view(test[i], v) - mean) / std::sqrt(sd); };
        for (std::size_t i = 0; i < test.size(); ++i) middle += z(i) / static_cast<double>(test.size());
        for (std::size_t i = 0; i < test.size(); ++i) square += std::pow(z(i) - middle, 2);
        for (std::size_t i = 0; i < test.size(); ++i) {
          std::size_t const at = test[i] / c.block * t + v;
          double const all = std::pow(z(i) - larger.prediction[v * test.size() + i], 2);
          sums[at] += (std::pow(z(i) - smaller.prediction[v * test.size() + i], 2) - all) / square;
          sums[blocks * t + at] += (z(i) * z(i) - all) / square;
        }
      }
    }
    auto const counts = flip_improvements(sums, 1, blocks, t, signs(blocks, run), P);
    for (double p : permutation_p(counts.statistic, counts.exceed, P))
      out.p += p <= 0.05 ? 1.0 / static_cast<double>(runs * t) : 0;
    out.family +=
        std::ranges::min(maximum_p(counts.statistic, counts.max)) <= 0.05 ? 1.0 / static_cast<double>(runs) : 0;
  }
  return out;
}

TEST(Flips, HoldTheirLevelAndFindWhatIsThere) {
  char const* const given = std::getenv("STRIATE_REPETITIONS");
  std::size_t const runs = given != nullptr ? std::strtoul(given, nullptr, 10) : 40;
  std::vector<Case> cases{
      {.name = "noise"},
      {.name = "useless space", .signal = 1},
      {.name = "noise, p = 400", .p = 400},
      {.name = "useless space, p = 400", .p = 400, .signal = 2},
      {.name = "noise, 20 correlated blocks of 10", .n = 200, .block = 10},
      {.name = "useless space, 20 correlated blocks of 10", .n = 200, .block = 10, .signal = 1},
      {.name = "correlated space", .signal = 2, .correlation = 0.9},
      {.name = "correlated space, p = 400, n = 150", .n = 150, .p = 400, .signal = 2, .correlation = 0.9},
      {.name = "unique space, n = 200", .n = 200, .signal = 1, .unique = 1, .least = 0.9, .most = 1}};
  for (Case const& c : cases) {
    if (given == nullptr && c.n * c.p > 12000) continue;
    Rates const r = rates(c, runs);
    std::printf("%s: p <= 0.05 in %.3f, any of 20 targets' p_max in %.3f\n", c.name, r.p, r.family);
    double const chance = c.most < 1 ? 3 * std::sqrt(0.05 * 0.95 / static_cast<double>(runs)) : 0;
    EXPECT_LE(r.p, c.most + chance / 2) << c.name;  // targets of a run share its features
    EXPECT_LE(r.family, c.most + chance + 1e-9) << c.name;
    EXPECT_GE(r.p, c.least) << c.name;
  }
}

}  // namespace
}  // namespace striate
