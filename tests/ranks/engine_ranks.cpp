// encode with `engine: torch` (on the CPU): the answers of blas up to rounding, the same bits on any ranks and threads.
#include "../unit/encode_common.hpp"
#include "striate/net/network.hpp"
#include "striate/net/torch_engine.hpp"

namespace striate {
std::unique_ptr<Job> make_permute();
}

using namespace encode_test;

namespace {

decltype(Context::torch_engine) const makes = [](std::string const& device, Comm const& comm) {
  return torch_engine({.device = device, .local_rank = comm.node().rank(), .node_ranks = comm.node().size()});
};

struct Place : SharedWorld {
  explicit Place(std::string const& name) : SharedWorld(name) {
    if (Comm::world().root()) {  // two rows may change places, so that half of all arrangements are none
      std::string table = "type=image\npath=.\ndata=stimID,pair\n";
      for (std::size_t v = 0; v < 60; ++v) {  // as World::shown
        std::size_t const stimulus = v < 40 ? (v * 7 + 3) % 40 : v * 11 % 20;
        table += fmt::format("{},{}\n", World::id(stimulus), std::max<std::size_t>(1, stimulus));
      }
      write_atomically(folder / "pairs.stim.csv", table);
    }
    Comm::world().barrier();
  }
  [[nodiscard]] Outcome encode(Comm const& comm, std::string const& out, std::vector<std::string> sets,
                               int threads = 1) const {
    sets.push_back("output=" + out);
    return run_encode(comm, folder.path, World::yaml(),
                      {.sets = std::move(sets), .threads = threads, .fresh = true, .torch_engine = makes});
  }
};

std::vector<std::string> with(std::vector<std::string> sets, std::vector<std::string> const& more) {
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

std::vector<std::vector<std::string>> const settings{
    {"save=[coefficients, predictions]", "scores=[pearson, r2, mse, spearman]", "target_tile=40"},
    {"features.transform={standardize: false}", "save=[coefficients]", "permutation={n: 12, exchange: session}"},
    {"permutation={n: 12, scheme: fixed_alpha, tail: two}", "aggregate=weighted"},
    {"permutation={n: 12, scheme: fixed_model}", "responses.repeats=keep"},
    {"model.alpha_per_target=false", "permutation={n: 6, scheme: fixed_alpha}"},
    {"features.layers=b", "cv={folds: 0}", "save=coefficients"},
    {"features.transform={pca: 5}", "permutation={n: 6, stop: {exceed: 2}, correct: [fdr]}"},
    {"model.selection=loo", "cv={folds: 3}"},
    {"model.type=banded_ridge", "model.n_iter=4", "save=[coefficients, predictions]"}};

TEST(EngineRanks, SameBitsOnAnyRanksAndThreads) {
  Comm const world = Comm::world();
  Place const place("engine_bits");
  for (std::size_t i = 0; i < settings.size(); i += 2) {  // of each kind one
    auto const sets = with(settings[i], {"engine=torch", "device=cpu"});
    auto const many = place.encode(world, "many", sets, 2);
    EXPECT_EQ(many.code, Exit::ok) << many.message;
    if (world.root()) {
      auto const one = place.encode(Comm(), "one", sets);
      EXPECT_EQ(one.code, Exit::ok) << one.message;
      expect_same(place.folder / "one", place.folder / "many");
    }
    world.barrier();
  }
}

/// A count may differ by one where a score ties within rounding.
TEST(EngineRanks, AgreesWithBlas) {
  Comm const world = Comm::world();
  if (world.size() > 1) GTEST_SKIP() << "its bits are those of one rank";
  Place const place("engine_blas");
  for (auto const& setting : settings) {
    auto const blas = place.encode(world, "blas", setting),
               torch = place.encode(world, "torch", with(setting, {"engine=torch", "device=cpu"}));
    EXPECT_EQ(blas.code, Exit::ok) << blas.message;
    EXPECT_EQ(torch.code, Exit::ok) << torch.message;
    auto const a = content(place.folder / "blas/result.h5"), b = content(place.folder / "torch/result.h5");
    EXPECT_EQ(a.size(), b.size());
    for (auto const& [name, values] : a) {
      bool const result = !name.starts_with(".striate") && !name.starts_with("best");
      if (!result) continue;
      bool const p = name.ends_with("/p"), count = name.ends_with("/exceed") || name.ends_with("/permutations");
      bool const corrected = name.find("/permutation/") != std::string::npos && !p && !count;
      if (count || corrected) continue;
      ASSERT_EQ(b.count(name), 1U) << name;
      expect_close(b.at(name), values, p ? 1.01 / 7 : 1e-5, fmt::format("{} {}", setting.front(), name));
    }
  }
}

TEST(EngineRanks, NoArrangementAtAllTiesWithWhatWasObserved) {
  Comm const world = Comm::world();
  Place const place("engine_ties");
  // With `stop` tiles become narrower on the way, which changes the last digits of an engine.
  for (char const* scheme : {"scheme: refit", "scheme: fixed_alpha", "stop: {exceed: 6}, correct: [fdr]"}) {
    std::vector<std::string> const sets{"responses.stimuli=pairs.stim.csv", "features.layers=b", "target_tile=80",
                                        fmt::format("permutation={{n: 24, exchange: pair, {}}}", scheme)};
    auto const blas = place.encode(world, "blas", sets),
               torch = place.encode(world, "torch", with(sets, {"engine=torch", "device=cpu"}));
    EXPECT_EQ(blas.code, Exit::ok) << blas.message;
    EXPECT_EQ(torch.code, Exit::ok) << torch.message;
    std::string const name = "/b/permutation/pearson/exceed";
    if (world.root()) {
      auto const counts = read(place.folder / "blas/result.h5", name);
      EXPECT_EQ(read(place.folder / "torch/result.h5", name), counts) << scheme;
      EXPECT_GE(*std::ranges::max_element(counts), 4) << scheme;
    }
    world.barrier();
  }
}

TEST(EngineRanks, RefusesWhatDoesNotGoTogether) {
  Comm const world = Comm::world();
  Place const place("engine_errors");
  auto const says = [&](std::vector<std::string> const& sets, Exit code, std::string const& words) {
    auto const out = place.encode(world, "refused", sets);
    EXPECT_EQ(out.code, code) << out.message;
    EXPECT_NE(out.message.find(words), std::string::npos) << out.message;
    EXPECT_EQ(out.message.find('\n'), std::string::npos) << out.message;
  };
  for (char const* model : {"lasso", "elastic_net", "pls", "pcr", "cca", "univariate", "fwrf"})
    says({"engine=torch", fmt::format("model={{type: {}}}", model)}, Exit::config, "engine: torch is there for ridge");
  says({"device=cuda"}, Exit::config, "device: cuda is of engine: torch");
  says({"engine=cublas"}, Exit::config, "engine");
  if (torch_devices() == 0) says({"engine=torch", "device=cuda"}, Exit::config, "device: cuda is asked for, but");
}

TEST(EngineRanks, AnotherEngineDoesNotGoOn) {
  Comm const world = Comm::world();
  Place const place("engine_resume");
  auto const run = [&](std::vector<std::string> const& sets) {
    return run_encode(world, place.folder.path, World::yaml(), {.sets = sets, .torch_engine = makes});
  };
  EXPECT_EQ(run({"features.layers=b"}).code, Exit::ok);
  auto const other = run({"features.layers=b", "engine=torch"});
  EXPECT_EQ(other.code, Exit::cant_create) << other.message;
  EXPECT_NE(other.message.find("engine"), std::string::npos) << other.message;
}

/// The parts of `permute` take the encode's engine.
TEST(EngineRanks, PermuteGoesOnWithIt) {
  Comm const world = Comm::world();
  Place const place("engine_permute");
  std::string text = World::yaml() + "engine: torch\npermutation: {n: 4}\n";
  if (world.root()) write_atomically(place.folder / "encode.yaml", text);
  world.barrier();
  EXPECT_EQ(run_encode(world, place.folder.path, text, {.torch_engine = makes}).code, Exit::ok);
  auto const more = run_job(make_permute(), world, place.folder / "permute.yaml",
                            "encode: encode.yaml\npermutation: {n: 8}\noutput: more\n", {.torch_engine = makes});
  EXPECT_EQ(more.code, Exit::ok) << more.message;
  auto const whole = place.encode(world, "whole", {"engine=torch", "permutation.n=12"});
  EXPECT_EQ(whole.code, Exit::ok) << whole.message;
  if (world.root()) {
    std::string const name = "/b/permutation/pearson/exceed";
    EXPECT_EQ(read(place.folder / "more/result.h5", name), read(place.folder / "whole/result.h5", name));
  }
}

}  // namespace
