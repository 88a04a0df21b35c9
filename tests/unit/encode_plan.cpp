// What --dry-run says of permutation tests: their time counts what is repeated, their memory what stands at once.
#include "encode_common.hpp"

using namespace encode_test;

namespace {

class EncodePlan : public testing::Test {
 protected:
  EncodePlan() : dir_("encode_plan_" + std::to_string(getpid())), world_(dir_.path, {30, 30, 20}) {}
  Plan plan(std::vector<std::string> const& sets) const {
    auto const out = run_encode(Comm(), dir_.path, World::yaml(), {.sets = sets, .only_plan = true});
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    return out.plan;
  }
  TempFolder dir_;
  World world_;
};

TEST_F(EncodePlan, TimeCountsWhatIsRepeated) {
  auto const fits = plan({}), refit = plan({"permutation.n=100"}), more = plan({"permutation.n=200"});
  auto const alpha = plan({"permutation={n: 100, scheme: fixed_alpha}"});
  auto const model = plan({"permutation={n: 100, scheme: fixed_model}"});
  EXPECT_GT(fits.work, fits.flops);  // nothing is faster than a product
  EXPECT_GT(refit.work, 50 * fits.work);
  EXPECT_NEAR(more.work - refit.work, 100 * (refit.work - fits.work) / 100, 0.05 * refit.work);
  EXPECT_LT(alpha.work, 0.7 * refit.work);  // inner folds are not looked at
  EXPECT_LT(model.work, 0.7 * alpha.work);
  EXPECT_GT(plan({"permutation={n: 1, scheme: fixed_model}"}).flops, 1.5 * fits.flops);  // folds are prepared again
}

TEST_F(EncodePlan, PermutationsThatAreFittedAnew) {
  std::string const pls = "model={type: pls, components: [1, 2]}", few = "permutation.n=100",
                    many = "permutation.n=200";
  auto const fits = plan({pls}), test = plan({pls, few}), more = plan({pls, many});
  EXPECT_GT(test.work, 50 * fits.work);
  EXPECT_NEAR(more.work - test.work, test.work - fits.work, 0.05 * test.work);
  EXPECT_GT(test.work, 3 * plan({pls, few, "permutation.scheme=fixed_model"}).work);
  EXPECT_GT(test.memory_per_node, fits.memory_per_node);
  EXPECT_GT(test.memory_per_rank, fits.memory_per_rank);
  EXPECT_LT(plan({pls, few, "permutation.best_layer=false"}).memory_per_node, test.memory_per_node + 1);
  // What is kept of the features of 500 folds of 3 layers.
  Options o;
  o.sets = {pls, few, "cv={repeats: 100, folds: 5, shuffle: true}"};
  o.only_plan = true;
  o.memory = 3e8;
  auto const refused = run_encode(Comm(), dir_.path, World::yaml(), o);
  EXPECT_EQ(refused.code, Exit::limit) << refused.message;
  EXPECT_NE(refused.message.find("fitted anew share"), std::string::npos) << refused.message;
}

TEST_F(EncodePlan, MemoryCountsMapsAndAllFolds) {
  std::string const test = "permutation={n: 500, best_layer: true}";
  auto const fits = plan({}), plain = plan({test}), maps = plan({test, "save=permutations"});
  EXPECT_GT(plain.memory_per_node, fits.memory_per_node);  // the folds of all layers stand at once
  EXPECT_LT(plan({"permutation={n: 500, best_layer: false}"}).memory_per_node, plain.memory_per_node);
  // Maps are read in blocks of 64 MiB, or all of them where they are fewer; the fits need less of a rank than that.
  double const voxels = 18000 * 5.0 / 8, block = 4.0 * 4 * (16777216 / 3.0);
  EXPECT_GT(maps.memory_per_rank, plain.memory_per_rank);
  EXPECT_GE(maps.memory_per_rank, std::min(4.0 * 500 * voxels * 3, 0.9 * block));
  EXPECT_GE(maps.bytes_written - plain.bytes_written, 4.0 * 500 * 3 * 0.9 * voxels);
  // 251 null scores of every target: of 3 layers × 2 scores and the best layer.
  auto const tails = plan({"permutation={n: 500, best_layer: true, tail_fit: gpd}"});
  EXPECT_GE(tails.bytes_written - plain.bytes_written, 4.0 * 251 * 7 * 0.9 * voxels);
  EXPECT_GE(tails.memory_per_rank, 4.0 * 2 * 251 * 0.9 * voxels);
  auto const clusters = plan({"permutation={n: 500, correct: [tfce]}"});
  EXPECT_GT(clusters.memory_per_rank, plain.memory_per_rank);
}

/// Scores of all draws of a tile, and sums of the regions that it meets, beside what the fits take.
TEST_F(EncodePlan, MemoryCountsTheBootstrap) {
  std::vector<std::string> const tile{"target_tile=512", "scores=[r2, pearson, mse]"};
  auto const with = [&](std::string const& more) {
    auto sets = tile;
    sets.push_back(more);
    return plan(sets);
  };
  auto const plain = with("seed=0"), some = with("bootstrap.n=1000"), many = with("bootstrap.n=100000");
  EXPECT_GE(some.memory_per_rank, plain.memory_per_rank);
  // 8 targets at least, three layers and scores: their draws, and the sums of all targets and of both regions.
  EXPECT_GE(many.memory_per_rank, 4 * 8 * 9 * 1e5 + 8 * 9 * 2 * 1e5);
  EXPECT_LT(many.memory_per_rank, some.memory_per_rank + 4 * 16 * 9 * 1e5 + 8 * 9 * 3 * 1e5 + 1e8);
}

}  // namespace
