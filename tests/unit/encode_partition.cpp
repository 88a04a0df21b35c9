// partition: each subset is the model of its features side by side, and the shares are what inclusion and exclusion say.
#include "../../src/commands/encode_partition.hpp"

#include "encode_common.hpp"

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
      for (std::size_t u = 0; u < 22; ++u) values.push_back(u < 12 ? World::feature(0, i, u) : World::feature(1, i, u - 12));
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
  auto const done = partition({"features=[{name: x, store: act.h5, layers: [a, b]}, {name: y, store: act.h5, layers: wide}, "
                               "{name: z, store: act.h5, layers: b}]",
                               "output=out"});
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  std::vector<std::string> const parts{"unique/x", "unique/y", "unique/z", "shared/x+y", "shared/x+z", "shared/y+z", "shared/x+y+z"};
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
