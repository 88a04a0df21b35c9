// Sequential stopping, and the tails of single targets: what tests of so many permutations count and keep, in blocks of
// any length, on any ranks, through stops.
#include "../../src/commands/encode_finish.hpp"
#include "../../src/commands/encode_null.hpp"
#include "../../src/commands/encode_run.hpp"
#include "../unit/encode_common.hpp"
#include "striate/base/philox.hpp"
#include "striate/stats/multiple.hpp"

using namespace encode_test;

namespace {

constexpr std::size_t P = 24;

struct Place : SharedWorld {
  using SharedWorld::SharedWorld;
  [[nodiscard]] Outcome encode(std::vector<std::string> sets) const {
    sets.insert(sets.end(), {"features.layers=[a, b]", "scores=[pearson, mse]", "permutation.correct=[fdr]"});
    return run_encode(Comm::world(), folder.path, World::yaml(), {.sets = sets, .fresh = true});
  }

  [[nodiscard]] encode::Null blocks(std::size_t block, std::vector<std::string> sets, std::size_t memory_targets,
                                    std::vector<std::size_t> const& stops, std::string const& name) const {
    encode::Null null;
    sets.push_back("permutation.n=" + std::to_string(P));
    units(block, std::move(sets), memory_targets, stops, name,
          [&](auto const& config, auto const& in, auto const& layout, auto& result, Team&) {
            null = encode::read_null(config, in, layout, result);
          });
    return null;
  }

  /// The units of an encode whose permutations are cut into blocks of `block`; a stop at each of `stops` ticks. `use`
  /// sees them at the end.
  template <class F>
  void units(std::size_t block, std::vector<std::string> sets, std::size_t memory_targets,
             std::vector<std::size_t> const& stops, std::string const& name, F const& use) const {
    Comm const world = Comm::world();
    encode::Config config;
    Schema schema;
    encode::declare(schema, config);
    sets.insert(sets.end(), {"features.layers=[a, b]", "scores=[pearson, mse]", "permutation.correct=[fdr]"});
    read_config(schema, {(folder / "encode.yaml").string(), World::yaml(), sets});
    auto const in = encode::load_inputs(config, world);
    encode::Layout layout = encode::make_layout(config, in);
    layout.permutation.block = block;
    layout.permutation.blocks = (layout.permutation.n + block - 1) / block;
    auto const costs = encode::cost_of(config, in, 1e15);
    auto memory = encode::divide_memory(in, layout, costs, costs, 4e9, world.size(), 1);
    memory.target_block = memory_targets;
    std::size_t interrupted = 0;
    for (std::size_t run = 0; run <= stops.size(); ++run) {
      auto const result = ResultFile::open(world, folder / name,
                                           encode::result_spec(config, in, layout, resolved(schema, true)), run == 0);
      StopFlag stop(false);
      auto const plain = mpi_team(world, 1);
      TickingTeam team(*plain, run < stops.size() ? stops[run] : 0, [&] { stop.request(); });
      Context context{world, team, stop, 1, 4e9, false, folder / "encode.yaml", {}, {}};
      bool const done = encode::compute(context, config, in, layout, memory, *result);
      result->flush();
      interrupted += done ? 0 : 1;
      if (run == stops.size()) {
        EXPECT_TRUE(done);
        EXPECT_EQ(interrupted, stops.size());
        use(config, in, layout, *result, *plain);
      }
    }
  }
};

TEST(Sequential, StopsWhereTheCountIsReached) {
  Place const place("sequential_plain");
  fs::path const out = place.folder / "out/result.h5";
  std::vector<std::string> const tests{"a/permutation/pearson/", "b/permutation/pearson/", "b/permutation/mse/",
                                       "best/permutation/pearson/"};
  std::vector<std::vector<std::vector<double>>> exceed(P + 1);  // after so many permutations, [test]
  for (std::size_t n = 1; n <= P; ++n) {
    EXPECT_EQ(place.encode({"output=out", "permutation.n=" + std::to_string(n)}).code, Exit::ok);
    for (auto const& test : tests) exceed[n].push_back(read(out, test + "exceed"));
    Comm::world().barrier();
  }
  for (std::string const scheme : {"refit", "fixed_alpha"}) {
    auto const done =
        place.encode({"output=out", "permutation.n=24", "permutation.stop.exceed=3", "permutation.scheme=" + scheme});
    EXPECT_EQ(done.code, Exit::ok) << done.message;
    std::size_t early = 0, never = 0;
    for (std::size_t k = 0; k < tests.size(); ++k) {
      auto const count = read(out, tests[k] + "exceed"), made = read(out, tests[k] + "permutations"),
                 p = read(out, tests[k] + "p");
      EXPECT_EQ(read(out, tests[k] + "q_fdr").size(), p.size());
      for (std::size_t j = 0; j < p.size(); ++j) {
        if (std::isnan(p[j])) {
          EXPECT_EQ(made[j], 0);
          continue;
        }
        auto const l = static_cast<std::size_t>(made[j]);
        bool const stopped = count[j] == 3;
        EXPECT_DOUBLE_EQ(p[j], stopped ? 3.0 / made[j] : (count[j] + 1) / (P + 1.0));
        if (!stopped) {
          EXPECT_EQ(l, P);
        }
        if (scheme == "fixed_alpha") continue;  // other counts
        EXPECT_EQ(count[j], exceed[l][k][j]) << tests[k] << j;
        if (stopped && l > 1) {
          EXPECT_EQ(exceed[l - 1][k][j], 2) << tests[k] << j;
        }
        early += stopped && l < P ? 1 : 0, never += stopped ? 0 : 1;
      }
    }
    if (scheme == "refit") {
      EXPECT_GT(early, 50U);
      EXPECT_GT(never, 50U);
    }
    Comm::world().barrier();
  }
}

TEST(Sequential, SameInAnyBlocksAndThroughStops) {
  Place const place("sequential_blocks");
  for (std::string const scheme : {"refit", "fixed_alpha", "fixed_model"}) {
    std::vector<std::string> const sets{"permutation.correct=[fdr]", "permutation.stop.exceed=3",
                                        "permutation.scheme=" + scheme};
    auto const whole = place.blocks(P, sets, 75, {}, "whole.h5");
    for (auto const& [block, targets, stops] :
         {std::tuple{std::size_t{5}, std::size_t{75}, std::vector<std::size_t>{}},
          std::tuple{std::size_t{1}, std::size_t{16}, std::vector<std::size_t>{}},
          std::tuple{std::size_t{7}, std::size_t{32}, std::vector<std::size_t>{3, 20, 21}}}) {
      auto const parts = place.blocks(block, sets, targets, stops, "parts.h5");
      if (!Comm::world().root()) continue;
      EXPECT_EQ(whole.exceed, parts.exceed) << scheme << block;
      EXPECT_EQ(whole.stop, parts.stop) << scheme << block;
      EXPECT_EQ(whole.best_exceed, parts.best_exceed) << scheme << block;
      EXPECT_EQ(whole.best_stop, parts.best_stop) << scheme << block;
    }
  }
}

/// Permutations that are fitted anew, all targets at once.
TEST(WholePermutations, SameInAnyBlocksAndThroughStops) {
  Place const place("whole_blocks");
  std::vector<std::string> const sets{"model={type: pls, components: [1, 3]}"};
  auto const whole = place.blocks(P, sets, 75, {}, "whole.h5");
  for (auto const& [block, stops] : {std::tuple{std::size_t{1}, std::vector<std::size_t>{}},
                                     // In the fits, while features are prepared, after two and after three blocks.
                                     std::tuple{std::size_t{5}, std::vector<std::size_t>{3, 60, 26, 25}}}) {
    auto const parts = place.blocks(block, sets, 75, stops, "parts.h5");
    if (!Comm::world().root()) continue;
    EXPECT_EQ(whole.exceed, parts.exceed) << block;
    EXPECT_EQ(whole.max, parts.max) << block;
    EXPECT_EQ(whole.best_exceed, parts.best_exceed) << block;
  }
}

/// Of the two layers and of the better one, by the tails of 300 permutations.
TEST(TargetTails, SameInAnyBlocksAndThroughStops) {
  Place const place("target_tails");
  constexpr std::size_t n = 300;
  std::vector<std::vector<double>> whole;
  for (auto const& [block, targets, stops] :
       {std::tuple{n, std::size_t{75}, std::vector<std::size_t>{}},
        std::tuple{std::size_t{37}, std::size_t{32}, std::vector<std::size_t>{}},
        std::tuple{std::size_t{280}, std::size_t{75}, std::vector<std::size_t>{3, 20, 21}}}) {
    std::vector<std::vector<double>> p;
    place.units(block, {"permutation.n=300", "permutation.tail_fit=gpd"}, targets, stops, "tails.h5",
                [&](auto const& config, auto const& in, auto const& layout, auto& result, Team& team) {
                  if (!Comm::world().root()) return;
                  encode::derive({config, in, layout, result, team});
                  for (char const* layer : {"/a", "/b", "/best"})
                    p.push_back(result.template read<double>(std::string(layer) + "/permutation/pearson/p_gpd"));
                  p.push_back(result.template read<double>("/b/permutation/mse/p_gpd"));
                });
    if (whole.empty()) whole = p;
    ASSERT_EQ(p.size(), whole.size());
    for (std::size_t k = 0; k < p.size(); ++k)
      EXPECT_EQ(0, std::memcmp(p[k].data(), whole[k].data(), p[k].size() * sizeof(double))) << block << " " << k;
  }
  std::size_t beyond = 0;
  for (auto const& p : whole)
    beyond += static_cast<std::size_t>(std::ranges::count_if(p, [](double v) { return v < 1.0 / 301; }));
  if (Comm::world().root()) EXPECT_GT(beyond, 20U);
}

/// p of h exceedances at permutation l, of all there are: at most alpha with a probability of at most alpha.
TEST(Sequential, PHoldsItsLevel) {
  std::vector<double> const observed{1};
  double below = 0, work = 0;
  constexpr std::size_t h = 10, n = 999, runs = 20000;
  for (std::size_t run = 0; run < runs; ++run) {
    Philox draw(7, 1, run);
    double const p = draw.uniform();
    std::uint64_t count = 0, l = 0;
    while (l < n && count < h) ++l, count += draw.uniform() < p ? 1 : 0;
    auto const got =
        sequential_p(observed, std::vector<std::uint64_t>{count}, std::vector<std::uint64_t>{count == h ? l : 0}, n);
    below += got[0] <= 0.05 ? 1 : 0, work += static_cast<double>(l);
  }
  EXPECT_NEAR(below / runs, 0.05, 0.0055);
  EXPECT_LT(work / runs, 0.08 * n);  // h (1 + ln(n / h)) / n
}

TEST(Sequential, Refusals) {
  Place const place("sequential_refusals");
  std::string yaml = World::yaml();
  auto const out =
      run_encode(Comm::world(), place.folder.path, yaml, {.sets = {"permutation.n=9", "permutation.stop.exceed=2"}});
  EXPECT_EQ(out.code, Exit::config);
  EXPECT_NE(out.message.find("set correct: [fdr]"), std::string::npos) << out.message;
  auto const tail = run_encode(Comm::world(), place.folder.path, yaml,
                               {.sets = {"permutation.n=300", "permutation.stop.exceed=2", "permutation.correct=[fdr]",
                                         "permutation.tail_fit=gpd"}});
  EXPECT_EQ(tail.code, Exit::config);
  EXPECT_NE(tail.message.find("which stop leaves out"), std::string::npos) << tail.message;
}

}  // namespace
