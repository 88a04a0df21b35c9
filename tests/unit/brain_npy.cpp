/// .npy against NumPy (goldens by tests/golden/make_nifti.py).
#include "striate/brain/npy.hpp"

#include "brain_test.hpp"
#include "striate/brain/array.hpp"

namespace striate {
namespace {

using namespace testing;

TEST(BrainNpy, EveryTypeOrderAndVersionReadsAsNumpyDoes) {
  auto expected = read_json(golden("npy/expected.json"));
  ASSERT_GE(expected.size(), 22U);
  for (auto const& [name, want] : expected.items()) {
    NpyFile file(golden("npy/" + name));
    EXPECT_EQ(file.shape(), want["shape"].get<std::vector<std::uint64_t>>()) << name;
    EXPECT_EQ(file.fortran_order(), want["fortran"].get<bool>()) << name;
    std::vector<double> values(file.size());
    std::vector<float> floats(file.size());
    file.read(0, values);
    file.read(0, floats);
    ASSERT_EQ(values.size(), want["values"].size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::size_t at = i;
      if (file.fortran_order()) at = i % file.shape()[0] * file.shape()[1] + i / file.shape()[0];
      EXPECT_EQ(values[i], want["values"][at].get<double>()) << name << " " << i;
      EXPECT_EQ(floats[i], static_cast<float>(values[i])) << name;
    }
  }
}

TEST(BrainNpy, WrittenFilesAreNumpys) {
  TempDir dir;
  write_npy(dir / "a.npy", std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  write_npy(dir / "b.npy", std::vector<double>{0.1, -0.2}, {2});
  write_npy(dir / "c.npy", std::vector<std::int32_t>{7}, {});
  NpyFile a(dir / "a.npy");
  EXPECT_EQ(a.shape(), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(a.dtype(), "<f4");
  EXPECT_EQ((bytes_of(dir / "a.npy").size() - 24) % 64, 0U);
  EXPECT_EQ(NpyFile(dir / "c.npy").shape().size(), 0U);
  if (!python_has("numpy")) GTEST_SKIP() << "NUMPY NOT CHECKED: /usr/bin/python3 cannot import numpy";
  write_bytes(dir / "check.py", R"(
import numpy as np, sys
d = sys.argv[1]
a, b, c = (np.load(f'{d}/{x}.npy') for x in 'abc')
assert a.dtype == np.float32 and np.array_equal(a, [[1, 2, 3], [4, 5, 6]])
assert b.dtype == np.float64 and np.array_equal(b, [0.1, -0.2])
assert c.dtype == np.int32 and c.shape == () and c == 7
)");
  EXPECT_EQ(std::system(("/usr/bin/python3 " + (dir / "check.py").string() + " " + dir.path().string()).c_str()), 0);
}

TEST(BrainNpy, BrokenFilesSayWhatIsWrong) {
  TempDir dir;
  auto open = [](std::filesystem::path const& path) { return [path] { NpyFile file(path); }; };
  expect_error(open(dir / "none.npy"), Exit::no_input,
               (dir / "none.npy").string() + " cannot be read (No such file or directory); check the path");
  std::string whole = bytes_of(golden("npy/little_f4.npy"));
  write_bytes(dir / "cut.npy", whole.substr(0, whole.size() - 10));
  expect_error(open(dir / "cut.npy"), Exit::data,
               "cut.npy is truncated (86 bytes of data where its header promises 96); copy or save it again");
  write_bytes(dir / "head.npy", whole.substr(0, 50));
  expect_error(open(dir / "head.npy"), Exit::data, "head.npy is truncated (inside its header)");
  write_bytes(dir / "zip.npy", "PK\x03\x04" + std::string(100, 'x'));
  expect_error(open(dir / "zip.npy"), Exit::data, "it looks like .npz: save the array alone with numpy.save", true);
  write_bytes(dir / "empty.npy", "");
  expect_error(open(dir / "empty.npy"), Exit::data, "empty.npy is not a .npy file (0 bytes)");
  expect_error(open(golden("npy/complex.npy")), Exit::data,
               "complex.npy holds values of type <c16 (only real numbers are read); save it as float32");
  expect_error(open(golden("npy/text.npy")), Exit::data,
               "text.npy holds values of type <U2 (only real numbers are read); save it as float32");
  expect_error(open(golden("npy/record.npy")), Exit::data, "record.npy holds values of type", true);
}

TEST(BrainArray, RowsAndColumnsWhateverTheOrderOnDisk) {
  auto expected = read_json(golden("npy/expected.json"));
  for (std::string name : {"little_f8.npy", "fortran.npy"}) {
    auto want = expected[name]["values"].get<std::vector<double>>();  // 6 × 4
    for (bool transpose : {false, true}) {
      auto reader = open_array(golden("npy/" + name), transpose);
      ASSERT_EQ(reader->volumes(), transpose ? 4U : 6U);
      ASSERT_EQ(reader->space().size(), transpose ? 6U : 4U);
      std::vector<std::uint64_t> places{1, 3, 2};
      std::size_t seen = 0;
      reader->scan(places, [&](std::size_t v, std::span<float const> values) {
        for (std::size_t j = 0; j < places.size(); ++j) {
          double exact = transpose ? want[places[j] * 4 + v] : want[v * 4 + places[j]];
          EXPECT_EQ(values[j], static_cast<float>(exact)) << name;
        }
        ++seen;
      });
      EXPECT_EQ(seen, reader->volumes());
    }
  }
  EXPECT_EQ(open_array(golden("npy/one.npy"), false)->space().size(), 1U);
  expect_error([] { (void)open_array(golden("npy/cube.npy"), false); }, Exit::data,
               "cube.npy is 2×3×4 (responses are n × t, or one column); reshape it");
}

TEST(BrainArray, BlocksOfWideArraysAreCutRight) {
  TempDir dir;
  std::size_t n = 700, t = 30;  // more rows than one block of 256
  std::vector<float> values(n * t);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  write_npy(dir / "a.npy", values, {n, t});
  write_npy(dir / "b.npy", values, {t, n});
  for (bool transpose : {false, true}) {
    auto reader = open_array(dir / (transpose ? "b.npy" : "a.npy"), transpose);
    std::vector<std::uint64_t> places{0, 29};
    reader->scan(places, [&](std::size_t v, std::span<float const> row) {
      EXPECT_EQ(row[0], static_cast<float>(transpose ? v : v * t));
      EXPECT_EQ(row[1], static_cast<float>(transpose ? 29 * n + v : v * t + 29));
    });
  }
}

TEST(BrainArray, Hdf5Names) {
  auto split = split_h5_name("/a/b:c/f.h5:/group/data");
  ASSERT_TRUE(split);
  EXPECT_EQ(split->first, "/a/b:c/f.h5");
  EXPECT_EQ(split->second, "/group/data");
  EXPECT_EQ(split_h5_name("x.roi.h5")->second, "/data");
  EXPECT_FALSE(split_h5_name("x.h5"));
  EXPECT_FALSE(split_h5_name("x.npy"));
  expect_error([] { (void)open_array("x.h5", false); }, Exit::data, "x.h5 names no dataset; write \"x.h5:/DATASET\"");
}

}  // namespace
}  // namespace striate
