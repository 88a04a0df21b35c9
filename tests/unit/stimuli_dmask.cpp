/// .dmask.csv: what is read and written, what is said of a wrong one; the stage that it becomes.
#include "striate/stimuli/dmask.hpp"

#include "brain_test.hpp"
#include "striate/base/fsio.hpp"

namespace striate {
namespace {

using namespace testing;
namespace fs = std::filesystem;
using List = std::vector<std::size_t>;

class Dmask : public ::testing::Test {
 protected:
  UnitMask read(std::string const& text) {
    write_bytes(file_, text);
    return read_dmask(file_);
  }
  void wrong(std::string const& text, std::string const& message) {
    write_bytes(file_, text);
    expect_error([&] { (void)read_dmask(file_); }, Exit::data, message, true);
  }
  TempDir dir_;
  fs::path file_ = dir_ / "a.dmask.csv";
};

/// DNNBrain's own test file, alexnet.dmask.csv.
char const* const upstream = "conv5=chn,row,col\n1,2,3\n4,5\n6,7,8\nfc3=chn\n1,2,3\n";

TEST_F(Dmask, OfDnnBrain) {
  UnitMask const mask = read(upstream);
  ASSERT_EQ(mask.layers.size(), 2U);
  EXPECT_EQ(mask.layers[0].name, "conv5");
  EXPECT_EQ(mask.layers[0].selection.channels, (List{0, 1, 2}));
  EXPECT_EQ(mask.layers[0].selection.rows, (List{3, 4}));
  EXPECT_EQ(mask.layers[0].selection.columns, (List{5, 6, 7}));
  EXPECT_EQ(mask.layers[0].place("row"), "line 3");
  EXPECT_EQ(mask.layers[0].place(""), "line 1");
  ASSERT_NE(mask.find("fc3"), nullptr);
  EXPECT_EQ(mask.find("fc3")->selection.channels, (List{0, 1, 2}));
  EXPECT_TRUE(mask.find("fc3")->selection.only_channels());
  EXPECT_EQ(mask.find("fc1"), nullptr);
}

TEST_F(Dmask, IsWrittenAsDnnBrainWritesIt) {
  UnitMask const mask = read(std::string(upstream) + "conv1=\n");
  write_dmask(dir_ / "b.dmask.csv", mask);
  EXPECT_EQ(read_text(dir_ / "b.dmask.csv"), std::string(upstream) + "conv1=\n");
}

TEST_F(Dmask, OrderRepeatsRangesUnitsAndSpreadsheets) {
  UnitMask const mask = read(
      "\xEF\xBB\xBF# a comment\r\nconv1= col , chn,\r\n 9, 3-5 "
      ",3,,\r\n\r\n2,2,1\r\nlayer1.0.relu#1=\r\nblocks.3=tok,chn\n1\n7\n"
      "vid=frm\n2\nconv4=unit\n43264,1,7,7");
  EXPECT_EQ(mask.layers[0].selection.columns, (List{8, 2, 3, 4, 2}));
  EXPECT_EQ(mask.layers[0].selection.channels, (List{1, 1, 0}));
  EXPECT_EQ(mask.layers[1].name, "layer1.0.relu#1");
  EXPECT_TRUE(mask.layers[1].selection.whole());
  EXPECT_EQ(mask.layers[2].selection.tokens, (List{0}));
  EXPECT_EQ(mask.layers[3].selection.frames, (List{1}));
  EXPECT_EQ(mask.layers[4].selection.units, (List{43263, 0, 6, 6}));
  write_dmask(dir_ / "b.dmask.csv", mask);
  UnitMask const again = read_dmask(dir_ / "b.dmask.csv");
  ASSERT_EQ(again.layers.size(), mask.layers.size());
  for (std::size_t i = 0; i < mask.layers.size(); ++i) EXPECT_EQ(again.layers[i].selection, mask.layers[i].selection);
}

TEST_F(Dmask, Mistakes) {
  wrong("", "a.dmask.csv names no layer");
  wrong("# nothing\n\n", "names no layer");
  wrong("1,2\n", "line 1 holds numbers that belong to no axis");
  wrong("conv1=chn\n1\n2\n", "line 3 holds numbers that belong to no axis");
  wrong("=chn\n1\n", "line 1 has no layer before");
  wrong("conv1=chn\n1\nconv1=\n", "line 3 names the layer `conv1` a second time (first in line 1)");
  wrong("conv1=chm\n1\n", "line 1 names the unknown axis `chm`; did you mean chn?");
  wrong("conv1=chn,chn\n1\n1\n", "line 1 names the axis chn twice");
  wrong("conv1=unit,row\n1\n1\n", "`unit` beside other axes");
  wrong("conv1=chn,row\n1\nconv2=\n",
        "line 1 gives 2 axes to `conv1`, but the 1 line of numbers after it ends before `row`");
  wrong("conv1=chn\n", "line 1 gives 1 axis to `conv1`, but the 0 lines");
  wrong("conv1=chn\n,,\n", "line 2 holds no number");
  wrong("conv1=chn\n0\n", "line 2 holds `0`, but numbers begin at 1");
  wrong("conv1=chn\n1,,2\n", "line 2 holds ``, which is no whole number");
  wrong("conv1=chn\n1.5\n", "line 2 holds `1.5`, which is no whole number");
  wrong("conv1=chn\n-3\n", "line 2 holds `-3`, which is no whole number");
  wrong("conv1=chn\n5-3\n", "line 2 holds the range 5-3, which runs backwards");
  wrong("conv1=chn\n1-99999999999\n", "more than any layer has");
  expect_error([&] { (void)read_dmask(dir_ / "none.dmask.csv"); }, Exit::no_input, "does not exist", true);
  expect_error([&] { (void)read_dmask(dir_ / "."); }, Exit::no_input, "is a folder", true);
}

/// Values of one stimulus number their units.
std::vector<float> numbered(std::size_t rows, std::size_t units) {
  std::vector<float> values(rows * units);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return values;
}

TEST(Selection, IsNumpysProductGrid) {
  LayerShape const layer{{4, 3, 2, 5}, "channel frame row column"};
  UnitSelection s;
  s.channels = {3, 0, 3}, s.rows = {1}, s.columns = {4, 0, 1, 2};
  auto const stage = select_stage(layer, s);
  EXPECT_EQ(stage->output().shape, (List{3, 3, 1, 4}));
  EXPECT_EQ(stage->output().axes, layer.axes);
  std::size_t const rows = 3;
  auto const in = numbered(rows, layer.units());
  std::vector<float> out(rows * stage->output().units());
  stage->apply(in.data(), rows, out.data());
  std::size_t at = 0;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c : s.channels)
      for (std::size_t f = 0; f < 3; ++f)
        for (std::size_t y : s.rows)
          for (std::size_t x : s.columns) EXPECT_EQ(out[at++], in[(((r * 4 + c) * 3 + f) * 2 + y) * 5 + x]);
}

TEST(Selection, ListsOfUnitsKeepOrderAndRepeats) {
  LayerShape const layer{{4, 6}, "token feature"};
  UnitSelection s;
  s.units = {23, 0, 1, 2, 2, 7};
  auto const stage = select_stage(layer, s);
  EXPECT_EQ(stage->output().shape, (List{6, 1, 1}));
  EXPECT_EQ(stage->output().axes, "unit row column");
  auto const in = numbered(2, 24);
  std::vector<float> out(12);
  stage->apply(in.data(), 2, out.data());
  EXPECT_EQ(out, (std::vector<float>{23, 0, 1, 2, 2, 7, 47, 24, 25, 26, 26, 31}));
  UnitSelection of_tokens;
  of_tokens.tokens = {2}, of_tokens.channels = {5, 4};
  auto const grid = select_stage(layer, of_tokens);
  EXPECT_EQ(grid->output().shape, (List{1, 2}));
  grid->apply(in.data(), 1, out.data());
  EXPECT_EQ(out[0], 17);
  EXPECT_EQ(out[1], 16);
}

TEST(Selection, SaysWhatDoesNotFit) {
  LayerShape const conv{{64, 5, 5}, "channel row column"}, fc{{10, 1, 1}, "feature row column"};
  UnitSelection s;
  s.channels = {3, 64};
  EXPECT_EQ(misfit(s, conv)->what, "asks for channel 65, but the layer has 64 channels");
  EXPECT_EQ(misfit(s, conv)->word, "chn");
  EXPECT_EQ(misfit(s, fc)->what, "asks for feature 65, but the layer has 10 features");
  s = {}, s.frames = {0};
  EXPECT_EQ(misfit(s, conv)->what, "selects frames, but the axes of the layer are channel row column");
  s = {}, s.units = {1600};
  EXPECT_EQ(misfit(s, conv)->what, "asks for unit 1601, but the layer has 1600 units");
  expect_error([&] { (void)select_stage(conv, s); }, Exit::data, "unit 1601", true);
  s.units = {1599};
  EXPECT_FALSE(misfit(s, conv));
}

}  // namespace
}  // namespace striate
