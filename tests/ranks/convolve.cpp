// `striate convolve` as a job: values against sums by hand, the same bits at any number of ranks, resuming, messages.
#include <cstring>
#include <fstream>

#include "../../src/commands/convolve.hpp"
#include "../unit/encode_common.hpp"
#include "striate/math/hrf.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace {
using namespace striate;
using namespace encode_test;

constexpr std::size_t stimuli = 12, volumes[] = {40, 25};
double const tr = 1.5;

float activation(std::size_t layer, std::size_t stimulus, std::size_t unit) {
  return static_cast<float>(std::sin(static_cast<double>(1 + 97 * layer + 13 * stimulus + 7 * unit)));
}

struct Shown {
  int run;
  Event event;
};

std::vector<Shown> shown() {
  std::vector<Shown> all;
  for (int run = 0; run < 2; ++run)
    for (std::size_t i = 0; i < (run == 0 ? 14 : 6); ++i)
      all.push_back({run, {0.29 + 3.1 * static_cast<double>(i), i % 4 == 3 ? 0.0 : 1.0 + static_cast<double>(i % 3),
                           1 + 0.25 * static_cast<double>(i % 2), (i * 5 + static_cast<std::size_t>(run)) % stimuli}});
  return all;
}

/// A store of two layers, 3 × 2 × 2 and 70 units, and the events that show its stimuli.
class Convolve : public ::testing::Test {
 protected:
  Convolve() : folder_(shared_name("convolve"), Comm::world().root()) {
    Comm const comm = Comm::world();
    comm.barrier();
    if (comm.root()) {
      ActSpec spec;
      spec.layers = {{"conv", {3, 2, 2}, "channel row column"}, {"fc", {70, 1, 1}, "feature row column"}};
      for (std::size_t s = 0; s < stimuli; ++s) spec.stimulus_ids.push_back("s" + std::to_string(s) + ".jpg");
      spec.batch = 5;
      spec.attributes = {{"network", "tiny"}};
      auto const store = ActWriter::open(Comm(), folder_ / "act.h5", spec);
      for (std::size_t b = 0; b < store->batches(); ++b)
        for (std::size_t l = 0; l < 2; ++l) {
          std::size_t const units = l == 0 ? 12 : 70;
          std::vector<float> values;
          for (std::size_t r = 0; r < store->rows(b); ++r)
            for (std::size_t u = 0; u < units; ++u) values.push_back(activation(l, store->first_row(b) + r, u));
          store->write_batch(l, b, values.data());
          std::size_t const done[] = {b};
          if (l == 1) store->flush(), store->mark(done);
        }
      store->finish();
      std::string text = "onset\tduration\trun\ttrial_type\tstim_file\tgain\n0\t1\t1\tfixation\tn/a\tn/a\n";
      for (auto const& s : shown())
        text += fmt::format("{}\t{}\t{}\tpicture\ts{}.jpg\t{}\n", s.event.onset, s.event.duration, s.run + 1,
                            s.event.stimulus, s.event.amplitude);
      write("events.tsv", text);
    }
    comm.barrier();
  }
  ~Convolve() override { Comm::world().barrier(); }

  void write(std::string const& name, std::string const& text) { std::ofstream(folder_ / name) << text; }
  Outcome run(std::vector<std::string> const& sets, Options o = {}, Comm const& comm = Comm::world()) {
    o.sets = sets;
    return run_job(make_convolve(), comm, folder_ / "convolve.yaml",
                   "features: {store: act.h5}\nevents: events.tsv\namplitude: gain\ntr: 1.5\nvolumes: [40, 25]\n"
                   "output: bold.act.h5\n",
                   o);
  }
  static std::vector<float> values(fs::path const& file, std::string const& layer) {
    return h5::File::open(file).dataset(layer).read<float>();
  }

  TempFolder folder_;
};

/// Σ over the events of the volume's run alone.
void expect_values(fs::path const& file, std::vector<Regressor> const& blocks, double offset) {
  for (std::size_t l = 0; l < 2; ++l) {
    std::size_t const units = l == 0 ? 12 : 70, k = blocks.size();
    auto const got = h5::File::open(file).dataset(l == 0 ? "conv" : "fc").read<float>();
    ASSERT_EQ(got.size(), 65 * k * units);
    for (std::size_t row = 0; row < 65; ++row)
      for (std::size_t b = 0; b < k; ++b)
        for (std::size_t u = 0; u < units; ++u) {
          int const run = row < volumes[0] ? 0 : 1;
          double const t = tr * (static_cast<double>(row - (run == 0 ? 0 : volumes[0])) + offset);
          double want = 0;
          for (auto const& s : shown())
            if (s.run == run)
              want += s.event.amplitude * blocks[b].weight(s.event, t) * activation(l, s.event.stimulus, u);
          ASSERT_NEAR(got[(row * k + b) * units + u], want, 1e-6) << l << " row " << row << " block " << b << " unit " << u;
        }
  }
}

using Part = Regressor::Part;

TEST_F(Convolve, AddsEveryEventOfTheRun) {
  auto const done = run({"derivatives=time_dispersion", "sample=middle"});
  ASSERT_TRUE(done.finished) << done.message;
  if (!Comm::world().root()) return;
  std::vector<Regressor> blocks;
  for (Part part : {Part::hrf, Part::time, Part::dispersion}) blocks.emplace_back(Hrf::Kind::spm, part);
  expect_values(folder_ / "bold.act.h5", blocks, 0.5);
  ActReader const store((folder_ / "bold.act.h5").string());
  EXPECT_EQ(store.layer("conv").shape, (std::vector<std::size_t>{9, 2, 2}));
  EXPECT_EQ(store.attribute("regressors"), "hrf time dispersion");
  EXPECT_EQ(store.attribute("network"), "tiny");
  EXPECT_EQ(store.ids()[0], "run-1_vol-0001");
  EXPECT_EQ(store.ids()[64], "run-2_vol-0025");
  EXPECT_EQ(store.first_damage(), "");
  StimTable const table = read_stim_table(folder_ / "bold.stim.csv");
  EXPECT_EQ(table.ids(), store.ids());
  EXPECT_EQ(table.column("run")[40], "2");
  EXPECT_EQ(table.column("volume")[41], "2");
  EXPECT_EQ(table.column("time")[41], "2.25");
}

TEST_F(Convolve, DelaysAndGlover) {
  ASSERT_TRUE(run({"hrf=fir", "delays=[0, 3]", "output=fir.act.h5"}).finished);
  ASSERT_TRUE(run({"hrf=glover", "output=glover.act.h5"}).finished);
  if (!Comm::world().root()) return;
  expect_values(folder_ / "fir.act.h5", {Regressor(0, tr), Regressor(3 * tr, tr)}, 0);
  expect_values(folder_ / "glover.act.h5", {Regressor(Hrf::Kind::glover, Part::hrf)}, 0);
  EXPECT_EQ(ActReader((folder_ / "fir.act.h5").string()).attribute("regressors"), "delay-0 delay-3");
}

TEST_F(Convolve, TheSameBitsAtAnyNumberOfRanksAndThreads) {
  ASSERT_TRUE(run({"output=many.act.h5"}, {.threads = 3}).finished);
  if (!Comm::world().root()) return;
  ASSERT_TRUE(run({"output=one.act.h5"}, {}, Comm::self()).finished);
  for (auto const* name : {"conv", "fc", ".striate/crc32c", ".striate/row_sum", ".striate/unit_mean/fc"}) {
    auto const a = h5::File::open(folder_ / "many.act.h5").dataset(name).read<double>();
    auto const b = h5::File::open(folder_ / "one.act.h5").dataset(name).read<double>();
    EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * 8)) << name;
  }
}

TEST_F(Convolve, ResumesAndRefusesAnotherConfig) {
  StopFlag stop(false);
  stop.request();
  Options halted;
  halted.stop = &stop;
  auto const first = run({}, halted);
  EXPECT_FALSE(first.finished);
  EXPECT_EQ(first.code, Exit::ok) << first.message;
  auto const other = run({"tr=1.4"});
  EXPECT_EQ(other.code, Exit::cant_create);
  EXPECT_NE(other.message.find("tr"), std::string::npos) << other.message;
  ASSERT_TRUE(run({}).finished);
  ASSERT_TRUE(run({"output=whole.act.h5"}).finished);
  if (Comm::world().root()) {
    EXPECT_EQ(values(folder_ / "bold.act.h5", "fc"), values(folder_ / "whole.act.h5", "fc"));
    fs::remove(folder_ / "bold.stim.csv");
  }
  ASSERT_TRUE(run({}).finished);  // complete: only the list that went missing is written again
  if (!Comm::world().root()) return;
  EXPECT_TRUE(fs::exists(folder_ / "bold.stim.csv"));
  write("events.tsv", "onset\tduration\trun\tstim_file\tgain\n1\t1\t1\ts0.jpg\t1\n1\t1\t2\ts0.jpg\t1\n");
  EXPECT_EQ(run({}, {}, Comm::self()).code, Exit::cant_create) << "other events";
}

TEST_F(Convolve, OneFileARunAndImagesThatAreCounted) {
  Comm const comm = Comm::world();
  if (comm.root()) {
    write("a.tsv", "onset\tduration\tstimulus\n0.5\t1\ts1.jpg\n2\t1\ts2.jpg\n");
    write("b.csv", "onset,duration,stimulus\n0.5,1,s1.jpg\n2,1,s2.jpg\n");
    Space const space = make_nifti_space({2, 2, 2}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}}, ".nii.gz");
    write_nifti(folder_ / "bold.nii.gz", space, std::vector<float>(8 * 20, 1), 20);
  }
  comm.barrier();
  auto const done = run({"events=[a.tsv, b.csv]", "amplitude=null", "volumes={from: [bold.nii.gz, bold.nii.gz]}"});
  ASSERT_TRUE(done.finished) << done.message;
  if (!comm.root()) return;
  auto const all = values(folder_ / "bold.act.h5", "fc");
  ASSERT_EQ(all.size(), 40U * 70);
  EXPECT_TRUE(std::equal(all.begin(), all.begin() + 20 * 70, all.begin() + 20 * 70));
}

TEST_F(Convolve, BadInput) {
  struct Case {
    std::vector<std::string> sets;
    Exit code;
    char const* part;
  };
  Comm const comm = Comm::world();
  if (comm.root()) {
    write("late.tsv", "onset\tduration\tstim_file\n29000\t1\ts0.jpg\n");
    write("unknown.tsv", "onset\tduration\tstim_file\n1\t1\tq.jpg\n");
    write("word.tsv", "onset\tduration\tstim_file\n1\t1\ts0.jpg\n1s\t1\ts0.jpg\n");
    write("negative.tsv", "onset\tduration\tstim_file\n1\t-1\ts0.jpg\n");
    write("short.tsv", "onset\tduration\tstim_file\n1\t1\n");
    write("nothing.tsv", "onset\tduration\n1\t1\n");
    write("empty.tsv", "onset\tduration\tstim_file\n");
  }
  comm.barrier();
  std::string const plain = "amplitude=null";
  Case const cases[] = {
      {{"tr=0"}, Exit::config, "tr: is 0"},
      {{"tr=1500"}, Exit::config, "milliseconds"},
      {{"volumes=[40, 25, 3]"}, Exit::data, "volumes: are given of 3 runs but events name 2"},
      {{"volumes=0"}, Exit::config, "volumes"},
      {{"hrf=fir", "derivatives=time"}, Exit::config, "derivatives"},
      {{"hrf=fir", "delays=[1, 1]"}, Exit::config, "delays"},
      {{"hrf=fir", "sample=middle"}, Exit::config, "sample"},
      {{"run=rum"}, Exit::data, "did you mean `run`"},
      {{"stimulus=stimfile"}, Exit::data, "did you mean `stim_file`"},
      {{"features.layers=conf"}, Exit::data, "did you mean 'conv'"},
      {{plain, "volumes=40", "events=late.tsv"}, Exit::data, "onsets are in seconds"},
      {{plain, "volumes=40", "events=unknown.tsv"}, Exit::data, "lacks 1 of the stimuli that events show (q.jpg)"},
      {{plain, "volumes=40", "events=word.tsv"}, Exit::data, "word.tsv line 3: onset is `1s`"},
      {{plain, "volumes=40", "events=negative.tsv"}, Exit::data, "negative.tsv line 2 has a duration of -1"},
      {{plain, "volumes=40", "events=short.tsv"}, Exit::data, "short.tsv line 2 has 2 columns"},
      {{plain, "volumes=40", "events=nothing.tsv"}, Exit::data, "name its column of stimuli"},
      {{plain, "volumes=40", "events=empty.tsv"}, Exit::data, "holds no events"},
      {{plain, "volumes=40", "events=missing.tsv"}, Exit::no_input, "missing.tsv"},
      {{"memory=0.0502"}, Exit::limit, "may use"},
  };
  for (auto const& c : cases) {
    auto const done = run(c.sets);
    EXPECT_EQ(done.code, c.code) << c.sets[0] << ": " << done.message;
    EXPECT_NE(done.message.find(c.part), std::string::npos) << c.sets[0] << ": " << done.message;
    EXPECT_EQ(done.message.find('\n'), std::string::npos) << done.message;
  }
  EXPECT_FALSE(fs::exists(folder_ / "bold.act.h5"));
}

}  // namespace
