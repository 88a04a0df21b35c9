// Store algebra: values against NumPy's, the same bits at any number of ranks, parts merged, resuming, messages.
#include <fstream>

#include "convert_common.hpp"
#include "striate/base/hash.hpp"
#include "striate/commands/info.hpp"
#include "striate/store/layer_report.hpp"

namespace convert_test {
namespace {

TEST_F(Convert, PutsStoresBehindAndBesideEachOther) {
  ASSERT_TRUE(run(config("first.act.h5 second.act.h5", "operation: concatenate\noutput: behind.act.h5")).finished);
  auto const beside = run(config("first.act.h5 beside.act.h5",
                                 "operation: concatenate\nalong: layers\nprefix: [a_, b_]\noutput: beside.act.h5"));
  ASSERT_TRUE(beside.finished) << beside.message;
  if (!Comm::world().root()) return;
  same(values(folder_ / "behind.act.h5", "conv"), expected("concatenate_conv"), 0, "conv");
  same(values(folder_ / "behind.act.h5", "fc"), expected("concatenate_fc"), 0, "fc");
  ActReader const store((folder_ / "beside.act.h5").string());
  ASSERT_EQ(store.layers().size(), 3U);
  EXPECT_EQ(store.layers()[2].name, "b_late");
  EXPECT_EQ(store.ids(), ActReader(golden("first.act.h5").string()).ids());
  // Rows are matched by id: row 0 of the first is where the other says s0.
  ActReader const late(golden("beside.act.h5").string());
  auto const at = static_cast<std::size_t>(std::ranges::find(late.ids(), "s0") - late.ids().begin());
  auto const mine = values(folder_ / "beside.act.h5", "b_late"), theirs = values(golden("beside.act.h5"), "late");
  EXPECT_TRUE(std::equal(mine.begin(), mine.begin() + 16, theirs.begin() + static_cast<std::ptrdiff_t>(16 * at)));
  EXPECT_EQ(ActReader((folder_ / "behind.act.h5").string()).ids()[7], "s9");
}

TEST_F(Convert, TakesRowsLayersAndUnits) {
  ASSERT_TRUE(
      run(config("first.act.h5", "operation: slice\nrows: [s6, s1]\nlayers: fc\noutput: slice.act.h5")).finished);
  ASSERT_TRUE(run(config("first.act.h5",
                         "operation: mask\nmask: " + golden("units.dmask.csv").string() + "\noutput: mask.act.h5"))
                  .finished);
  ASSERT_TRUE(
      run(config("first.act.h5", "rows: \"2:3\"\nrename: {fc: logits}\ndtype: float16\noutput: half.act.h5")).finished);
  if (!Comm::world().root()) return;
  auto const fc = values(golden("first.act.h5"), "fc"), sliced = values(folder_ / "slice.act.h5", "fc");
  EXPECT_EQ(sliced, [&] {
    std::vector<float> want(fc.begin() + 36, fc.begin() + 42);
    want.insert(want.end(), fc.begin() + 6, fc.begin() + 12);
    return want;
  }());
  EXPECT_EQ(h5::File::open(folder_ / "slice.act.h5").dataset("fc").shape(), (h5::Shape{2, 6, 1, 1}));
  same(values(folder_ / "mask.act.h5", "conv"), expected("mask_conv"), 0, "conv");
  same(values(folder_ / "mask.act.h5", "fc"), expected("mask_fc"), 0, "fc");
  ActReader const half((folder_ / "half.act.h5").string());
  EXPECT_EQ(half.layer("logits").dtype, "float16");
  EXPECT_EQ(half.ids(), (std::vector<std::string>{"s1", "s2"}));
}

TEST_F(Convert, Pools) {
  for (std::string const pool : {"max", "mean", "median", "l1", "l2"})
    for (std::string const compat : {"none", "dnnbrain"}) {
      bool const norm = pool[0] == 'l';
      if (compat == "dnnbrain" && !norm) continue;
      std::string const name = pool + (compat == "none" ? "" : "_dnnbrain");
      auto const done = run(config("first.act.h5", "operation: pool\nlayers: conv\npool: " + pool +
                                                       "\ncompat: " + compat + "\noutput: " + name + ".act.h5"));
      ASSERT_TRUE(done.finished) << done.message;
      if (!Comm::world().root()) continue;
      same(values(folder_ / (name + ".act.h5"), "conv"), expected(name), 3e-7, name);
      EXPECT_EQ(h5::File::open(folder_ / (name + ".act.h5")).dataset("conv").shape(), (h5::Shape{7, 3, 1, 1}));
    }
}

TEST_F(Convert, CalculatesByIdAndUnit) {
  for (std::string const what : {"add", "subtract", "multiply", "divide"}) {
    ASSERT_TRUE(run(config("first.act.h5", "operation: " + what + "\nwith: " + golden("other.act.h5").string() +
                                               "\noutput: " + what + ".act.h5"))
                    .finished);
    ASSERT_TRUE(
        run(config("first.act.h5", "operation: " + what + "\nlayers: fc\nwith: 0.1\noutput: n" + what + ".act.h5"))
            .finished);
    if (!Comm::world().root()) continue;
    same(values(folder_ / (what + ".act.h5"), "conv"), expected(what + "_conv"), 0, what);
    same(values(folder_ / (what + ".act.h5"), "fc"), expected(what + "_fc"), 0, what);
    same(values(folder_ / ("n" + what + ".act.h5"), "fc"), expected(what + "_number"), 0, what);
  }
}

constexpr std::size_t bad_row = 9;

/// A store of ours of stimuli [first, last) of 23, as a run on that part would make it.
void part(fs::path const& path, std::size_t first, std::size_t last, std::string const& network = "tiny",
          std::vector<std::uint64_t> const& channels = {8, 2, 4}, std::string const& autocast = "") {
  ActSpec spec;
  spec.layers = {{"conv", {3, 2, 2}, "channel row column", h5::Dtype::f16}, {"fc", {70, 1, 1}, "feature row column"}};
  spec.layers[0].record = {
      {{"stages", R"([{"stage":"mask","channel":3}])"}, {"full_shape", "9 2 2"}, {"full_axes", "channel row column"}},
      {{"channel", channels}}};
  spec.may_skip = true;
  Sha256 sum;
  for (std::size_t s = first; s < last; ++s) {
    spec.stimulus_ids.push_back(fmt::format("s{:02}.jpg", s));
    spec.stimulus_sha256.push_back(sha256(spec.stimulus_ids.back()));
    sum.update(spec.stimulus_ids.back() + "\n");
  }
  spec.batch = 4;
  spec.attributes = {{"network", network}, {"weights_sha256", "w"},       {"preprocessing", "{}"},
                     {"pool", "none"},     {"stimuli_sha256", sum.hex()}, {"config", path.filename().string()}};
  if (!autocast.empty()) spec.attributes["autocast"] = autocast;
  auto const store = ActWriter::open(Comm(), path, spec);
  for (std::size_t b = 0; b < store->batches(); ++b) {
    for (std::size_t l = 0; l < 2; ++l) {
      std::size_t const units = l == 0 ? 12 : 70;
      std::vector<float> values;
      for (std::size_t r = 0; r < store->rows(b); ++r)
        for (std::size_t u = 0; u < units; ++u)
          values.push_back(static_cast<float>(
              std::sin(static_cast<double>(1 + 97 * l + 13 * (first + store->first_row(b) + r) + 7 * u))));
      for (std::size_t r = 0; r < store->rows(b); ++r)
        if (first + store->first_row(b) + r == bad_row) {
          std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(r * units), units, std::nanf(""));
          store->write_skipped(store->first_row(b) + r, Skipped::damaged);
        }
      store->write_batch(l, b, values.data());
    }
    std::size_t const done[] = {b};
    store->flush(), store->mark(done);
  }
  store->finish();
}

TEST_F(Convert, MergesPartsToWhatOneRunWouldHaveMade) {
  Comm const comm = Comm::world();
  if (comm.root()) {
    part(folder_ / "whole.act.h5", 0, 23);
    part(folder_ / "p1.act.h5", 0, 8), part(folder_ / "p2.act.h5", 8, 16), part(folder_ / "p3.act.h5", 16, 23);
    part(folder_ / "foreign.act.h5", 16, 23, "other");
    std::string text = "type=image\npath=.\ndata=stimID\n";
    for (std::size_t s = 0; s < 23; ++s) text += fmt::format("s{:02}.jpg\n", s);
    std::ofstream(folder_ / "all.stim.csv") << text;
    std::ofstream(folder_ / "more.stim.csv") << text + "s99.jpg\n";
    std::ofstream(folder_ / "fewer.stim.csv") << text.substr(0, text.size() - 8);
  }
  comm.barrier();
  std::string const parts = "operation: merge\ninput: [p3.act.h5, p1.act.h5, p2.act.h5]\noutput: merged.act.h5\n";
  auto const done = run(parts + "rows: all.stim.csv\n", {.threads = 2});
  ASSERT_TRUE(done.finished) << done.message;
  auto const twice = run("operation: merge\ninput: [p1.act.h5, p2.act.h5, p1.act.h5]\noutput: m2.act.h5\n");
  EXPECT_NE(twice.message.find("s00.jpg is in p1.act.h5 and in p1.act.h5"), std::string::npos) << twice.message;
  auto const foreign = run("operation: merge\ninput: [p1.act.h5, foreign.act.h5]\noutput: m2.act.h5\n");
  EXPECT_NE(foreign.message.find("network of p1.act.h5 (tiny) and foreign.act.h5 (other) differ"), std::string::npos)
      << foreign.message;
  EXPECT_NE(run(parts + "rows: more.stim.csv\n", {.fresh = true}).message.find("no stimulus s99.jpg"),
            std::string::npos);
  EXPECT_NE(run(parts + "rows: fewer.stim.csv\n", {.fresh = true}).message.find("merge keeps all"), std::string::npos);
  if (!comm.root()) return;
  auto const difference = first_difference_of_files(folder_ / "whole.act.h5", folder_ / "merged.act.h5", std::nullopt);
  EXPECT_EQ(difference.value_or("none"), "none");
  ActReader const merged((folder_ / "merged.act.h5").string());
  EXPECT_EQ(merged.first_damage(), "");
  auto const history = nlohmann::json::parse(merged.attribute("history"));
  EXPECT_EQ(history[0]["operation"], "merge");
  EXPECT_EQ(history[0]["inputs"].size(), 3U);
  ActReader const whole((folder_ / "whole.act.h5").string());
  EXPECT_EQ(merged.skipped(), whole.skipped());
  EXPECT_EQ(merged.skipped()[bad_row], static_cast<std::uint8_t>(Skipped::damaged));
  EXPECT_EQ(merged.stimulus_sha256(), whole.stimulus_sha256());
  EXPECT_TRUE(fs::exists(report_file(folder_ / "merged.act.h5")));
}

TEST_F(Convert, TellsUnitsOfTheSameShapeApart) {
  Comm const comm = Comm::world();
  if (comm.root()) {
    part(folder_ / "a.act.h5", 0, 8), part(folder_ / "b.act.h5", 8, 16, "tiny", {1, 2, 4});
    part(folder_ / "same.act.h5", 0, 8, "tiny", {1, 2, 4}), part(folder_ / "half.act.h5", 8, 16, "tiny", {8, 2, 4}, "bf16");
  }
  comm.barrier();
  std::string const kept = "layer conv: units that were kept of a.act.h5 and ";
  auto const merged = run("operation: merge\ninput: [a.act.h5, b.act.h5]\noutput: m.act.h5\n");
  EXPECT_EQ(merged.code, Exit::data);
  EXPECT_NE(merged.message.find(kept + "b.act.h5 differ"), std::string::npos) << merged.message;
  auto const difference = run("operation: subtract\ninput: a.act.h5\nwith: same.act.h5\noutput: m.act.h5\n");
  EXPECT_EQ(difference.code, Exit::data);
  EXPECT_NE(difference.message.find(kept + "same.act.h5 differ"), std::string::npos) << difference.message;
  auto const half = run("operation: merge\ninput: [a.act.h5, half.act.h5]\noutput: m.act.h5\n");
  EXPECT_NE(half.message.find("autocast of a.act.h5 () and half.act.h5 (bf16) differ"), std::string::npos)
      << half.message;
  EXPECT_FALSE(fs::exists(folder_ / "m.act.h5"));
  auto const behind = run("operation: concatenate\ninput: [a.act.h5, b.act.h5]\noutput: c.act.h5\n");
  EXPECT_TRUE(behind.finished) << behind.message;  // with a warning
}

TEST_F(Convert, MergesMoreStoresThanStayOpen) {
  Comm const comm = Comm::world();
  std::string list;
  for (std::size_t s = 0; s < 23; ++s) list += fmt::format("{}p{:02}.act.h5", s > 0 ? ", " : "", s);
  if (comm.root()) {
    part(folder_ / "whole.act.h5", 0, 23);
    for (std::size_t s = 0; s < 23; ++s) part(folder_ / fmt::format("p{:02}.act.h5", s), s, s + 1);
  }
  comm.barrier();
  auto const done = run("operation: merge\ninput: [" + list + "]\noutput: merged.act.h5\n");
  ASSERT_TRUE(done.finished) << done.message;
  if (!comm.root()) return;
  auto const difference = first_difference_of_files(folder_ / "whole.act.h5", folder_ / "merged.act.h5", std::nullopt);
  EXPECT_EQ(difference.value_or("none"), "none");
}

TEST_F(Convert, RecordsWhatIsLeftOfALayer) {
  Comm const comm = Comm::world();
  if (comm.root()) {
    part(folder_ / "whole.act.h5", 0, 8);
    std::ofstream(folder_ / "units.dmask.csv") << "conv=chn,col\n3,1\n2\nfc=unit\n70,1\n";
  }
  comm.barrier();
  auto const done = run("input: whole.act.h5\nmask: units.dmask.csv\npool: max\noutput: less.act.h5\n");
  ASSERT_TRUE(done.finished) << done.message;
  if (!comm.root()) return;
  auto const file = h5::File::open(folder_ / "less.act.h5");
  auto const kept = [&](std::string const& name) {
    return file.dataset(".striate/selection/" + name).read<std::uint64_t>();
  };
  EXPECT_EQ(kept("conv/channel"), (std::vector<std::uint64_t>{4, 8}));
  EXPECT_EQ(kept("conv/column"), std::vector<std::uint64_t>{1});
  EXPECT_EQ(kept("fc/unit"), (std::vector<std::uint64_t>{69, 0}));
  EXPECT_EQ(file.attribute("conv", "full_shape"), "9 2 2");
  EXPECT_EQ(file.attribute("fc", "full_shape"), "70 1 1");
  EXPECT_EQ(nlohmann::json::parse(file.attribute("conv", "stages")).size(), 3U);
}

TEST_F(Convert, TheSameBitsAtAnyNumberOfRanksAndThreads) {
  Comm const comm = Comm::world();
  if (comm.root()) part(folder_ / "whole.act.h5", 0, 23), part(folder_ / "other.act.h5", 0, 23);
  comm.barrier();
  std::string const yaml = "operation: divide\ninput: whole.act.h5\nwith: other.act.h5\npool: l2\nbatch: 3\n";
  ASSERT_TRUE(run(yaml + "output: many.act.h5\n", {.threads = 3}).finished);
  if (!comm.root()) return;
  ASSERT_TRUE(run(yaml + "output: one.act.h5\n", {}, Comm::self()).finished);
  for (auto const* name : {"conv", "fc", ".striate/crc32c", ".striate/row_sum", ".striate/unit_mean/fc"}) {
    auto const a = read(folder_ / "many.act.h5", name), b = read(folder_ / "one.act.h5", name);
    ASSERT_EQ(a.size(), b.size()) << name;
    EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(double))) << name;  // NaN too
  }
}

TEST_F(Convert, ResumesAndRefusesAnotherConfig) {
  StopFlag stop(false);
  stop.request();
  std::string const yaml = config("first.act.h5", "operation: multiply\nwith: 2\nbatch: 2\noutput: out.act.h5");
  auto const halted = run(yaml, {.stop = &stop});
  EXPECT_FALSE(halted.finished);
  EXPECT_EQ(halted.code, Exit::ok) << halted.message;
  auto const other = run(config("first.act.h5", "operation: multiply\nwith: 3\nbatch: 2\noutput: out.act.h5"));
  EXPECT_EQ(other.code, Exit::cant_create);
  auto const moved = run(config("other.act.h5", "operation: multiply\nwith: 2\nbatch: 2\noutput: out.act.h5"));
  EXPECT_NE(moved.message.find("inputs"), std::string::npos) << moved.message;
  ASSERT_TRUE(run(yaml).finished);
  ASSERT_TRUE(run(yaml).finished) << "nothing to do";
}

TEST_F(Convert, NeverWritesOverWhatItReads) {
  Comm const comm = Comm::world();
  if (comm.root()) {
    part(folder_ / "a.act.h5", 0, 8), part(folder_ / "b.act.h5", 0, 8);
    std::ofstream(folder_ / "list.stim.csv") << "type=image\npath=.\ndata=stimID\ns01.jpg\n";
    fs::create_hard_link(folder_ / "a.act.h5", folder_ / "link.act.h5");
    fs::create_directory(folder_ / "arrays");
    fs::copy_file(golden("last.npy"), folder_ / "arrays/last.npy");
  }
  comm.barrier();
  std::vector<std::pair<std::string, std::string>> const cases{
      {"input: a.act.h5\noutput: ./a.act.h5\n", "(input: "},
      {"input: a.act.h5\noutput: link.act.h5\n", "(input: "},
      {"input: \"a.act.h5:/conv\"\noutput: a.act.h5\n", "(input: "},
      {"operation: add\ninput: a.act.h5\nwith: b.act.h5\noutput: b.act.h5\n", "(with: "},
      {"operation: concatenate\ninput: [a.act.h5, b.act.h5]\noutput: b.act.h5\n", "(input: "},
      {"input: a.act.h5\nrows: list.stim.csv\noutput: list.stim.csv\n", "(rows: "},
      {"input: arrays\noutput: arrays/last.npy\n", "(input: "},
      {"input: arrays/last.npy\noutput: arrays\n", "(input: "},
  };
  for (auto const& [yaml, key] : cases) {
    auto const done = run(yaml, {.fresh = true});
    EXPECT_EQ(done.code, Exit::config) << yaml << done.message;
    EXPECT_NE(done.message.find("is also the input"), std::string::npos) << yaml << done.message;
    EXPECT_NE(done.message.find(key), std::string::npos) << yaml << done.message;
  }
  if (!comm.root()) return;
  for (std::string const name : {"a.act.h5", "b.act.h5"})
    EXPECT_EQ(ActReader((folder_ / name).string()).first_damage(), "") << name;
  EXPECT_TRUE(fs::exists(folder_ / "arrays/last.npy"));
}

TEST_F(Convert, BadInput) {
  struct Case {
    std::string inputs, more;
    Exit code;
    char const* part;
  };
  Comm const comm = Comm::world();
  if (comm.root()) {
    std::ofstream(folder_ / "far.dmask.csv") << "conv=row\n5\n";
    std::ofstream(folder_ / "axis.dmask.csv") << "conv=rows\n1\n";
    std::ofstream(folder_ / "layer.dmask.csv") << "conw=\n";
    std::ofstream(folder_ / "x.act.h5") << "no";
  }
  comm.barrier();
  std::string const other = golden("other.act.h5").string(), late = golden("beside.act.h5").string();
  Case const cases[] = {
      {"first.act.h5", "operation: averages", Exit::config, "is not one of"},
      {"first.act.h5 second.act.h5", "operation: copy", Exit::config, "concatenate or merge"},
      {"first.act.h5", "operation: slice", Exit::config, "rows: operation: slice needs"},
      {"first.act.h5", "operation: add", Exit::config, "with: is missing"},
      {"first.act.h5", "operation: copy\nwith: 2", Exit::config, "remove it"},
      {"first.act.h5", "operation: pool", Exit::config, "pool: operation: pool needs"},
      {"first.act.h5", "operation: mask", Exit::config, "mask: operation: mask needs"},
      {"first.act.h5", "pool: max\ncompat: dnnbrain", Exit::config, "compat"},
      {"first.act.h5", "layers: [conw]", Exit::data, "did you mean 'conv'"},
      {"first.act.h5", "rename: {conw: a}", Exit::data, "did you mean 'conv'"},
      {"first.act.h5", "rename: {conv: fc}", Exit::data, "two layers of the output are called fc"},
      {"first.act.h5", "rows: [s1, s99]", Exit::data, "there is no stimulus s99"},
      {"first.act.h5", "rows: [s1, s1]", Exit::data, "listed twice"},
      {"first.act.h5", "rows: \"3:9\"", Exit::config, "3 to 9 asked for"},
      {"first.act.h5", "rows: \"0:9\"", Exit::config, "counted from 1"},
      {"first.act.h5 first.act.h5", "operation: concatenate", Exit::data, "stimulus s0 is in"},
      {"first.act.h5 beside.act.h5", "operation: concatenate", Exit::data, "has no layer 'conv'"},
      {"first.act.h5 second.act.h5", "operation: concatenate\nalong: layers", Exit::data, "lacks the stimulus s0"},
      {"first.act.h5 other.act.h5", "operation: concatenate\nalong: layers", Exit::data, "set prefix"},
      {"first.act.h5 dnnbrain.act.h5", "operation: concatenate", Exit::data, "carries no stimulus ids"},
      {"first.act.h5", "operation: add\nwith: " + golden("second.act.h5").string(), Exit::data,
       "lacks the stimulus s0"},
      {"first.act.h5", "operation: add\nwith: " + late, Exit::data, "has no layer 'conv'"},
      {"first.act.h5", "mask: far.dmask.csv", Exit::data, "the layer has 4 rows"},
      {"first.act.h5", "mask: axis.dmask.csv", Exit::data, "rows"},
      {"first.act.h5", "mask: layer.dmask.csv", Exit::data, "did you mean"},
      {"nothing.act.h5", "operation: copy", Exit::no_input, "does not exist"},
      {"first.act.h5", "memory: 0.0501", Exit::limit, "may use"},
  };
  for (auto const& c : cases) {
    auto const done = run(config(c.inputs, c.more + "\noutput: bad.act.h5"));
    EXPECT_EQ(done.code, c.code) << c.more << ": " << done.message;
    EXPECT_NE(done.message.find(c.part), std::string::npos) << c.more << ": " << done.message;
    EXPECT_EQ(done.message.find('\n'), std::string::npos) << done.message;
  }
  EXPECT_FALSE(fs::exists(folder_ / "bad.act.h5"));
  EXPECT_EQ(run(config("first.act.h5", "output: x.act.h5")).code, Exit::cant_create) << "not ours";
  EXPECT_EQ(run("input: x.act.h5\noutput: y.act.h5\n").code, Exit::data);
}

}  // namespace
}  // namespace convert_test
