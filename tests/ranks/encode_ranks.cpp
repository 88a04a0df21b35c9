// The encode Job over ranks, threads and pretended nodes: not a bit may change; errors and stops are everybody's.
#include "../unit/encode_common.hpp"

using namespace encode_test;

namespace {

/// A world in a folder that all ranks see. Collective.
struct Place {
  TempFolder folder;
  explicit Place(std::string const& name, std::array<std::uint64_t, 3> grid = {6, 5, 4})
      : folder(shared_name(name), Comm::world().root()) {
    if (Comm::world().root()) World(folder.path, grid);
    Comm::world().barrier();
  }
  ~Place() { Comm::world().barrier(); }
  [[nodiscard]] fs::path out(std::string const& name) const { return folder / name; }
};

std::vector<std::string> const everything{"output=all", "save=[coefficients, predictions]",
                                          "scores=[pearson, r2, mse, explained_variance]"};

std::vector<std::string> with_output(std::vector<std::string> sets, std::string const& output) {
  sets.push_back("output=" + output);
  return sets;
}

TEST(EncodeRanks, SameBitsAsOneRankAndOneThread) {
  Comm const world = Comm::world();
  Place const place("encode_bits");
  if (world.root()) {
    std::string folds = "id\ta\tb\n";
    for (std::size_t i = 0; i < 40; ++i)
      folds += World::id(i) + (i % 3 == 0 ? "\ttest\ttrain\n" : i % 3 == 1 ? "\ttrain\t\n" : "\ttrain\ttest\n");
    write_atomically(place.folder / "folds.tsv", folds);
    std::vector<double> covariance(180 * 180), variances(12);
    for (std::size_t i = 0; i < 180 * 180; ++i)
      for (std::size_t k = 0; k < 150; ++k) covariance[i] += double{noise(i / 180, 300 + k)} * noise(i % 180, 300 + k);
    for (std::size_t i = 0; i < 12; ++i) variances[i] = static_cast<double>(i % 4);
    write_npy(place.folder / "covariance.npy", covariance, {180, 180});
    write_npy(place.folder / "variances.npy", variances, {12});
  }
  world.barrier();
  for (auto const& extra : std::vector<std::vector<std::string>>{
           everything,
           {"responses.repeats=keep", "aggregate=concat"},
           {"cv.folds=0", "save=coefficients"},
           {"cv={folds: 3, stratify: session, purge: 1, inner: {folds: 3, shuffle: true}}", "scores=[spearman, r2]",
            "other_subjects={data: [betas.nii.gz, betas.nii.gz]}"},
           {"cv={file: folds.tsv, inner: {folds: 3}}", "scores=spearman"},
           {"permutation={n: 23, exchange: session}", "aggregate=weighted"},
           {"permutation={n: 130, tail: two, correct: [tfce, cluster], cluster_threshold: 0.1}",
            "features.layers=[a, b]"},
           {"permutation={n: 23, scheme: fixed_model, tail: two, best_layer: false}", "responses.repeats=keep"},
           {"cv={folds: 3}", "model.selection=loo", "save=[coefficients, predictions]", "permutation.n=9"},
           {"cv={folds: 0}", "model.selection=gcv", "save=coefficients", "model.alphas={relative: [0.01, 1, 100]}"},
           {"model.alpha_per_target=false", "save=[coefficients, predictions]"},
           {"cv.folds=0", "model.alpha_per_target=false", "save=coefficients", "responses.repeats=keep"},
           {"cv={folds: 3}", "model={alpha_per_target: false, selection: gcv}",
            "permutation={n: 9, scheme: fixed_alpha}"},
           {"features={store: act.h5, layers: [a, wide], transform: {standardize: false}}",
            "model.prior={wide: covariance.npy, a: variances.npy}", "save=[coefficients, predictions]",
            "permutation.n=9"},
           {"model={type: pls, components: {up_to: 6}}", "save=[coefficients, predictions]"},
           {"model.type=cca", "model.components=[2, 5]", "model.response_pca=6", "save=[coefficients, predictions]"},
           {"model={type: pcr, components: [2, 5]}"},
           {"model={type: banded_ridge, n_iter: 7, refine: true}", "save=[coefficients, predictions]"},
           {"model={type: banded_ridge, n_iter: 4, refine: true}", "permutation.n=9", "features.transform.pca=4"},
           {"model.type=fwrf", "model.rf={grid: 3, sizes: 2}", "save=[coefficients, predictions]"},
           {"model.type=fwrf", "model.rf={grid: 2, sizes: 2}", "permutation.n=9"}}) {
    auto const many =
        run_encode(world, place.folder.path, World::yaml(), {.sets = with_output(extra, "many"), .fresh = true});
    EXPECT_EQ(many.code, Exit::ok) << many.message;
    auto const threads = run_encode(world, place.folder.path, World::yaml(),
                                    {.sets = with_output(extra, "threads"), .threads = 3, .fresh = true});
    EXPECT_EQ(threads.code, Exit::ok) << threads.message;
    if (world.root()) {
      auto const one =
          run_encode(Comm(), place.folder.path, World::yaml(), {.sets = with_output(extra, "one"), .fresh = true});
      EXPECT_EQ(one.code, Exit::ok) << one.message;
      expect_same(place.out("one"), place.out("many"));
      expect_same(place.out("one"), place.out("threads"));
      for (char const* dir : {"one", "many", "threads"}) fs::remove_all(place.out(dir));
    }
    world.barrier();
  }
}

class ShortMemory : public testing::TestWithParam<char const*> {};

TEST_P(ShortMemory, StreamsTheSameBits) {
  Comm const world = Comm::world();
  Place const place("encode_stream", {30, 30, 15});
  std::vector<std::string> const small{"features.layers=a", "responses.repeats=keep", "target_tile=64",
                                       GetParam()};
  // The least memory at which the plan is content.
  double low = 1e6, high = 4e9;
  while (high / low > 1.0001) {
    double const middle = std::sqrt(low * high);
    auto const tried =
        run_encode(world, place.folder.path, World::yaml(), {.sets = small, .only_plan = true, .memory = middle});
    (tried.code == Exit::ok ? high : low) = middle;
    EXPECT_TRUE(tried.code == Exit::ok || tried.code == Exit::limit) << tried.message;
  }
  auto const tight =
      run_encode(world, place.folder.path, World::yaml(), {.sets = with_output(small, "tight"), .memory = high});
  EXPECT_EQ(tight.code, Exit::ok) << tight.message;
  bool streams = false;
  for (auto const& [what, text] : tight.plan.lines) streams = streams || what == "targets";
  EXPECT_TRUE(streams);
  if (world.root()) {
    auto const one = run_encode(Comm(), place.folder.path, World::yaml(), {.sets = with_output(small, "one")});
    EXPECT_EQ(one.code, Exit::ok) << one.message;
    expect_same(place.out("one"), place.out("tight"));
  }
  world.barrier();
}

INSTANTIATE_TEST_SUITE_P(EncodeRanks, ShortMemory,
                         testing::Values("model.type=ridge", "model={type: pls}", "model.alpha_per_target=false"));

TEST(EncodeRanks, StopsAndGoesOnToTheSameBits) {
  Comm const world = Comm::world();
  Place const place("encode_stop");
  int stops = 0;
  std::size_t done_before = 0;
  for (bool finished = false; !finished && stops < 50;) {
    StopFlag stop(false);
    // On the last rank alone, in the middle of the third piece of shared work of this attempt.
    bool const last = world.rank() == world.size() - 1;
    auto const out = run_encode(world, place.folder.path, World::yaml(),
                                {.sets = with_output(everything, "stopped"),
                                 .when = stops == 0 ? 1U : 7U,
                                 .at =
                                     [&] {
                                       if (last) stop.request();
                                     },
                                 .stop = &stop});
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    finished = out.finished;
    LedgerState const state = read_ledger(place.out("stopped") / "result.h5");
    EXPECT_GT(state.done, done_before);
    EXPECT_EQ(state.complete, finished);
    EXPECT_EQ(fs::exists(place.out("stopped") / "summary.tsv"), finished);
    done_before = state.done;
    stops += finished ? 0 : 1;
    world.barrier();
  }
  EXPECT_GT(stops, 2);
  EXPECT_LT(stops, 50);
  if (world.root()) {
    auto const one = run_encode(Comm(), place.folder.path, World::yaml(), {.sets = with_output(everything, "whole")});
    EXPECT_EQ(one.code, Exit::ok) << one.message;
    expect_same(place.out("whole"), place.out("stopped"));
  }
  world.barrier();
}

TEST(EncodeRanks, ErrorsAreEverybodys) {
  Comm const world = Comm::world();
  Place const place("encode_errors");
  auto const layer = run_encode(world, place.folder.path, World::yaml(), {.sets = {"features.layers=[a, wise]"}});
  EXPECT_EQ(layer.code, Exit::data);
  EXPECT_NE(layer.message.find("did you mean 'wide'"), std::string::npos) << layer.message;
  auto const first = run_encode(world, place.folder.path, World::yaml());
  EXPECT_EQ(first.code, Exit::ok) << first.message;
  auto const other = run_encode(world, place.folder.path, World::yaml(), {.sets = {"cv.folds=4"}});
  EXPECT_EQ(other.code, Exit::cant_create);
  EXPECT_NE(other.message.find("cv.folds"), std::string::npos) << other.message;
  auto const again = run_encode(world, place.folder.path, World::yaml(), {.sets = {"memory=3"}});
  EXPECT_EQ(again.code, Exit::ok) << again.message;
  EXPECT_TRUE(again.finished);
}

}  // namespace
