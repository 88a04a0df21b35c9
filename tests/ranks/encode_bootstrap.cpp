// What is made of kept held-out predictions, bootstrapped intervals of encode and flips of partition: against saved
// predictions, at any tiles and ranks, through interruptions.
#include "../unit/encode_common.hpp"
#include "striate/stats/bootstrap.hpp"
#include "striate/stats/scores.hpp"

namespace striate {
std::unique_ptr<Job> make_partition();
}

using namespace encode_test;

namespace {

struct Place : SharedWorld {
  using SharedWorld::SharedWorld;
  [[nodiscard]] Outcome encode(std::vector<std::string> sets, Options o = {}, Comm const& comm = Comm::world()) const {
    sets.emplace_back("bootstrap.n=200");
    o.sets = std::move(sets);
    return run_encode(comm, folder.path, World::yaml(), o);
  }
};

std::vector<std::string> table_row(fs::path const& file, std::size_t row) {
  std::istringstream in(read_text(file));
  std::string line;
  for (std::size_t i = 0; i <= row; ++i) std::getline(in, line);
  std::istringstream cells(line);
  std::vector<std::string> out;
  for (std::string cell; std::getline(cells, cell, '\t');) out.push_back(cell);
  return out;
}

/// Everything anew from the saved predictions, in float64.
TEST(EncodeBootstrap, IsWhatSavedPredictionsGive) {
  Place const place("bootstrap_plain");
  auto const done = place.encode({"save=predictions", "scores=pearson", "output=out"});
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  if (!Comm::world().root()) return;
  fs::path const file = place.folder / "out/result.h5";
  auto const seen = read(file, "b/score/pearson"), low = read(file, "b/bootstrap/pearson/low"),
             high = read(file, "b/bootstrap/pearson/high"), se = read(file, "b/bootstrap/pearson/se"),
             share = read(file, "best/bootstrap_share");
  std::map<std::string, std::vector<double>> predicted;
  for (char const* layer : {"a", "b", "wide"}) predicted[layer] = read(file, std::string(layer) + "/prediction");
  auto const fold_values = read(file, ".striate/fold");
  std::vector<std::int32_t> const fold(fold_values.begin(), fold_values.end());
  std::size_t const t = seen.size(), n = fold.size();
  // Rows in order of first appearance, averaged over repeats, as encode has them.
  TempFolder const other("bootstrap_again_" + std::to_string(getpid()));
  World const world(other.path);
  auto const index = read(file, "targets/index");
  auto const volume_of = [&](std::size_t v, std::size_t voxel) {
    std::size_t const s = world.shown(v);
    return voxel == 9 ? 3.0F : 100 + world.response(voxel, s) + noise(v, 90000 + voxel);
  };
  std::vector<std::vector<std::size_t>> volumes;
  std::map<std::size_t, std::size_t> row_of;
  for (std::size_t v = 0; v < world.volumes; ++v) {
    auto const [at, fresh] = row_of.try_emplace(world.shown(v), volumes.size());
    if (fresh) volumes.emplace_back();
    volumes[at->second].push_back(v);
  }
  ASSERT_EQ(volumes.size(), n);
  std::vector<std::uint32_t> label(n);
  for (std::uint32_t i = 0; i < n; ++i) label[i] = i;
  Resampler const resampler(label, fold, 0);
  double const tail = interval_tail(0.95, resampler.groups(), resampler.strata());
  std::vector<float> w(n);
  std::size_t checked = 0;
  std::vector<double> region(200, 0);
  double region_seen = 0, regions = 0;
  for (std::size_t j = 0; j < t; ++j) {
    if (std::isnan(seen[j])) {
      EXPECT_TRUE(std::isnan(low[j]) && std::isnan(high[j]) && std::isnan(se[j]));
      continue;
    }
    std::vector<double> y(n, 0), draws, counted(3, 0);
    for (std::size_t r = 0; r < n; ++r)
      for (auto v : volumes[r])
        y[r] += volume_of(v, static_cast<std::size_t>(index[j])) / static_cast<double>(volumes[r].size());
    for (std::uint64_t b = 0; b < 200; ++b) {
      resampler.make(b, w);
      std::vector<double> of_layer;
      for (char const* layer : {"a", "b", "wide"}) {
        double mean = 0;
        for (std::int32_t f = 0; f < 3; ++f) {
          Moments m;
          for (std::size_t r = 0; r < n; ++r)
            for (int times = 0; fold[r] == f && times < static_cast<int>(w[r]); ++times)
              m.add(y[r] - 100, predicted[layer][r * t + j]);
          mean += score(Score::pearson, m) / 3;
        }
        of_layer.push_back(mean);
      }
      draws.push_back(of_layer[1]);
      region[b] += of_layer[1];
      counted[static_cast<std::size_t>(std::ranges::max_element(of_layer) - of_layer.begin())] += 1.0 / 200;
    }
    region_seen += seen[j], regions += 1;
    auto const i = bootstrap_interval(draws, seen[j], seen[j], tail);
    EXPECT_NEAR(low[j], std::clamp(i.low, -1.0, 1.0), 2e-5);
    EXPECT_NEAR(high[j], std::clamp(i.high, -1.0, 1.0), 2e-5);
    EXPECT_NEAR(se[j], i.se, 2e-5);
    for (std::size_t l = 0; l < 3; ++l) EXPECT_NEAR(share[l * t + j], counted[l], 0.0051);
    ++checked;
  }
  EXPECT_GT(checked, 60U);
  for (double& v : region) v /= regions;
  auto const i = bootstrap_interval(region, region_seen / regions, region_seen / regions, tail);
  auto const header = table_row(place.folder / "out/summary.tsv", 0),
             row = table_row(place.folder / "out/summary.tsv", 4);
  auto const cell = [&](char const* name) {
    return std::stod(row[static_cast<std::size_t>(std::ranges::find(header, name) - header.begin())]);
  };
  EXPECT_EQ(row[0], "b");
  EXPECT_NEAR(cell("pearson_mean"), region_seen / regions, 1e-5);
  EXPECT_NEAR(cell("pearson_mean_low"), i.low, 2e-5);
  EXPECT_NEAR(cell("pearson_mean_high"), i.high, 2e-5);
  EXPECT_TRUE(fs::exists(place.folder / "out/maps/layer-b_stat-pearson_low.nii.gz"));
}

/// Results, not the working data, whose order follows the tiles.
std::map<std::string, std::vector<double>> results(fs::path const& file) {
  auto all = content(file);
  std::erase_if(all, [](auto const& d) { return d.first.starts_with(".striate"); });
  return all;
}
void expect_same_results(fs::path const& a, fs::path const& b) {
  auto const x = results(a / "result.h5"), y = results(b / "result.h5");
  ASSERT_EQ(x.size(), y.size());
  for (auto const& [name, values] : x) {
    ASSERT_TRUE(y.contains(name)) << name;
    EXPECT_EQ(0, std::memcmp(values.data(), y.at(name).data(), values.size() * 8)) << name;
  }
  EXPECT_EQ(read_text(a / "summary.tsv"), read_text(b / "summary.tsv"));
}

TEST(EncodeBootstrap, SameAtAnyTilesRanksAndThreads) {
  Comm const world = Comm::world();
  Place const place("bootstrap_ranks");
  for (std::string const& extra :
       {std::string("aggregate=mean"), std::string("aggregate=concat"), std::string("bootstrap.over=session")}) {
    std::vector<std::string> sets{extra, "scores=[pearson, r2, mse]", "permutation.n=5"};
    if (extra.starts_with("bootstrap")) sets.insert(sets.end(), {"cv.group=session", "cv.folds=auto"});
    auto with = [&](std::initializer_list<std::string> more) {
      auto all = sets;
      all.insert(all.end(), more);
      return all;
    };
    auto const ranks = place.encode(with({"output=ranks"}), {.threads = 2, .fresh = true});
    ASSERT_EQ(ranks.code, Exit::ok) << ranks.message;
    auto const wide = place.encode(with({"output=wide", "target_tile=64"}), {.fresh = true});
    ASSERT_EQ(wide.code, Exit::ok) << wide.message;
    if (world.root()) {
      EXPECT_EQ(place.encode(with({"output=alone"}), {.fresh = true}, Comm()).code, Exit::ok);
      expect_same(place.folder / "alone", place.folder / "ranks");
      expect_same_results(place.folder / "alone", place.folder / "wide");
    }
    world.barrier();
  }
}

TEST(EncodeBootstrap, GoesOnAfterAStop) {
  Place const place("bootstrap_stop");
  EXPECT_EQ(place.encode({"output=whole", "permutation.n=9"}).code, Exit::ok);
  std::size_t stops = 0;
  for (std::size_t when = 1; when < 60; when += 7) {
    StopFlag stop(false);
    auto const out =
        place.encode({"output=parts", "permutation.n=9"}, {.when = when, .at = [&] { stop.request(); }, .stop = &stop});
    ASSERT_EQ(out.code, Exit::ok) << out.message;
    stops += out.finished ? 0 : 1;
  }
  EXPECT_TRUE(place.encode({"output=parts", "permutation.n=9"}).finished);
  EXPECT_GT(stops, 2U);
  if (Comm::world().root()) expect_same(place.folder / "whole", place.folder / "parts");
}

TEST(PartitionFlips, SameAtAnyTilesRanksThreadsAndThroughStops) {
  Comm const world = Comm::world();
  Place const place("unique_ranks");
  auto const partition = [&](std::vector<std::string> const& more, Options o, Comm const& comm) {
    o.sets = {"features.layers=[a, b]", "permutation.n=40", "cv.shuffle=true", "cv.repeats=2"};
    o.sets.insert(o.sets.end(), more.begin(), more.end());
    auto const out = run_job(make_partition(), comm, place.folder / "partition.yaml", World::yaml(), o);
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    return out.finished;
  };
  EXPECT_TRUE(partition({"output=ranks"}, {.threads = 2}, world));
  EXPECT_TRUE(partition({"output=wide", "target_tile=64"}, {}, world));
  std::size_t stops = 0;
  for (std::size_t when = 1; when < 120; when += 13) {
    StopFlag stop(false);
    stops += partition({"output=parts"}, {.when = when, .at = [&] { stop.request(); }, .stop = &stop}, world) ? 0 : 1;
  }
  EXPECT_TRUE(partition({"output=parts"}, {}, world));
  EXPECT_GT(stops, 2U);
  if (world.root()) {
    EXPECT_TRUE(partition({"output=alone"}, {}, Comm()));
    expect_same(place.folder / "alone", place.folder / "ranks");
    expect_same(place.folder / "alone", place.folder / "parts");
    expect_same_results(place.folder / "alone", place.folder / "wide");
    EXPECT_GT(results(place.folder / "alone/result.h5").count("permutation/unique/a/p_max"), 0U);
  }
  world.barrier();
}

TEST(EncodeBootstrap, RepeatedFoldsDrawARowOnce) {
  Place const place("bootstrap_repeats");
  std::vector<double> width;
  for (char const* repeats : {"1", "6"}) {
    auto const done =
        place.encode({"output=out", "cv.shuffle=true", std::string("cv.repeats=") + repeats}, {.fresh = true});
    ASSERT_EQ(done.code, Exit::ok) << done.message;
    auto const se = read(place.folder / "out/result.h5", "b/bootstrap/pearson/se");
    double sum = 0;
    for (double v : se) sum += std::isnan(v) ? 0 : v;
    width.push_back(sum);
    Comm::world().barrier();
  }
  EXPECT_GT(width[1], 0.6 * width[0]);  // drawn anew in every repeat it were 0.41
}

TEST(EncodeBootstrap, Refusals) {
  Place const place("bootstrap_refusals");
  auto const refused = [&](std::vector<std::string> const& sets, Exit code, std::string const& word) {
    auto const out = place.encode(sets);
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  refused({"cv.folds=0"}, Exit::config, "held-out rows");
  refused({"scores=[pearson, spearman]"}, Exit::config, "spearman");
  refused({"bootstrap.over=sesion"}, Exit::data, "bootstrap.over");
  refused({"bootstrap.level=1.5"}, Exit::config, "bootstrap.level");
  refused({"cv.split=part", "cv.folds=auto", "bootstrap.over=part"}, Exit::data, "one group only");
}

}  // namespace
