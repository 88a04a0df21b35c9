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

}  // namespace
