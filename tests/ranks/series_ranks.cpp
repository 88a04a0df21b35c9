// Two BOLD runs from events to scores by YAML alone (convolve → encode), and delayed features, over ranks: the same
// bits.
#include <fstream>

#include "../../src/commands/convolve.hpp"
#include "../../src/commands/encode_delays.hpp"
#include "../unit/encode_common.hpp"

namespace striate {
std::unique_ptr<Job> make_partition();
}

using namespace encode_test;

namespace {

constexpr std::size_t stimuli = 24, lengths[] = {80, 66}, voxels = 60;
constexpr double tr = 1.5;

/// Stimuli in a store of two layers, 12 and 70 units; a picture every 4.5 s in two runs.
class SeriesRanks : public testing::Test {
 protected:
  SeriesRanks() : folder_(shared_name("series"), Comm::world().root()) {
    Comm::world().barrier();
    if (Comm::world().root()) write_store(), write_events();
    Comm::world().barrier();
  }
  ~SeriesRanks() override { Comm::world().barrier(); }

  void write_store() const {
    ActSpec spec;
    spec.layers = {{"conv", {3, 2, 2}, "channel row column"}, {"fc", {70, 1, 1}, "feature row column"}};
    for (std::size_t s = 0; s < stimuli; ++s) spec.stimulus_ids.push_back(fmt::format("s{}.jpg", s));
    spec.batch = 10;
    auto const store = ActWriter::open(Comm(), folder_ / "act.h5", spec);
    std::vector<std::size_t> batches;
    for (std::size_t b = 0; b < store->batches(); ++b) {
      for (std::size_t l = 0; l < 2; ++l) {
        std::size_t const units = l == 0 ? 12 : 70;
        std::vector<float> values(store->rows(b) * units);
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] = noise(store->first_row(b) + i / units, 100 * (l + 1) + i % units);
        (void)store->write_batch(l, b, values.data());
      }
      batches.push_back(b);
    }
    store->flush(), store->mark(batches), store->finish();
  }

  void write_events() const {
    for (std::size_t run = 0; run < 2; ++run) {
      std::ofstream out(folder_ / fmt::format("run-{}_events.tsv", run + 1));
      out << "onset\tduration\tstim_file\n";
      for (std::size_t i = 0; i + 3 < lengths[run] / 3; ++i)
        out << fmt::format("{}\t1.5\ts{}.jpg\n", 4.5 * static_cast<double>(i) + 0.3,
                           (i * 5 + run * 7 + i / 5) % stimuli);
    }
  }

  /// Stores of volumes by SPM's HRF ("bold") and at the given delays ("now": none, "fir"), and BOLD. Collective.
  void make_volumes(std::string const& delays = "") {
    Comm const world = Comm::world();
    ASSERT_TRUE(convolve(world, "hrf: spm\n", "bold").finished);
    if (!delays.empty()) {
      ASSERT_TRUE(convolve(world, "hrf: fir\ndelays: [0]\n", "now").finished);
      ASSERT_TRUE(convolve(world, "hrf: fir\ndelays: " + delays + "\n", "fir").finished);
    }
    if (world.root()) write_bold(folder_ / "bold.act.h5");
    world.barrier();
  }

  /// BOLD of two runs: half of the voxels follow the volumes of `store`, on drifts and a mean of each run's own.
  void write_bold(fs::path const& store) const {
    ActReader const reader(store.string());
    std::size_t const n = lengths[0] + lengths[1];
    std::vector<float> x(n * 12);
    reader.read("conv", 0, 12, MatrixView<float>(x.data(), n, 12));
    Affine affine{};
    affine[0] = {-2, 0, 0, 11}, affine[1] = {0, 2.5, 0, -7}, affine[2] = {0, 0, 3, 4};
    Space const space = make_nifti_space({5, 4, 3}, affine, ".nii.gz");
    for (std::size_t run = 0, row = 0; run < 2; ++run) {
      std::vector<float> y;
      for (std::size_t v = 0; v < lengths[run]; ++v, ++row)
        for (std::size_t t = 0; t < voxels; ++t) {
          double const time = static_cast<double>(v) / static_cast<double>(lengths[run]);
          double sum = 500 + 40 * static_cast<double>(run) + 9 * time * static_cast<double>(noise(run, 400 + t));
          for (std::size_t u = 0; u < 12 && t < voxels / 2; ++u)
            sum += static_cast<double>(x[u * n + row]) * static_cast<double>(noise(t, 500 + u));
          y.push_back(static_cast<float>(sum) + 0.3F * noise(row, 9000 + t));
        }
      write_nifti(folder_ / fmt::format("run-{}_bold.nii.gz", run + 1), space, y, lengths[run]);
    }
  }

  Outcome convolve(Comm const& comm, std::string const& sets, std::string const& output) {
    return run_job(make_convolve(), comm, folder_ / "convolve.yaml",
                   fmt::format("features: {{store: act.h5}}\n"
                               "events: [run-1_events.tsv, run-2_events.tsv]\n"
                               "tr: {}\nvolumes: [{}, {}]\noutput: {}.act.h5\n{}",
                               tr, lengths[0], lengths[1], output, sets));
  }
  static std::string yaml(std::string const& store) {
    return fmt::format(
        "features: {{store: {0}.act.h5}}\n"
        "responses:\n"
        "  data: [run-1_bold.nii.gz, run-2_bold.nii.gz]\n"
        "  stimuli: {0}.stim.csv\n"
        "  run: run\n  detrend: {{cosine: 60}}\n  tr: 1.5\n  zscore_runs: true\n  trim: [2, 1]\n"
        "model: {{alphas: {{logspace: [-2, 4, 7]}}}}\n"
        "cv: {{group: run}}\ntarget_tile: 16\noutput: out\n",
        store);
  }
  TempFolder folder_;
};

TEST_F(SeriesRanks, FromEventsToScores) {
  Comm const world = Comm::world();
  make_volumes();
  for (auto const& extra : std::vector<std::vector<std::string>>{
           {"save=[coefficients, predictions]"},
           {"features.delays=[0, 1, 3]", "save=[coefficients, predictions]",
            "permutation={n: 9, shuffle: circular, exchange: run}"},
           {"features.delays=[1, 2]", "model={type: banded_ridge, n_iter: 5}", "responses.detrend={polynomial: 3}"},
           {"features.delays=[0, 2]", "model={type: pls, components: 3}"}}) {
    auto const go = [&](Comm const& comm, std::string const& output, int threads) {
      auto sets = extra;
      sets.push_back("output=" + output);
      auto const out = run_encode(comm, folder_.path, yaml("bold"), {.sets = sets, .threads = threads, .fresh = true});
      EXPECT_EQ(out.code, Exit::ok) << out.message;
    };
    go(world, "many", 1), go(world, "threads", 3);
    if (world.root()) {
      go(Comm(), "one", 1);
      expect_same(folder_ / "one", folder_ / "many");
      expect_same(folder_ / "one", folder_ / "threads");
      h5::File const result = h5::File::open(folder_ / "one/result.h5");
      if (result.has("conv") && extra.back().find("pls") == std::string::npos) {
        auto const r = read(folder_ / "one/result.h5", "conv/score/pearson");
        for (std::size_t t = 0; t < voxels; ++t) {
          EXPECT_EQ(r[t] > 0.5, t < voxels / 2) << t << ": " << r[t] << " " << extra[0];
        }
        EXPECT_EQ(read(folder_ / "one/result.h5", ".striate/fold").size(), lengths[0] + lengths[1] - 6);
      }
    }
    world.barrier();
  }
}

/// Feature spaces with delays of their own beside one without: over ranks, and by hand.
TEST_F(SeriesRanks, SpacesHaveTheirOwnDelays) {
  Comm const world = Comm::world();
  make_volumes("[1, 4]");
  std::string const plain = "{name: a, store: bold.act.h5, layers: conv}";
  auto const go = [&](Comm const& comm, std::string const& second, std::string const& output) {
    auto const out = run_job(make_partition(), comm, folder_ / "partition.yaml", yaml("bold"),
                             {.sets = {"features=[" + plain + ", " + second + "]", "output=" + output}});
    EXPECT_EQ(out.code, Exit::ok) << out.message;
  };
  go(world, "{name: b, store: now.act.h5, layers: fc, delays: [1, 4]}", "delayed");
  go(world, "{name: b, store: fir.act.h5, layers: fc}", "convolved");
  if (world.root()) {
    go(Comm(), "{name: b, store: now.act.h5, layers: fc, delays: [1, 4]}", "one");
    expect_same(folder_ / "one", folder_ / "delayed");
    expect_same(folder_ / "convolved", folder_ / "delayed");
  }
  world.barrier();
}

/// hrf: fir of convolve is the delayed store of volumes with the mean over the TR that has just begun.
TEST_F(SeriesRanks, DelaysAreThoseOfConvolve) {
  Comm const world = Comm::world();
  make_volumes("[4, 1, 2]");
  // A name, or tables would give those of the files.
  std::vector<std::string> sets{"save=[coefficients, predictions]", "features.name=volumes"};
  sets.push_back("output=convolved");
  auto const convolved = run_encode(world, folder_.path, yaml("fir"), {.sets = sets});
  EXPECT_EQ(convolved.code, Exit::ok) << convolved.message;
  sets.back() = "output=delayed", sets.push_back("features.delays=[4, 1, 2]");
  auto const delayed = run_encode(world, folder_.path, yaml("now"), {.sets = sets});
  EXPECT_EQ(delayed.code, Exit::ok) << delayed.message;
  if (world.root()) expect_same(folder_ / "convolved", folder_ / "delayed");
  world.barrier();
}

/// Held or streamed, alone or by all ranks, in panels that cross delays.
TEST_F(SeriesRanks, PanelsCrossDelays) {
  Comm const world = Comm::world();
  ActReader const reader((folder_ / "act.h5").string());
  std::vector<std::size_t> const rows{3, 4, 9, 9, 20};
  constexpr std::size_t n = 4, units = 70;
  constexpr auto none = encode::Lags::none;
  encode::Lags const lags{{}, rows, {none, 0, 2, 4, none, none, 1, 3}};
  for (double room : {0.0, 1e9}) {
    encode::DelayedSource const x(
        std::make_unique<encode::LayerSource>(world, reader, encode::LayerInput{0, "fc", "fc", units}, lags.rows, room),
        lags, n);
    ASSERT_EQ(x.cols(), 2 * units);
    for (auto const& [first, count] :
         {std::pair<std::size_t, std::size_t>{0, 140}, {3, 20}, {65, 11}, {69, 71}, {139, 1}}) {
      std::vector<float> both(n * count), alone(n * count);
      x.read(first, count, both.data());
      x.read_alone(first, count, alone.data());
      for (std::size_t j = 0; j < count; ++j)
        for (std::size_t i = 0; i < n; ++i) {
          auto const place = lags.place[(first + j) / units * n + i];
          float const want = place == none ? 0 : noise(rows[place], 200 + (first + j) % units);
          ASSERT_EQ(both[j * n + i], want) << room << " " << first + j << " " << i;
          ASSERT_EQ(alone[j * n + i], want);
        }
    }
  }
}

}  // namespace
