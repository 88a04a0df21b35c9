// Gradients and the tables beside them are the same, bit for bit, on any ranks and threads.
#include "../unit/encode_common.hpp"

using namespace encode_test;

TEST(GradientRanks, SameOnAnyRanksAndThreads) {
  Comm const world = Comm::world();
  TempFolder const folder(shared_name("gradient_ranks"), world.root());
  if (world.root()) World(folder.path);
  world.barrier();
  std::vector<std::string> const sets{"gradient={rois: [late, early], axis: z, threshold: -0.1}", "permutation.n=11",
                                      "save=permutations"};
  auto const run = [&](Comm const& comm, std::string const& name, int threads) {
    auto all = sets;
    all.push_back("output=" + name);
    auto const done = run_encode(comm, folder.path, World::yaml(), {.sets = all, .threads = threads});
    EXPECT_EQ(done.code, Exit::ok) << done.message;
  };
  run(world, "many", 1);
  run(world, "threads", 3);
  if (world.root()) {
    run(Comm(), "alone", 1);
    expect_same(folder / "alone", folder / "many");
    expect_same(folder / "alone", folder / "threads");
    EXPECT_EQ(read(folder / "many/result.h5", "gradient/axis/null").size(), 11U);
    EXPECT_NE(read_text(folder / "many/gradient.tsv").find("rois\tact\tlate"), std::string::npos);
  }
  world.barrier();
}
