// Files of other programs: what they hold comes in and goes out unchanged.
#include <fstream>

#include "convert_common.hpp"
#include "striate/stimuli/stim_table.hpp"
#include "striate/store/mat_file.hpp"
#include "striate/store/rdm_file.hpp"
#include "striate/store/roi_file.hpp"

namespace convert_test {
namespace {

TEST_F(Convert, ReadsFilesOfOthers) {
  struct Case {
    char const *input, *more;
    std::vector<std::pair<std::string, std::string>> layers;  ///< in the output, in `first`
    bool ids;
  };
  Case const cases[] = {
      {"arrays.npz", "", {{"conv", "conv"}, {"fc", "fc"}}, false},
      {"packed.npz", "", {{"conv", "conv"}, {"fc", "fc"}}, false},
      {"last.npy", "layout: channels_last", {{"last", "conv"}}, false},
      {"things", "", {{"things", "conv"}}, true},
      {"things_split", "", {{"things_split", "fc"}}, false},
      {"things_modules", "", {{"conv", "conv"}, {"fc", "fc"}}, true},
      {"things_mat", "", {{"features", "fc"}}, true},
      {"things_mat_whole", "", {{"features", "conv"}}, false},
      {"things.hdf5", "", {{"features", "fc"}}, false},
      {"fc.txt", "", {{"fc", "fc"}}, false},
      {"keras.h5", "layout: channels_last", {{"conv", "conv"}, {"fc", "fc"}}, false},
      {"simplenn.mat", "", {{"conv", "conv"}, {"fc", "fc"}}, false},
      {"simplenn73.mat", "", {{"res2", "conv"}, {"res3", "fc"}}, false},
      {"plain.mat", "", {{"conv", "conv"}, {"fc", "fc"}}, false},
      {"plain73.mat", "", {{"conv", "conv"}, {"fc", "fc"}}, false},
      {"dnnbrain.act.h5", "", {{"conv", "conv"}, {"fc", "fc"}}, false},
  };
  for (auto const& c : cases) {
    fs::path const out = folder_ / (std::string(c.input) + ".act.h5");
    auto const done = run(config(c.input, std::string(c.more) + "\noutput: " + out.string()));
    ASSERT_TRUE(done.finished) << c.input << ": " << done.message;
    if (!Comm::world().root()) continue;
    ActReader const store(out.string());
    EXPECT_EQ(store.layers().size(), c.layers.size()) << c.input;
    for (auto const& [mine, theirs] : c.layers)
      same(values(out, mine), values(golden("first.act.h5"), theirs), 0, std::string(c.input) + " " + mine);
    EXPECT_EQ(store.layers()[0].shape.size(), 3U) << c.input;
    EXPECT_EQ(store.ids()[1], c.ids ? "s1.jpg" : "row-000002") << c.input;
  }
}

TEST_F(Convert, ReadsKeract) {
  ASSERT_TRUE(run(config("keract.json", "output: keract.act.h5")).finished);
  if (!Comm::world().root()) return;
  auto want = values(golden("first.act.h5"), "conv");
  for (float& v : want)
    if (std::isnan(v)) v = 0;
  same(values(folder_ / "keract.act.h5", "conv.Relu"), want, 0, "conv");
  same(values(folder_ / "keract.act.h5", "fc"), values(golden("first.act.h5"), "fc"), 0, "fc");
}

TEST_F(Convert, WritesFilesThatComeBackTheSame) {
  for (std::string const out : {"one.mat", "arrays", "plain.act.h5"}) {
    std::string const format = out == "plain.act.h5" ? "format: dnnbrain\n" : "";
    auto const there = run(config("first.act.h5", format + "output: " + out));
    ASSERT_TRUE(there.finished) << there.message;
    EXPECT_TRUE(run(config("first.act.h5", format + "output: " + out)).finished) << "nothing to do";
    EXPECT_EQ(run(config("other.act.h5", format + "output: " + out)).code, Exit::cant_create) << "another input";
    auto const back = run("input: " + out + "\noutput: back_" + out + ".act.h5\n");
    ASSERT_TRUE(back.finished) << back.message;
    if (!Comm::world().root()) continue;
    for (std::string const layer : {"conv", "fc"})
      same(values(folder_ / ("back_" + out + ".act.h5"), layer), values(golden("first.act.h5"), layer), 0,
           out + " " + layer);
    if (out != "plain.act.h5") EXPECT_EQ(ActReader((folder_ / ("back_" + out + ".act.h5")).string()).ids()[3], "s3");
  }
  ASSERT_TRUE(run(config("first.act.h5", "layers: conv\nformat: npy\noutput: conv.npy")).finished);
  if (!Comm::world().root()) return;
  EXPECT_EQ(NpyFile(folder_ / "conv.npy").shape(), (std::vector<std::uint64_t>{7, 3, 4, 5}));
  EXPECT_EQ(NpyFile(folder_ / "arrays/fc.npy").shape(), (std::vector<std::uint64_t>{7, 6}));
  EXPECT_EQ(h5::File::open(folder_ / "plain.act.h5").names(), (std::vector<std::string>{"conv", "fc"}));
}

TEST_F(Convert, ViewsShowTheStoreWhereverTheTwoLie) {
  ASSERT_TRUE(run(config("first.act.h5", "output: store.act.h5")).finished);
  auto const view = run("input: store.act.h5\nformat: dnnbrain_view\noutput: view.act.h5\n");
  ASSERT_TRUE(view.finished) << view.message;
  if (!Comm::world().root()) return;
  fs::create_directory(folder_ / "moved");
  fs::rename(folder_ / "store.act.h5", folder_ / "moved/store.act.h5");
  fs::rename(folder_ / "view.act.h5", folder_ / "moved/view.act.h5");
  auto const file = h5::File::open(folder_ / "moved/view.act.h5");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"conv", "fc"}));
  EXPECT_EQ(file.dataset("fc").shape(), (h5::Shape{7, 6, 1, 1}));
  same(file.dataset("conv").read<float>(), values(golden("first.act.h5"), "conv"), 0, "conv");
}

TEST_F(Convert, TablesOfRegionsAndRdms) {
  for (std::string const config_text :
       {config("two.roi.h5", "output: two.npy"), config("two.roi.h5", "output: two.tsv"),
        config("two.roi.h5", "layers: PHA1_R\noutput: right.roi.h5"),
        std::string("input: two.npy\noutput: back.roi.h5\n"), std::string("input: two.tsv\noutput: back2.roi.h5\n"),
        config("layers.rdm.h5", "output: rdms/\nform: square"), std::string("input: rdms\noutput: back.rdm.h5\n"),
        config("layers.rdm.h5", "layers: fc3\noutput: fc3.npy"), config("brain.rdm.h5", "output: copy.rdm.h5"),
        config("units.dmask.csv", "layers: fc\noutput: fc.dmask.csv")}) {
    auto const done = run(config_text);
    ASSERT_TRUE(done.finished) << config_text << done.message;
  }
  if (!Comm::world().root()) return;
  auto const rois = read_roi_file(golden("two.roi.h5"));
  for (auto const* name : {"back.roi.h5", "back2.roi.h5"}) {
    auto const back = read_roi_file(folder_ / name);
    EXPECT_EQ(back.names, rois.names);
    EXPECT_EQ(back.values, rois.values) << name;
  }
  EXPECT_EQ(read_roi_file(folder_ / "right.roi.h5").names, std::vector<std::string>{"PHA1_R"});
  RdmReader const theirs(golden("layers.rdm.h5")), mine(folder_ / "back.rdm.h5");
  EXPECT_EQ(mine.items(), 5U);
  EXPECT_EQ(mine.type(), "dRDM");
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(mine.read("conv1", i), theirs.read("conv1", i));
  EXPECT_EQ(NpyFile(folder_ / "rdms/conv1.npy").shape(), (std::vector<std::uint64_t>{3, 5, 5}));
  EXPECT_EQ(NpyFile(folder_ / "fc3.npy").shape(), (std::vector<std::uint64_t>{1, 10}));
  EXPECT_EQ(read_text(folder_ / "fc.dmask.csv"), "fc=chn\n6,6,1\n");
  RdmReader const copy(folder_ / "copy.rdm.h5");
  EXPECT_EQ(copy.type(), "bRDM");
  EXPECT_FALSE(copy.rdms()[0].iterated);
  EXPECT_EQ(copy.read("2", 0), RdmReader(golden("brain.rdm.h5")).read("2", 0));
}

TEST_F(Convert, StimuliInDnnbrainsForm) {
  Comm const comm = Comm::world();
  if (comm.root())
    for (auto const* name : {"tree/dog/b.png", "tree/cat/a.jpg", "tree/cat/c.mp4", "tree/x.txt"}) {
      fs::create_directories((folder_ / name).parent_path());
      std::ofstream(folder_ / name) << "x";
    }
  comm.barrier();
  ASSERT_TRUE(run("operation: stimuli\ninput: tree\noutput: names.stim.csv\n").finished);
  ASSERT_TRUE(run("operation: stimuli\ninput: tree\nlabels: numbers\noutput: numbers.stim.csv\n").finished);
  ASSERT_TRUE(run("operation: stimuli\ninput: tree\ntype: video_clip\noutput: clips.stim.csv\n").finished);
  ASSERT_TRUE(run(config("hard.stim.csv", "format: dnnbrain\noutput: easy.stim.csv")).finished);
  auto const sound = run(config("sound.stim.csv", "format: dnnbrain\noutput: sound.stim.csv"));
  EXPECT_EQ(sound.code, Exit::data);
  EXPECT_NE(sound.message.find("type audio"), std::string::npos) << sound.message;
  EXPECT_NE(run("operation: stimuli\ninput: nowhere\noutput: n.stim.csv\n").message.find("does not exist"),
            std::string::npos);
  if (!comm.root()) return;
  auto const names = read_stim_table(folder_ / "names.stim.csv"),
             numbers = read_stim_table(folder_ / "numbers.stim.csv");
  EXPECT_EQ(names.ids(), (std::vector<std::string>{"cat/a.jpg", "dog/b.png"}));
  EXPECT_EQ(names.column("label"), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(numbers.column("label"), (std::vector<std::string>{"0", "1"}));
  auto const clips = read_stim_table(folder_ / "clips.stim.csv");
  EXPECT_EQ(clips.type, "video_clip");
  EXPECT_EQ(clips.ids(), std::vector<std::string>{"cat/c.mp4"});
  auto const easy = read_stim_table(folder_ / "easy.stim.csv");
  EXPECT_EQ(easy.column("label"), (std::vector<std::string>{"0", "1", "0"}));
  EXPECT_EQ(easy.column("RT"), (std::vector<std::string>{"0.5", "nan", "0.25"}));
  EXPECT_EQ(easy.column("animal"), (std::vector<std::string>{"1", "0", "1"}));
  for (auto const& [key, value] : easy.header) EXPECT_EQ(value.find('='), std::string::npos) << key;
}

TEST_F(Convert, AFolderHoldsWhatItsListSays) {
  ASSERT_TRUE(run(config("first.act.h5", "output: arrays/")).finished);
  ASSERT_TRUE(run(config("first.act.h5", "layers: fc\noutput: arrays/"), {.fresh = true}).finished);
  Comm const comm = Comm::world();
  if (comm.root()) {
    EXPECT_FALSE(fs::exists(folder_ / "arrays/conv.npy")) << "of the export before";
    fs::copy_file(golden("last.npy"), folder_ / "arrays/stray.npy");
  }
  comm.barrier();
  ASSERT_TRUE(run("input: arrays\noutput: back.act.h5\n").finished);
  if (comm.root()) {
    ActReader const back((folder_ / "back.act.h5").string());
    EXPECT_EQ(back.layers().size(), 1U);
    EXPECT_EQ(back.ids(), ActReader(golden("first.act.h5").string()).ids());
    auto side = nlohmann::ordered_json::parse(std::ifstream(folder_ / "arrays/convert.json"));
    side["complete"] = false;
    std::ofstream(folder_ / "arrays/convert.json") << side.dump();
  }
  comm.barrier();
  auto const half = run("input: arrays\noutput: half.act.h5\n");
  EXPECT_EQ(half.code, Exit::data);
  EXPECT_NE(half.message.find("the folder is incomplete"), std::string::npos) << half.message;
}

TEST_F(Convert, NamedStimuliWinOverListsThatLieAbout) {
  Comm const comm = Comm::world();
  std::size_t const n = NpyFile(golden("last.npy")).shape()[0];
  if (comm.root()) {
    fs::create_directory(folder_ / "below");
    for (auto const* at : {"last.npy", "below/last.npy"}) fs::copy_file(golden("last.npy"), folder_ / at);
    std::ofstream ids(folder_ / "ids.txt"), names(folder_ / "file_names.txt"), list(folder_ / "own.stim.csv");
    list << "type=image\npath=.\ndata=stimID\n";
    for (std::size_t i = 0; i < n; ++i) ids << "stray" << i << '\n', names << "stray" << i << '\n', list << "own" << i << '\n';
  }
  comm.barrier();
  ASSERT_TRUE(run("input: last.npy\nstimuli: own.stim.csv\noutput: a.act.h5\n").finished);
  ASSERT_TRUE(run("input: last.npy\noutput: b.act.h5\n").finished);
  ASSERT_TRUE(run("input: below/last.npy\noutput: c.act.h5\n").finished);
  ASSERT_TRUE(run("input: below\noutput: d.act.h5\n").finished);
  if (!comm.root()) return;
  auto const first = [&](char const* name) { return ActReader((folder_ / name).string()).ids()[0]; };
  EXPECT_EQ(first("a.act.h5"), "own0");
  EXPECT_EQ(first("b.act.h5"), "stray0");
  EXPECT_EQ(first("c.act.h5"), "row-000001") << "a list of the folder above";
  EXPECT_EQ(first("d.act.h5"), "row-000001");
}

TEST_F(Convert, SaysWhatAFileLacks) {
  Comm const comm = Comm::world();
  if (comm.root()) {
    std::ofstream(folder_ / "ragged.json") << R"({"a": [[1, 2], [3]]})";
    std::ofstream(folder_ / "text.json") << R"({"a": [["x"]]})";
    std::ofstream(folder_ / "broken.json") << R"({"a": [[1, NaN]]})";
    std::ofstream(folder_ / "ragged.txt") << "1 2\n3\n";
    std::ofstream(folder_ / "word.txt") << "1 2\n3 x\n";
    std::ofstream(folder_ / "no.mat") << "no";
    std::ofstream(folder_ / "no.npz") << "no";
    std::ofstream(folder_ / "features.pt") << "no";
    fs::create_directory(folder_ / "empty");
    std::ofstream(folder_ / "bad.stim.csv") << "type=image\npath=.\ndata=stimID\na\nb\n";
    auto text = read_text(golden("simplenn.mat"));
    std::ofstream(folder_ / "cut.mat", std::ios::binary) << text.substr(0, text.size() - 40);
    text = read_text(golden("packed.npz"));
    std::ofstream(folder_ / "cut.npz", std::ios::binary) << text.substr(0, text.size() / 2);
    write_npy(folder_ / "pairs.npy", std::vector<float>(7, 1), {7});
    write_npy(folder_ / "lopsided.npy", std::vector<double>{0, 1, 2, 0}, {2, 2});
  }
  comm.barrier();
  struct Case {
    std::string text;
    Exit code;
    char const* part;
  };
  std::string const first = golden("first.act.h5").string();
  Case const cases[] = {
      {"input: ragged.json\noutput: o.act.h5\n", Exit::data, "lists of 2 and of 1"},
      {"input: text.json\noutput: o.act.h5\n", Exit::data, "holds a text"},
      {"input: broken.json\noutput: o.act.h5\n", Exit::data, "NaN and Infinity"},
      {"input: ragged.txt\noutput: o.act.h5\n", Exit::data, "line 2: has 1 numbers"},
      {"input: word.txt\noutput: o.act.h5\n", Exit::data, "`x` is no number"},
      {"input: no.mat\noutput: o.act.h5\n", Exit::data, "no MAT-file"},
      {"input: cut.mat\noutput: o.act.h5\n", Exit::data, "damaged or truncated"},
      {"input: no.npz\noutput: o.act.h5\n", Exit::data, "no directory"},
      {"input: cut.npz\noutput: o.act.h5\n", Exit::data, "no directory"},
      {"input: features.pt\noutput: o.act.h5\n", Exit::data, "pickle"},
      {"input: empty\noutput: o.act.h5\n", Exit::data, "holds no .npy"},
      {"input: " + golden("fc.txt").string() + "\nstimuli: bad.stim.csv\noutput: o.act.h5\n", Exit::data, "bad.stim.csv has 2 rows"},
      {"input: " + first + "\noutput: o.npy\n", Exit::config, "holds one array, but there are 2 layers"},
      {"input: " + first + "\noutput: o.xyz\n", Exit::config, "tells no format"},
      {"input: " + first + "\nformat: dnnbrain_view\nrows: \"1:2\"\noutput: o.act.h5\n", Exit::config, "as they are"},
      {"input: pairs.npy\noutput: o.rdm.h5\n", Exit::data, "is no RDM"},
      {"input: lopsided.npy\noutput: o.rdm.h5\n", Exit::data, "not symmetric"},
      {"input: " + golden("two.roi.h5").string() + "\nlayers: PHA1\noutput: o.tsv\n", Exit::data, "did you mean"},
      {"input: " + golden("two.roi.h5").string() + "\noutput: o.mat\n", Exit::config, "becomes"},
      {"input: " + golden("two.roi.h5").string() + "\noperation: pool\npool: max\noutput: o.tsv\n", Exit::config,
       "activations"},
      {"input: " + golden("two.roi.h5").string() + "\noutput: no.npz.npy\n", Exit::ok, ""},
  };
  for (auto const& c : cases) {
    auto const done = run(c.text);
    EXPECT_EQ(done.code, c.code) << c.text << done.message;
    EXPECT_NE(done.message.find(c.part), std::string::npos) << c.text << done.message;
    EXPECT_EQ(done.message.find('\n'), std::string::npos) << done.message;
  }
  if (!comm.root()) return;
  EXPECT_EQ(error_of([&] { (void)read_roi_file(golden("brain.rdm.h5")); }).code(), Exit::data);
  EXPECT_EQ(error_of([&] { RdmReader const r(golden("two.roi.h5")); }).code(), Exit::data);
  EXPECT_EQ(items_of_pairs(10), 5U);
  EXPECT_EQ(items_of_pairs(11), 0U);
}

}  // namespace
}  // namespace convert_test
