// The permute Job: parts in any order, on any ranks, add up to what one run of everything says.
#include <bit>

#include "../unit/encode_common.hpp"

namespace striate {
std::unique_ptr<Job> make_permute();
}

using namespace encode_test;

namespace {

struct Place : SharedWorld {
  using SharedWorld::SharedWorld;
  /// Writes the config and runs it on all ranks.
  [[nodiscard]] Outcome encode(std::string const& name, std::vector<std::string> const& lines,
                               std::string const& model = "{alphas: {logspace: [0, 3, 4]}}") const {
    std::string text = World::yaml();
    text.replace(text.find("output: out\n"), 12, "output: " + name + "\n");
    std::string const line = "model: {alphas: {logspace: [0, 3, 4]}}";
    text.replace(text.find(line), line.size(), "model: " + model);
    for (auto const& line : lines) text += line + "\n";
    if (Comm::world().root()) write_atomically(folder / (name + ".yaml"), text);
    Comm::world().barrier();
    return run_encode(Comm::world(), folder.path, text);
  }
  [[nodiscard]] Outcome permute(std::string const& text, std::vector<std::string> const& sets,
                                Comm const& comm = Comm::world()) const {
    return run_job(make_permute(), comm, folder / "permute.yaml", text, {.sets = sets});
  }
  /// Every result of the test, name by name, as bits.
  [[nodiscard]] std::map<std::string, std::vector<std::uint64_t>> results(std::string const& name) const {
    auto all = content(folder / name / "result.h5");
    std::erase_if(all, [](auto const& d) {
      return d.first.find("/permutation/") == std::string::npos || d.first.starts_with(".striate");
    });
    std::map<std::string, std::vector<std::uint64_t>> bits;
    for (auto const& [dataset, values] : all)
      for (double v : values) bits[dataset].push_back(std::bit_cast<std::uint64_t>(v));
    return bits;
  }
};

TEST(PermuteRanks, PartsAddUpToTheWhole) {
  Comm const world = Comm::world();
  Place const place("permute_parts");
  auto const block = [](int n) {
    return fmt::format(
        "permutation: {{n: {}, tail: two, correct: [max, fdr, fdr_by, tfce, cluster], cluster_threshold: 0.1}}", n);
  };
  EXPECT_EQ(place.encode("whole", {block(11)}).code, Exit::ok);
  EXPECT_EQ(place.encode("some", {block(4), "save: [coefficients]"}).code, Exit::ok);  // its refit is a pass as well
  std::string const more = "encode: some.yaml\n" + block(7) + "\noutput: more\n";
  for (char const* part : {"3/3", "1/3", "2/3"}) {
    EXPECT_FALSE(fs::exists(place.folder / "more/result.h5"));
    auto const done = place.permute(more, {std::string("part=") + part});
    EXPECT_EQ(done.code, Exit::ok) << done.message;
    world.barrier();
  }
  EXPECT_EQ(place.results("whole"), place.results("more"));
  auto const mixed = place.permute(more, {"part=1/2"});
  EXPECT_EQ(mixed.code, Exit::cant_create);
  for (char const* word : {"part: 1/2", "-of-3.h5, of 3 jobs", "keep on with part: …/3", "another output"})
    EXPECT_NE(mixed.message.find(word), std::string::npos) << mixed.message;
  EXPECT_FALSE(fs::exists(place.folder / "more/part-1-of-2.h5"));
  EXPECT_GT(place.results("whole").size(), 20U);
  EXPECT_TRUE(fs::exists(place.folder / "more/maps/layer-b_stat-pearson_p_max.nii.gz"));
  EXPECT_NE(read_text(place.folder / "more/summary.tsv").find("early"), std::string::npos);
  // Everything anew, by the encode's scores alone.
  std::string const anew = "encode: some.yaml\n" + block(11) + "\nfrom: 0\noutput: anew\n";
  auto const done = place.permute(anew, {});
  EXPECT_EQ(done.code, Exit::ok) << done.message;
  EXPECT_EQ(place.results("whole"), place.results("anew"));
  // On one rank, on top of what is there.
  if (world.root()) {
    auto const again = place.permute(anew, {"output=alone"}, Comm());
    EXPECT_EQ(again.code, Exit::ok) << again.message;
    EXPECT_EQ(place.results("whole"), place.results("alone"));
  }
  world.barrier();
}

/// Models that are fitted to all targets together.
TEST(PermuteRanks, PartsOfWholePermutationsAddUp) {
  Place const place("permute_whole");
  for (std::string const model :
       {"{type: pls, components: [1, 2, 5]}", "{type: cca, components: [1, 2], response_pca: 5, alphas: [1, 100]}"}) {
    auto const block = [](int n) { return fmt::format("permutation: {{n: {}, tail: two, correct: [max, tfce]}}", n); };
    auto const whole = place.encode("whole", {block(9)}, model);
    EXPECT_EQ(whole.code, Exit::ok) << whole.message;
    EXPECT_EQ(place.encode("some", {block(2), "save: [coefficients]"}, model).code, Exit::ok);
    for (char const* part : {"2/2", "1/2"}) {
      auto const done =
          place.permute("encode: some.yaml\n" + block(7) + "\noutput: more\n", {std::string("part=") + part});
      EXPECT_EQ(done.code, Exit::ok) << done.message;
    }
    EXPECT_EQ(place.results("whole"), place.results("more"));
    EXPECT_GT(place.results("whole").size(), 20U);
    Comm::world().barrier();
    if (Comm::world().root()) {  // alone, on more threads
      auto const done = run_job(make_permute(), Comm(), place.folder / "permute.yaml",
                                "encode: some.yaml\n" + block(9) + "\nfrom: 0\noutput: alone\n", {.threads = 3});
      EXPECT_EQ(done.code, Exit::ok) << done.message;
      EXPECT_EQ(place.results("whole"), place.results("alone"));
      for (char const* name : {"whole", "some", "more", "alone"}) fs::remove_all(place.folder / name);
    }
    Comm::world().barrier();
  }
}

/// The greatest null scores of each target, of parts and of the encode itself.
TEST(PermuteRanks, TailsOfPartsAddUpToTheWhole) {
  Place const place("permute_tails");
  auto const block = [](int n) { return fmt::format("permutation: {{n: {}, tail_fit: gpd}}\nscores: [pearson]", n); };
  EXPECT_EQ(place.encode("whole", {block(600)}).code, Exit::ok);
  EXPECT_EQ(place.encode("some", {block(300)}).code, Exit::ok);
  EXPECT_EQ(place.encode("plain", {"permutation: {n: 300}\nscores: [pearson]"}).code, Exit::ok);
  std::string const more = "permutation: {n: 300, tail_fit: gpd}\noutput: ";
  for (char const* part : {"2/2", "1/2"}) {
    auto const done = place.permute("encode: some.yaml\n" + more + "more\n", {std::string("part=") + part});
    EXPECT_EQ(done.code, Exit::ok) << done.message;
    Comm::world().barrier();
  }
  EXPECT_EQ(place.results("whole"), place.results("more"));
  EXPECT_TRUE(place.results("whole").contains("best/permutation/pearson/p_gpd"));
  EXPECT_TRUE(fs::exists(place.folder / "more/maps/layer-b_stat-pearson_p_gpd.nii.gz"));
  // Permutations that count in kept no tails: what is left are those of the maxima.
  EXPECT_EQ(place.permute("encode: plain.yaml\n" + more + "half\n", {}).code, Exit::ok);
  auto const half = place.results("half"), whole = place.results("whole");
  EXPECT_FALSE(half.contains("b/permutation/pearson/p_gpd"));
  EXPECT_EQ(half.at("b/permutation/pearson/p_max_gpd"), whole.at("b/permutation/pearson/p_max_gpd"));
}

TEST(PermuteRanks, OtherSchemesOfAFinishedEncode) {
  Place const place("permute_schemes");
  EXPECT_EQ(place.encode("plain", {"cv: {split: part, inner: {folds: 3}}"}).code, Exit::config);  // cv stands twice
  EXPECT_EQ(place.encode("fits", {}).code, Exit::ok);
  for (char const* scheme : {"fixed_model", "fixed_alpha"}) {
    auto const sets = std::vector<std::string>{std::string("permutation.scheme=") + scheme, std::string("output=") + scheme};
    auto const done = place.permute("encode: fits.yaml\npermutation: {n: 9}\noutput: x\n", sets);
    EXPECT_EQ(done.code, Exit::ok) << done.message;
    EXPECT_EQ(place.encode(std::string("direct_") + scheme,
                           {std::string("permutation: {n: 9, scheme: ") + scheme + "}"})
                  .code,
              Exit::ok);
    EXPECT_EQ(place.results(scheme), place.results(std::string("direct_") + scheme));
  }
}

/// The plan, which is logged, counts from 1 and says why the permutations of the encode do not count in.
TEST(PermuteRanks, SaysWhatIsMadeAndWhatCountsIn) {
  Place const place("permute_says");
  EXPECT_EQ(place.encode("fits", {"permutation: {n: 4, exchange: session}"}).code, Exit::ok);
  auto const said = [&](std::string const& more) {
    Outcome const out = run_job(make_permute(), Comm::world(), place.folder / "permute.yaml",
                                "encode: fits.yaml\noutput: says\n" + more, {.only_plan = true});
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    std::map<std::string, std::string> const lines(out.plan.lines.begin(), out.plan.lines.end());
    auto const at = lines.find("permutations");
    return at == lines.end() || !Comm::world().root() ? std::string() : at->second;
  };
  auto const expect = [&](std::string const& more, std::string const& text) {
    std::string const mine = said(more);
    if (Comm::world().root()) {
      EXPECT_EQ(mine, text);
    }
  };
  expect("permutation: {n: 6, exchange: session}\npart: 2/2\n", "4 to 6 of 6, beside 4 of the encode");
  expect("permutation: {n: 6, exchange: session}\nfrom: 0\n",
         "1 to 6 of 6, without the 4 of the encode, as from: 0 does not go on where they end");
  expect("permutation: {n: 6}\n",
         "1 to 6 of 6, without the 4 of the encode, as permutation.exchange is session there, but not given here");
  expect("permutation: {n: 6, exchange: session, scheme: fixed_alpha}\npart: 1/2\n",
         "1 to 3 of 6, without the 4 of the encode, as permutation.scheme is refit there, but fixed_alpha here");
}

/// What is exchanged is the business of each test alone.
TEST(PermuteRanks, OtherExchangeOfAFinishedEncode) {
  Place const place("permute_exchange");
  std::string const free = "permutation: {n: 9}", within = "permutation: {n: 9, exchange: session}";
  EXPECT_EQ(place.encode("free", {free}).code, Exit::ok);
  EXPECT_EQ(place.encode("within", {within}).code, Exit::ok);
  for (auto const& [fits, test, same] : {std::tuple{"free", within, "within"}, std::tuple{"within", free, "free"}}) {
    auto const done = place.permute(fmt::format("encode: {}.yaml\n{}\noutput: to-{}\n", fits, test, same), {});
    EXPECT_EQ(done.code, Exit::ok) << done.message;
    EXPECT_EQ(place.results(same), place.results(std::string("to-") + same));
  }
}

TEST(PermuteRanks, Refusals) {
  Place const place("permute_refusals");
  auto const refused = [&](std::string const& text, Exit code, std::string const& word) {
    auto const out = place.permute(text, {});
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  refused("encode: none.yaml\noutput: x\n", Exit::no_input, "none.yaml");
  if (Comm::world().root()) write_atomically(place.folder / "unrun.yaml", World::yaml());
  Comm::world().barrier();
  refused("encode: unrun.yaml\noutput: x\n", Exit::no_input, "run striate encode");
  EXPECT_EQ(place.encode("fits", {}).code, Exit::ok);
  refused("encode: fits.yaml\npart: 5/4\noutput: x\n", Exit::config, "part: is `5/4`");
  refused("encode: fits.yaml\npart: 3\noutput: x\n", Exit::config, "3/10");
  refused("encode: fits.yaml\npermutation: {n: 2}\npart: 1/4\noutput: x\n", Exit::config, "holds none");
  // The same output, another config than was run.
  std::string text = World::yaml();
  text.replace(text.find("output: out\n"), 12, "seed: 3\noutput: fits\n");
  if (Comm::world().root()) write_atomically(place.folder / "other.yaml", text);
  Comm::world().barrier();
  refused("encode: other.yaml\noutput: x\n", Exit::cant_create, "another config");
}

}  // namespace
