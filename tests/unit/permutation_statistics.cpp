// What permutation p-values must be: uniform where there is nothing, exact in the family, small where there is a signal.
//
// STRIATE_REPETITIONS=5000 build/tests/test_permutation_statistics is the long form; 1000 by default.
#include <numeric>

#include "models_common.hpp"
#include "striate/base/philox.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/permute.hpp"

namespace striate {
namespace {

using namespace testing;

std::size_t repetitions() {
  char const* const given = std::getenv("STRIATE_REPETITIONS");
  return given != nullptr ? std::strtoul(given, nullptr, 10) : 1000;
}

/// Fits to every permutation take longer.
std::size_t repetitions(bool again) { return again ? repetitions() / 20 : repetitions(); }

constexpr std::size_t n = 24, p = 5, t = 6, P = 79;

enum class Scheme { refit, fixed_alpha, fixed_model, fit_again };  // the last with pls, the others with ridge
void PrintTo(Scheme s, std::ostream* os) { *os << static_cast<int>(s); }

class Matrix final : public FeatureSource {
 public:
  explicit Matrix(std::vector<float> values) : values_(std::move(values)) {}
  [[nodiscard]] std::size_t rows() const override { return n; }
  [[nodiscard]] std::size_t cols() const override { return p; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(first * n), count * n, out);
  }

 private:
  std::vector<float> values_;
};

/// One experiment: two feature sets ("layers"), t targets, of which the first reads the first set at `signal`.
class Experiment {
 public:
  Experiment(std::uint64_t seed, Scheme scheme, double signal) : scheme_(scheme), seed_(seed) {
    Philox draw(seed, 99, 0);
    auto const normal = [&](std::size_t count) {
      std::vector<float> values(count);
      for (float& v : values) v = static_cast<float>(draw.normal());
      return values;
    };
    auto const x = normal(n * p), other = normal(n * p);
    y_ = normal(n * t);
    for (std::size_t i = 0; i < n; ++i) y_[i] += static_cast<float>(signal * (x[i] + x[n + i]));
    ModelOptions options;
    options.alphas = {0.1, 10, 100};
    options.scores = {Score::pearson};
    options.predictions = scheme == Scheme::fixed_model;
    options.components = {1, 2, 3};
    auto const model = find_model(scheme == Scheme::fit_again ? "pls" : "ridge")->make(options);
    auto const team = serial_team();
    CvSpec outer, inner;
    outer.folds = 3, inner.folds = 2;
    CvColumns columns;
    columns.rows = n;
    plans_ = fold_plans(outer, inner, columns);
    // Exact with one test set. Over folds it is not: each response also trained the other folds' models, which the
    // permutations do not know of, and the family-wise error is 0.19 here.
    if (scheme == Scheme::fixed_model) plans_.resize(1);
    for (auto const& values : {x, other}) {
      Matrix const source(values);
      fitted_.emplace_back();
      features_.emplace_back();
      for (auto const& plan : plans_) {
        if (scheme == Scheme::fit_again) {
          features_.back().push_back(model->prepare_features({source, true, 0, t}, plan, *team, 1e9));
          fitted_.back().push_back(features_.back().back()->fit(MemorySource(y())));
        } else {
          fitted_.back().push_back(model->prepare({source}, plan, *team, 1e9));
        }
      }
    }
  }

  void run() {
    auto const seen = observed();
    std::vector<std::uint64_t> exceed(2 * t, 0), best(t, 0);
    std::vector<double> max, max_all;
    for (std::size_t i = 0; i < P; ++i) {
      auto const values = trial(i);
      for (std::size_t k = 0; k < values.size(); ++k) exceed[k] += reaches(values[k], seen[k]) ? 1 : 0;
      for (std::size_t v = 0; v < t; ++v)
        best[v] += reaches(std::max(values[v], values[t + v]), std::max(seen[v], seen[t + v])) ? 1 : 0;
      max.push_back(*std::max_element(values.begin(), values.begin() + t));
      max_all.push_back(*std::max_element(values.begin(), values.end()));
    }
    std::vector<double> best_seen(t);
    for (std::size_t v = 0; v < t; ++v) best_seen[v] = std::max(seen[v], seen[t + v]);
    p_ = permutation_p(std::span(seen).first(t), std::span(exceed).first(t), P);
    p_best_ = permutation_p(best_seen, best, P);
    p_max_ = maximum_p(std::span(seen).first(t), max);
    p_max_all_ = maximum_p(best_seen, max_all);
  }

  std::vector<double> p_, p_best_, p_max_, p_max_all_;  ///< of the first set; of the better set

 private:
  [[nodiscard]] MatrixView<float const> y() const { return {y_.data(), n, t}; }

  /// [set][target], mean over folds; and what the schemes hold fast.
  std::vector<double> observed() {
    std::vector<double> scores(2 * t, 0);
    for (std::size_t l = 0; l < 2; ++l)
      for (auto const& fold : fitted_[l]) {
        fold->tile(y(), result_, work_);
        for (std::size_t v = 0; v < t; ++v) scores[l * t + v] += result_.score[v] / static_cast<double>(plans_.size());
        alpha_.push_back(result_.alpha);
        predicted_.push_back(result_.prediction);
      }
    return scores;
  }

  std::vector<double> trial(std::size_t index) {
    std::vector<double> scores(2 * t, 0);
    std::vector<std::uint32_t> source;
    std::vector<float> sign, moved(n * t);
    PermutationSpec spec;
    spec.seed = seed_;
    if (scheme_ != Scheme::fixed_model) {
      Permuter(spec, n).make(index, source, sign);
      for (std::size_t v = 0; v < t; ++v)
        for (std::size_t i = 0; i < n; ++i) moved[v * n + i] = y_[v * n + source[i]];
    }
    for (std::size_t f = 0; f < plans_.size(); ++f) {
      auto const& test = plans_[f].outer.test;
      spec.stream = f + 1;
      if (scheme_ == Scheme::fixed_model) Permuter(spec, test.size()).make(index, source, sign);
      for (std::size_t l = 0; l < 2; ++l) {
        std::size_t const at = l * plans_.size() + f;
        if (scheme_ == Scheme::refit) fitted_[l][f]->tile({moved.data(), n, t}, result_, work_);
        if (scheme_ == Scheme::fit_again)
          features_[l][f]->fit(MemorySource({moved.data(), n, t}))->tile({moved.data(), n, t}, result_, work_);
        if (scheme_ == Scheme::fixed_alpha) fitted_[l][f]->tile_at({moved.data(), n, t}, alpha_[at], result_, work_);
        for (std::size_t v = 0; v < t; ++v) {
          Moments m;
          for (std::size_t i = 0; scheme_ == Scheme::fixed_model && i < test.size(); ++i)
            m.add(y_[v * n + test[source[i]]], predicted_[at][v * test.size() + i]);
          double const value = scheme_ == Scheme::fixed_model ? score(Score::pearson, m) : result_.score[v];
          scores[l * t + v] += value / static_cast<double>(plans_.size());
        }
      }
    }
    return scores;
  }

  Scheme scheme_;
  std::uint64_t seed_;
  std::vector<float> y_;
  std::vector<FoldPlan> plans_;
  std::vector<std::vector<std::unique_ptr<FittedFold>>> fitted_;
  std::vector<std::vector<std::unique_ptr<PreparedFeatures>>> features_;
  std::vector<std::vector<double>> alpha_;     ///< [set × fold]
  std::vector<std::vector<float>> predicted_;  ///< [set × fold]
  TileResult result_;
  Workspace work_;
};

/// Greatest distance of the p-values' distribution from that of (1 … P + 1) / (P + 1), times √N: above 1.63 by chance
/// once in a hundred.
double kolmogorov_smirnov(std::vector<double> values) {
  std::ranges::sort(values);
  double distance = 0;
  for (std::size_t j = 1; j <= P + 1; ++j) {
    double const at = static_cast<double>(j) / (P + 1);
    auto const below = std::ranges::upper_bound(values, at + 1e-9) - values.begin();
    distance = std::max(distance, std::abs(static_cast<double>(below) / static_cast<double>(values.size()) - at));
  }
  return distance * std::sqrt(static_cast<double>(values.size()));
}

class PermutationStatistics : public ::testing::TestWithParam<Scheme> {};

TEST_P(PermutationStatistics, UnderTheNullPIsUniformAndTheFamilyExact) {
  std::vector<double> p, p_best;
  double family = 0, family_all = 0;
  bool const again = GetParam() == Scheme::fit_again;
  std::size_t const runs = repetitions(again);
  for (std::size_t r = 0; r < runs; ++r) {
    Experiment e(1000 + r, GetParam(), 0);
    e.run();
    p.insert(p.end(), e.p_.begin(), e.p_.end());
    p_best.insert(p_best.end(), e.p_best_.begin(), e.p_best_.end());
    family += std::ranges::min(e.p_max_) <= 0.05 ? 1 : 0;
    family_all += std::ranges::min(e.p_max_all_) <= 0.05 ? 1 : 0;
  }
  EXPECT_GE(p.size(), again ? 300U : 2000U);
  EXPECT_LT(kolmogorov_smirnov(p), 1.63);
  EXPECT_LT(kolmogorov_smirnov(p_best), 1.63);
  double const near = std::max(0.015, 2 * std::sqrt(0.05 * 0.95 / static_cast<double>(runs)));
  EXPECT_NEAR(family / static_cast<double>(runs), 0.05, near);
  EXPECT_NEAR(family_all / static_cast<double>(runs), 0.05, near);
  RecordProperty("ks", std::to_string(kolmogorov_smirnov(p)));
  std::printf("ks %.2f, of the better set %.2f; family-wise error %.4f, with selection %.4f\n", kolmogorov_smirnov(p),
              kolmogorov_smirnov(p_best), family / static_cast<double>(runs), family_all / static_cast<double>(runs));
}

/// At a signal that the test of everything (refit) finds in most experiments, fixed_alpha finds no less; a single test
/// set has less to find it with, as have components that five targets of noise turn about.
TEST_P(PermutationStatistics, ASignalIsFound) {
  bool const again = GetParam() == Scheme::fit_again;
  std::size_t const runs = repetitions(again) / 5;
  double found = 0, found_exact = 0;
  for (std::size_t r = 0; r < runs; ++r) {
    Experiment e(50000 + r, GetParam(), 0.6), exact(50000 + r, Scheme::refit, 0.6);
    e.run();
    exact.run();
    found += e.p_[0] <= 0.05 ? 1 : 0;
    found_exact += exact.p_[0] <= 0.05 ? 1 : 0;
  }
  EXPECT_GT(found_exact / static_cast<double>(runs), again ? 0.3 : 0.6);  // of 10 experiments
  double const less = GetParam() == Scheme::fixed_model ? 0.35 : again ? 0.2 : 0.08;
  EXPECT_GT(found, found_exact - less * static_cast<double>(runs));
  std::printf("power %.3f, of the exact test %.3f\n", found / static_cast<double>(runs),
              found_exact / static_cast<double>(runs));
}

INSTANTIATE_TEST_SUITE_P(Schemes, PermutationStatistics,
                         ::testing::Values(Scheme::refit, Scheme::fixed_alpha, Scheme::fixed_model, Scheme::fit_again));

}  // namespace
}  // namespace striate
