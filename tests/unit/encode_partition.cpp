// partition: each subset is the model of its features side by side, and the shares are what inclusion and exclusion
// say.
#include "../../src/commands/encode_partition.hpp"

#include "encode_common.hpp"
#include "striate/stats/permute.hpp"

namespace striate {
std::unique_ptr<Job> make_partition();
std::unique_ptr<Job> make_permute();
}

using namespace encode_test;

namespace {

class Partition : public testing::Test {
 protected:
  Partition() : dir_("encode_partition_" + std::to_string(getpid())), world_(dir_.path) {}
  Outcome partition(std::vector<std::string> const& sets) const {
    return run_job(make_partition(), Comm(), dir_ / "partition.yaml", World::yaml(), {.sets = sets, .fresh = true});
  }
  /// Layers a and b as one layer of a store of its own.
  void write_joint() const {
    ActSpec spec;
    spec.layers = {{"ab", {22, 1, 1}, "feature row column", h5::Dtype::f32}};
    for (std::size_t i = 0; i < world_.n; ++i) spec.stimulus_ids.push_back(World::id(i));
    spec.batch = 40;
    auto store = ActWriter::open(Comm(), dir_ / "joint.h5", spec);
    std::vector<float> values;
    for (std::size_t i = 0; i < world_.n; ++i)
      for (std::size_t u = 0; u < 22; ++u)
        values.push_back(u < 12 ? World::feature(0, i, u) : World::feature(1, i, u - 12));
    (void)store->write_batch(0, 0, values.data());
    store->flush();
    store->mark(std::vector<std::size_t>{0});
    store->finish();
  }
  [[nodiscard]] std::vector<double> of(std::string const& output, std::string const& dataset) const {
    return read(dir_ / output / "result.h5", dataset);
  }
  TempFolder dir_;
  World world_;
};

void expect_equal(std::vector<double> const& a, std::vector<double> const& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double)));
}

TEST_F(Partition, SubsetsAreModelsOfTheirFeatures) {
  auto const done = partition({"features.layers=[a, b]", "output=out", "save=coefficients", "permutation.n=9"});
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  write_joint();
  auto const run = [&](std::vector<std::string> sets) {
    sets.emplace_back("output=plain");
    auto const plain = run_encode(Comm(), dir_.path, World::yaml(), {.sets = sets, .fresh = true});
    EXPECT_EQ(plain.code, Exit::ok) << plain.message;
  };
  run({"features.layers=[b]", "permutation.n=9"});
  expect_equal(of("out", "b/score/r2"), of("plain", "b/score/r2"));
  expect_equal(of("out", "b/permutation/r2/p"), of("plain", "b/permutation/r2/p"));
  run({"features.store=joint.h5", "save=coefficients"});
  expect_equal(of("out", "a+b/score/r2"), of("plain", "ab/score/r2"));
  expect_equal(of("out", "a+b/coef"), of("plain", "ab/coef"));
  auto const a = of("out", "a/score/r2"), b = of("out", "b/score/r2"), ab = of("out", "a+b/score/r2");
  auto const ua = of("out", "unique/a"), ub = of("out", "unique/b"), shared = of("out", "shared/a+b");
  std::size_t seen = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    if (std::isnan(ab[j])) {
      EXPECT_TRUE(std::isnan(ua[j]) && std::isnan(shared[j]));
      continue;
    }
    EXPECT_NEAR(ua[j], ab[j] - b[j], 1e-12);
    EXPECT_NEAR(ub[j], ab[j] - a[j], 1e-12);
    EXPECT_NEAR(shared[j], a[j] + b[j] - ab[j], 1e-12);
    ++seen;
  }
  EXPECT_GT(seen, 60U);
  for (char const* map : {"unique_a", "unique_b", "shared_a+b", "layer-a+b_stat-r2"})
    EXPECT_TRUE(fs::exists(dir_ / "out/maps" / (std::string(map) + ".nii.gz"))) << map;
}

/// More permutations of every subset, as one run of all would have made them.
TEST_F(Partition, PermutedFurther) {
  std::string config = World::yaml();
  config.replace(config.find("{store: act.h5}"), 15, "{store: act.h5, layers: [a, b]}");
  write_atomically(dir_ / "some.yaml", config + "permutation: {n: 4}\n");
  Outcome const some = run_job(make_partition(), Comm(), dir_ / "some.yaml", config + "permutation: {n: 4}\n");
  ASSERT_EQ(some.code, Exit::ok) << some.message;
  Outcome const more =
      run_job(make_permute(), Comm(), dir_ / "permute.yaml", "encode: some.yaml\npermutation: {n: 5}\noutput: more\n");
  ASSERT_EQ(more.code, Exit::ok) << more.message;
  ASSERT_EQ(partition({"features.layers=[a, b]", "output=whole", "permutation.n=9"}).code, Exit::ok);
  for (char const* what :
       {"a/permutation/r2/exceed", "a+b/permutation/r2/p", "a+b/permutation/r2/null_max", "best/permutation/r2/p_max"})
    expect_equal(of("more", what), of("whole", what));
}

TEST_F(Partition, ThreeSpacesOfTwoStores) {
  auto const done =
      partition({"features=[{name: x, store: act.h5, layers: [a, b]}, {name: y, store: act.h5, layers: wide}, "
                 "{name: z, store: act.h5, layers: b}]",
                 "output=out"});
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  std::vector<std::string> const parts{"unique/x",   "unique/y",   "unique/z",    "shared/x+y",
                                       "shared/x+z", "shared/y+z", "shared/x+y+z"};
  auto const all = of("out", "x+y+z/score/r2");
  std::vector<double> sum(all.size(), 0);
  for (auto const& part : parts) {
    auto const values = of("out", part);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += values[j];
  }
  for (std::size_t j = 0; j < sum.size(); ++j)
    if (!std::isnan(all[j])) {
      EXPECT_NEAR(sum[j], all[j], 1e-10);
    }
}

/// Independent explained variances: nothing is shared; a copy of a space has nothing of its own.
TEST(Commonality, KnownCases) {
  auto const independent = encode::commonality({0, 0.2, 0.3, 0.5});
  EXPECT_NEAR(independent[1], 0.2, 1e-15);
  EXPECT_NEAR(independent[2], 0.3, 1e-15);
  EXPECT_NEAR(independent[3], 0, 1e-15);
  // Bits: A = 1, B = 2, C = 4; C copies A.
  auto const copy = encode::commonality({0, 0.2, 0.3, 0.5, 0.2, 0.2, 0.5, 0.5});
  EXPECT_NEAR(copy[1], 0, 1e-15);
  EXPECT_NEAR(copy[2], 0.3, 1e-15);
  EXPECT_NEAR(copy[5], 0.2, 1e-15);
  EXPECT_NEAR(copy[7], 0, 1e-15);
}

/// The 180 units of wide are noise to those voxels that read the 10 of b, and share one penalty with them.
TEST_F(Partition, WarnsWhereAllSpacesPredictLessThanSome) {
  auto const warned = [&](std::string const& layers) {
    auto const before = log::warnings();
    Outcome const done = partition({"features.layers=" + layers, "output=out"});
    EXPECT_EQ(done.code, Exit::ok) << done.message;
    std::string said;
    for (auto const& [text, times] : log::warnings())
      if (text.starts_with("partition: R²") && (!before.contains(text) || before.at(text) < times)) said = text;
    return said;
  };
  std::string const said = warned("[b, wide]");
  auto const b = of("out", "b/score/r2"), wide = of("out", "wide/score/r2"), all = of("out", "b+wide/score/r2");
  std::size_t worse = 0, predicted = 0;
  for (std::size_t j = 0; j < b.size(); ++j) {
    double const best = std::max({b[j], wide[j], all[j]});
    predicted += best > 0.01 ? 1 : 0;
    worse += best > 0.01 && all[j] < best - 0.01 ? 1 : 0;
  }
  EXPECT_NE(said.find(fmt::format("in {} of the {} targets", worse, predicted)), std::string::npos) << said;
  EXPECT_GT(worse, 20U);
}

/// Everything anew from the saved predictions.
TEST_F(Partition, ImprovementsAreFlipped) {
  constexpr std::size_t P = 60;
  auto const done =
      partition({"features.layers=[a, b]", "output=out", "save=predictions", "permutation.n=60", "seed=3"});
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  auto const fold = of("out", ".striate/fold"), index = of("out", "targets/index");
  std::size_t const n = fold.size(), t = index.size();
  std::vector<std::size_t> row(n, n);  // of each stimulus, in order of first appearance
  std::vector<double> y(n * t, 0), volumes(n, 0);
  std::size_t rows = 0;
  for (std::size_t v = 0; v < world_.volumes; ++v) {
    std::size_t const s = world_.shown(v);
    if (row[s] == n) row[s] = rows++;
    ++volumes[row[s]];
    for (std::size_t j = 0; j < t; ++j) {
      auto const x = static_cast<std::size_t>(index[j]);
      y[row[s] * t + j] += x == 9              ? 3.0F
                           : x == 17 && v == 5 ? std::nanf("")
                                               : 100 + world_.response(x, s) + noise(v, 90000 + x);
    }
  }
  ASSERT_EQ(rows, n);
  auto const all = of("out", "a+b/prediction");
  PermutationSpec spec;
  spec.shuffle = Shuffle::sign, spec.seed = 3, spec.stream = 0xFFFFFFFF;
  Permuter const flips(spec, n);
  std::vector<double> mean_gain(n * t), max[2];
  for (int space = 0; space < 2; ++space) {
    std::string const name = space == 0 ? "a" : "b";
    auto const smaller = of("out", (space == 0 ? "b" : "a") + std::string("/prediction")),
               unique = of("out", "unique/" + name);
    auto const statistic = of("out", "permutation/unique/" + name + "/statistic"),
               p = of("out", "permutation/unique/" + name + "/p"),
               q = of("out", "permutation/unique/" + name + "/q_fdr"),
               p_max = of("out", "permutation/unique/" + name + "/p_max");
    std::vector<double> greatest(P, -1e300), seen(t);
    for (std::size_t j = 0; j < t; ++j) {
      ASSERT_EQ(std::isnan(p[j]), std::isnan(unique[j])) << j;
      if (std::isnan(p[j])) continue;
      std::vector<double> gain[2];
      for (auto& g : gain) g.assign(n, 0);
      for (double f = 0; f < 3; ++f) {
        double mean = 0, square = 0, count = 0, middle = 0, tests = 0, variance = 0;
        for (std::size_t r = 0; r < n; ++r)
          (fold[r] == f ? middle : mean) += y[r * t + j] / volumes[r], (fold[r] == f ? tests : count) += 1;
        mean /= count, middle /= tests;
        for (std::size_t r = 0; r < n; ++r) {
          double const v = y[r * t + j] / volumes[r];
          (fold[r] == f ? variance : square) += std::pow(v - (fold[r] == f ? middle : mean), 2);
        }
        double const sd = std::sqrt(square / count);
        for (std::size_t r = 0; r < n; ++r) {
          if (fold[r] != f) continue;
          double const z = (y[r * t + j] / volumes[r] - mean) / sd, share = sd * sd / variance / 3;
          gain[0][r] = share * (std::pow(z - smaller[r * t + j], 2) - std::pow(z - all[r * t + j], 2));
          gain[1][r] = share * (z * z - std::pow(z - all[r * t + j], 2));
        }
      }
      double exceed = 0, lesser = 1e300, sum = 0;
      std::vector<double> of_target(P, -1e300);
      for (auto const& g : gain) {
        double total = 0, norm = 0, reached = 0;
        for (double v : g) total += v, norm += v * v;
        if (&g == &gain[0]) sum = total;
        lesser = std::min(lesser, total / std::sqrt(norm));
        for (std::size_t i = 0; i < P; ++i) {
          std::vector<std::uint32_t> source;
          std::vector<float> sign;
          flips.make(i, source, sign);
          double flipped = 0;
          for (std::size_t r = 0; r < n; ++r) flipped += sign[r] * g[r];
          reached += flipped >= total - 1e-7 ? 1 : 0;
          greatest[i] = std::max(greatest[i], flipped / std::sqrt(norm));
        }
        exceed = std::max(exceed, reached);
      }
      seen[j] = lesser;
      EXPECT_NEAR(sum, unique[j], 2e-5);  // what is flipped is the share itself
      EXPECT_NEAR(statistic[j], lesser, 1e-3);
      EXPECT_NEAR(p[j], (exceed + 1) / (P + 1), 1.01 / (P + 1));  // a tie by rounding
      EXPECT_GE(q[j], p[j]);
    }
    for (std::size_t j = 0; j < t; ++j)
      if (!std::isnan(p[j])) {
        auto const over = std::ranges::count_if(greatest, [&](double v) { return v >= seen[j]; });
        EXPECT_NEAR(p_max[j], (static_cast<double>(over) + 1) / (P + 1), 1.01 / (P + 1));
      }
    EXPECT_TRUE(fs::exists(dir_ / "out/maps" / ("unique_" + name + "_stat-p_max.nii.gz")));
    EXPECT_NE(read_text(dir_ / "out/shares.tsv").find("\nunique/" + name + "\tall\t"), std::string::npos);
  }
  // Half of the voxels read b alone, and none a.
  auto const p_a = of("out", "permutation/unique/a/p"), p_b = of("out", "permutation/unique/b/p");
  auto const found = [&](std::vector<double> const& p) {
    return std::ranges::count_if(p, [](double v) { return v <= 0.05; });
  };
  EXPECT_GT(found(p_b), 10);
  EXPECT_LT(found(p_a), 5);
}

TEST_F(Partition, FlipsFollowTheExchange) {
  auto const done =
      partition({"features.layers=[a, b]", "output=out", "permutation={n: 20, shuffle: blocks, block: 20}"});
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  for (double p : of("out", "permutation/unique/b/p"))  // two blocks: of four flips one is the observed
    if (!std::isnan(p)) {
      EXPECT_GT(p, 0.04);
    }
  EXPECT_FALSE(h5::File::open(dir_ / "out/result.h5").is_dataset("a/permutation/unique/p"));
  auto const none = partition({"features.layers=[a, b]", "output=none", "permutation.n=9", "cv.folds=0"});
  ASSERT_EQ(none.code, Exit::ok) << none.message;
  EXPECT_FALSE(h5::File::open(dir_ / "none/result.h5").has("permutation"));
}

TEST_F(Partition, Refusals) {
  auto const refused = [&](std::vector<std::string> const& sets, Exit code, std::string const& word) {
    auto const out = partition(sets);
    EXPECT_EQ(out.code, code) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  refused({"features.layers=[a]"}, Exit::data, "2 to 8");
  refused({"scores=pearson"}, Exit::config, "r2");
  refused({"model.type=banded_ridge"}, Exit::config, "joins all feature spaces");
  refused({"features.transform.pca=3"}, Exit::config, "pca");
}

}  // namespace
