/// `striate info` and `striate info --compare`: what agrees, what differs and where it is said to.
#include "striate/commands/info.hpp"

#include <sstream>

#include "brain_test.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

using namespace testing;
using Options = std::optional<double>;

std::string said(std::filesystem::path const& path) {
  std::ostringstream out;
  print_info(path, out);
  return out.str();
}

/// Runs the command and returns its exit code; `out` gets what it prints.
int command(std::vector<std::string> const& args, std::string* out = nullptr) {
  ::testing::internal::CaptureStdout();
  int code = -1;
  try {
    code = run_info(args);
  } catch (Error const& error) {
    code = static_cast<int>(error.code());
  }
  std::string text = ::testing::internal::GetCapturedStdout();
  if (out != nullptr) *out = text;
  return code;
}

struct Content {
  std::vector<double> score{0.25, std::nan(""), 1.5, -2, 0, 3};
  std::vector<std::uint64_t> index{3, 17, 18446744073709551615ULL};
  std::vector<std::string> ids{"a", "b"};
  std::string network = "alexnet", version = "1", identity = "{}";
  bool extra = false;
};

std::filesystem::path make_h5(std::filesystem::path const& path, Content const& c) {
  auto file = h5::File::create(Comm(), path);
  file.create_dataset("/conv1/score/pearson", h5::Dtype::f64, {2, 3}).write(std::span<double const>(c.score));
  file.create_dataset("/targets/index", h5::Dtype::u64, {3}).write(std::span<std::uint64_t const>(c.index));
  file.write_strings("/.striate/stimulus_id", c.ids);
  file.write_text("/.striate/identity", c.identity);
  if (c.extra) file.create_dataset("/extra", h5::Dtype::f32, {1}).write(std::span<float const>(std::vector<float>{1}));
  file.set_attribute("/", "network", c.network);
  file.set_attribute("/", "striate_version", c.version);
  file.close();
  return path;
}

TEST(InfoCompare, Hdf5AgreesButForBookkeeping) {
  TempDir dir;
  Content content;
  auto a = make_h5(dir / "a.h5", content);
  content.version = "2", content.identity = "{\"output\": \"elsewhere\"}";
  auto b = make_h5(dir / "b.h5", content);
  EXPECT_EQ(first_difference_of_files(a, b, {}), std::nullopt);
  std::string text;
  EXPECT_EQ(command({"--compare", a.string(), b.string()}, &text), 0);
  EXPECT_EQ(text, "identical\n");
}

TEST(InfoCompare, Hdf5DifferencesAreNamed) {
  TempDir dir;
  Content const base;
  auto a = make_h5(dir / "a.h5", base);
  auto differs = [&](Content const& content, Options tolerance = {}) {
    return first_difference_of_files(a, make_h5(dir / "b.h5", content), tolerance).value_or("");
  };
  Content c = base;
  c.score[4] = 0.001, c.score[5] = 3.5;
  EXPECT_EQ(differs(c), "/conv1/score/pearson at [1, 1]: 0 and 0.001 (2 of 6 values differ, by at most 0.5)");
  EXPECT_EQ(differs(c, 0.01), "/conv1/score/pearson at [1, 2]: 3 and 3.5 (1 of 6 values differ, by at most 0.5)");
  EXPECT_EQ(differs(c, 0.2), "");  // relative to the larger value where that exceeds 1
  c = base, c.score[4] = -0.0;
  EXPECT_NE(differs(c), "") << "bit for bit: -0 is not 0";
  EXPECT_EQ(differs(c, 0.0), "");
  c = base, c.score[1] = 0;
  EXPECT_NE(differs(c, 1e9), "") << "NaN is no number";
  c = base, c.index[2] -= 1;  // beyond what a double tells apart
  EXPECT_EQ(
      differs(c),
      "/targets/index at [2]: 18446744073709551615 and 18446744073709551614 (1 of 3 values differ, by at most 1)");
  c = base, c.ids[1] = "x";
  EXPECT_EQ(differs(c), "/.striate/stimulus_id at [1]: \"b\" and \"x\"");
  c = base, c.network = "vgg";
  EXPECT_EQ(differs(c), "attribute network of /: \"alexnet\" and \"vgg\"");
  c = base, c.extra = true;
  EXPECT_EQ(differs(c), "/extra is only in the second");
  std::string text;
  EXPECT_EQ(command({"--compare", a.string(), (dir / "b.h5").string()}, &text), 65);
  EXPECT_EQ(text, "differ: /extra is only in the second\n");
  auto file = h5::File::create(Comm(), dir / "c.h5");
  file.create_dataset("/conv1/score/pearson", h5::Dtype::f64, {3, 2}).write(std::span<double const>(base.score));
  file.set_attribute("/", "network", std::string("alexnet"));
  file.close();
  EXPECT_EQ(first_difference_of_files(a, dir / "c.h5", {}).value_or(""), "/.striate/stimulus_id is only in the first");
}

TEST(InfoCompare, ArraysImagesAndTexts) {
  TempDir dir;
  write_npy(dir / "a.npy", std::vector<float>{1, 2, 3, 4}, {2, 2});
  write_npy(dir / "b.npy", std::vector<float>{1, 2, 3.5, 4}, {2, 2});
  write_npy(dir / "c.npy", std::vector<double>{1, 2, 3, 4}, {2, 2});
  write_npy(dir / "d.npy", std::vector<float>{1, 2, 3, 4}, {4});
  auto diff = [&](std::string const& a, std::string const& b, Options tolerance = {}) {
    return first_difference_of_files(dir / a, dir / b, tolerance).value_or("");
  };
  EXPECT_EQ(diff("a.npy", "a.npy"), "");
  EXPECT_EQ(diff("a.npy", "b.npy"), "the array at [1, 0]: 3 and 3.5 (1 of 4 values differ, by at most 0.5)");
  EXPECT_EQ(diff("a.npy", "c.npy"), "type <f4 and <f8");
  EXPECT_EQ(diff("a.npy", "c.npy", 0), "");
  EXPECT_EQ(diff("a.npy", "d.npy"), "shape 2×2 and 4");

  Space space = make_nifti_space({2, 2, 2}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}});
  std::vector<float> values{0, 1, 2, 3, 4, std::nanf(""), 6, 7, 10, 11, 12, 13, 14, 15, 16, 17};
  write_nifti(dir / "a.nii.gz", space, values, 2);
  write_nifti(dir / "same.nii", space, values, 2);
  values[8 + 5] = 0;
  write_nifti(dir / "b.nii.gz", space, values, 2);
  Space moved = make_nifti_space({2, 2, 2}, {{{2, 0, 0, 5}, {0, 2, 0, 0}, {0, 0, 2, 0}}});
  write_nifti(dir / "moved.nii.gz", moved, values, 2);
  EXPECT_EQ(diff("a.nii.gz", "same.nii"), "");
  EXPECT_EQ(diff("a.nii.gz", "b.nii.gz"),
            "[volume, x, y, z] at [1, 1, 0, 1]: 15 and 0 (1 of 16 values differ, by at most 15)");
  EXPECT_EQ(diff("b.nii.gz", "moved.nii.gz"), "affine at [0, 3]: 0 and 5");

  write_bytes(dir / "a.tsv", "layer\tr\nconv1\t0.5\n");
  write_bytes(dir / "b.tsv", "layer\tr\nconv1\t0.5001\n");
  EXPECT_EQ(diff("a.tsv", "b.tsv"), "line 2: \"conv1\t0.5\" and \"conv1\t0.5001\"");
  EXPECT_EQ(diff("a.tsv", "b.tsv", 0.001), "");
  write_bytes(dir / "a.bin", "abc");
  write_bytes(dir / "b.bin", "abd");
  write_bytes(dir / "c.bin", "abcd");
  EXPECT_EQ(diff("a.bin", "b.bin"), "byte 2: 99 and 100");
  EXPECT_EQ(diff("a.bin", "c.bin"), "sizes 3 and 4 bytes");
}

TEST(InfoCompare, ResultFolders) {
  TempDir dir;
  for (auto name : {"a", "b"}) {
    std::filesystem::create_directories(dir / name / "maps");
    make_h5(dir / name / "result.h5", {});
    write_npy(dir / name / "maps" / "layer-conv1_stat-pearson.npy", std::vector<float>{1, 2}, {2});
    write_bytes(dir / name / "provenance.json", std::string("{\"host\": \"") + name + "\"}");
    write_bytes(dir / name / "log.txt", name);
    write_bytes(dir / name / ".striate-attempt", name);
  }
  EXPECT_EQ(first_difference_of_files(dir / "a", dir / "b", {}), std::nullopt);
  write_npy(dir / "b" / "maps" / "layer-conv1_stat-pearson.npy", std::vector<float>{1, 3}, {2});
  EXPECT_EQ(first_difference_of_files(dir / "a", dir / "b", {}).value_or(""),
            "maps/layer-conv1_stat-pearson.npy: the array at [1]: 2 and 3 (1 of 2 values differ, by at most 1)");
  std::filesystem::remove(dir / "b" / "maps" / "layer-conv1_stat-pearson.npy");
  EXPECT_EQ(first_difference_of_files(dir / "a", dir / "b", {}).value_or(""),
            "maps/layer-conv1_stat-pearson.npy is only in the first");
  expect_error([&] { (void)first_difference_of_files(dir / "a", dir / "none", {}); }, Exit::no_input,
               "info: " + (dir / "none").string() + " does not exist; check the path");
}

TEST(Info, CommandLine) {
  TempDir dir;
  write_bytes(dir / "a.bin", "abc");
  std::string file = (dir / "a.bin").string();
  EXPECT_EQ(command({}), 64);
  EXPECT_EQ(command({"--compare", file}), 64);
  EXPECT_EQ(command({"--nonsense", file}), 64);
  EXPECT_EQ(command({"--tolerance", "x", "--compare", file, file}), 64);
  EXPECT_EQ(command({"--tolerance", "0.1", file}), 64);
  EXPECT_EQ(command({"--compare", file, file, "--tolerance=0.1"}), 0);
  EXPECT_EQ(command({(dir / "none").string()}), 66);
  EXPECT_EQ(command({"--compare", file, (dir / "none").string()}), 66);
  std::string text;
  EXPECT_EQ(command({"--help"}, &text), 0);
  EXPECT_NE(text.find("--compare A B"), std::string::npos);
}

TEST(Info, SaysWhatFilesHold) {
  TempDir dir;
  make_h5(dir / "x.h5", {});
  std::string text = said(dir / "x.h5");
  for (auto part : {"result file", "@network = alexnet", "conv1/", "pearson", "float64", "2 × 3"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  text = said(golden("nifti/scaled_big.nii.gz"));
  for (auto part :
       {"NIfTI-1", "uint8, other byte order", "2.5 × stored + 10", "3×4×5", "volumes                2", "affine"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  EXPECT_NE(said(golden("npy/fortran.npy")).find("6 × 4"), std::string::npos);
  write_bytes(dir / "s.stim.csv", "type=image\npath=img\ntitle=a=b\ndata=stimID,label\na.jpg,1\nb.jpg,2\n");
  text = said(dir / "s.stim.csv");
  for (auto part : {"stimuli", "stimID,label", "a=b", "a.jpg,1", "rows                   2"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  write_bytes(dir / "card.yaml", "name: net\ninput: {size: [224, 224]}\nlayers: {conv1: features.0}\n");
  text = said(dir / "card.yaml");
  for (auto part : {"network card", "conv1", "features.0", "[224, 224]"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  write_bytes(dir / "net.ts.pt", "abc");
  text = said(dir / "net.ts.pt");
  EXPECT_NE(text.find("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), std::string::npos) << text;
  write_bytes(dir / "bad.act.h5", "not hdf5");
  expect_error([&] { (void)said(dir / "bad.act.h5"); }, Exit::data,
               "info: bad.act.h5 is not an HDF5 file (it does not begin as one); it may be truncated");
  write_bytes(dir / "bad.stim.csv", "type=image\n");
  expect_error([&] { (void)said(dir / "bad.stim.csv"); }, Exit::data,
               "info: bad.stim.csv has no data= line; it may be truncated");
  write_bytes(dir / "bad.yaml", "a: [1\n");
  expect_error([&] { (void)said(dir / "bad.yaml"); }, Exit::data, "info: bad.yaml: line", true);
}

TEST(InfoJoin, TablesOfSeveralResultsAreOne) {
  TempDir dir;
  for (char const* name : {"sub1", "sub2", "bare"}) std::filesystem::create_directories(dir / name);
  write_bytes(dir / "sub1/summary.tsv", "layer\troi\tmean\nconv1\tall\t0.5\nfc\tall\tn/a\n");
  write_bytes(dir / "sub2/summary.tsv", "layer\troi\tceiling\tmean\r\nconv1\tV1\t0.9\t0.25\r\n");
  write_bytes(dir / "sub1/best-layers.tsv", "net\tp_best\nalexnet\t0.01\n");
  std::string const one = (dir / "sub1").string(), two = (dir / "sub2").string();
  std::string text;
  EXPECT_EQ(command({"--join", one + "/", two}, &text), 0);
  EXPECT_EQ(text, "result\tlayer\troi\tmean\tceiling\n" + one + "\tconv1\tall\t0.5\tn/a\n" + one +
                      "\tfc\tall\tn/a\tn/a\n" + two + "\tconv1\tV1\t0.25\t0.9\n");
  EXPECT_EQ(command({"--join", one + "/best-layers.tsv"}, &text), 0);
  EXPECT_EQ(text, "result\tnet\tp_best\n" + one + "\talexnet\t0.01\n");
  EXPECT_EQ(command({"--join", one, one + "/best-layers.tsv"}), static_cast<int>(Exit::usage));
  // As permute and predict write them: lines that mean something else.
  std::filesystem::create_directories(dir / "permuted");
  std::filesystem::create_directories(dir / "predicted");
  write_bytes(dir / "permuted/summary.tsv", "layer\troi\tscore\ttargets\tvalid\nconv1\tall\tr2\t5\t5\n");
  write_bytes(dir / "predicted/summary.tsv", "layer\tscore\ttargets\tvalid\tmean\nconv1\tr2\t5\t5\t0.1\n");
  for (char const* other : {"permuted", "predicted"}) {
    EXPECT_EQ(command({"--join", one, (dir / other).string()}), static_cast<int>(Exit::usage));
    EXPECT_EQ(command({"--join", (dir / other).string(), (dir / other).string()}), 0);
  }
  expect_error(
      [&] {
        (void)run_info({"--join", one, (dir / "predicted").string()});
      },
      Exit::usage,
      "has a line per layer × roi and " + (dir / "predicted").string() + " one per layer × score; join them apart",
      true);
  EXPECT_EQ(command({"--join"}), static_cast<int>(Exit::usage));
  EXPECT_EQ(command({"--join", "--compare", one, two}), static_cast<int>(Exit::usage));
  EXPECT_EQ(command({"--join", (dir / "bare").string()}), static_cast<int>(Exit::no_input));
  EXPECT_EQ(command({"--join", (dir / "none").string()}), static_cast<int>(Exit::no_input));
  write_bytes(dir / "bare/summary.tsv", "layer\troi\nconv1\n");
  EXPECT_EQ(command({"--join", (dir / "bare").string()}), static_cast<int>(Exit::data));
}

}  // namespace
}  // namespace striate
