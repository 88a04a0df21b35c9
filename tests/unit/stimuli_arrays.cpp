/// Arrays as stimuli: .npy files and datasets in every layout that can be read beside HDF5.
#include <cmath>
#include <numeric>
#include <thread>

#include "brain_test.hpp"
#include "striate/brain/npy.hpp"
#include "striate/stimuli/source.hpp"
#include "striate/store/h5.hpp"
#include "striate/store/row_array.hpp"

namespace striate {
namespace {

using namespace testing;
using Shape = std::vector<std::size_t>;

/// One dataset `data` of an HDF5 file, as h5py would write it.
void write_h5(std::filesystem::path const& path, hid_t disk, Shape const& shape, Shape const& chunk,
              std::vector<int> const& filters, hid_t memory, void const* values, hsize_t user_block = 0,
              bool half = false) {
  h5::init();
  hid_t const how = H5Pcreate(H5P_FILE_CREATE);
  if (user_block > 0) H5Pset_userblock(how, user_block);
  hid_t const file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, how, H5P_DEFAULT);
  std::vector<hsize_t> dims(shape.begin(), shape.end()), parts(chunk.begin(), chunk.end());
  hid_t const space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
  hid_t const list = H5Pcreate(H5P_DATASET_CREATE);
  if (!chunk.empty()) H5Pset_chunk(list, static_cast<int>(parts.size()), parts.data());
  float const fill = 7;
  H5Pset_fill_value(list, H5T_NATIVE_FLOAT, &fill);
  for (int const filter : filters) {
    if (filter == H5Z_FILTER_DEFLATE) H5Pset_deflate(list, 6);
    if (filter == H5Z_FILTER_SHUFFLE) H5Pset_shuffle(list);
    if (filter == H5Z_FILTER_FLETCHER32) H5Pset_fletcher32(list);
    if (filter == H5Z_FILTER_SCALEOFFSET) H5Pset_scaleoffset(list, H5Z_SO_INT, 0);
  }
  hid_t const data = H5Dcreate(file, "data", disk, space, H5P_DEFAULT, list, H5P_DEFAULT);
  if (half) {  // the first two rows alone are written
    std::vector<hsize_t> first(dims.size()), count(dims);
    count[0] = 2;
    hid_t const part = H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, first.data(), nullptr, count.data(), nullptr);
    H5Dwrite(data, memory, part, space, H5P_DEFAULT, values);
    H5Sclose(part);
  } else if (values != nullptr) {
    H5Dwrite(data, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  }
  H5Dclose(data), H5Pclose(list), H5Sclose(space), H5Fclose(file), H5Pclose(how);
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 251) - 20;
  return values;
}

void expect_rows(RowArray const& rows, std::vector<float> const& values, std::string const& what) {
  std::vector<float> row(rows.row_size());
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    rows.read(r * 3 % rows.rows(), row);
    auto const at = values.begin() + static_cast<std::ptrdiff_t>(r * 3 % rows.rows() * row.size());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), at)) << what << " row " << r * 3 % rows.rows();
  }
}

TEST(Rows, OfHdf5InEveryLayout) {
  TempDir dir;
  Shape const shape{7, 5, 6, 3};
  auto const values = ramp(7 * 90);
  std::vector<std::vector<int>> const filters{{},
                                              {H5Z_FILTER_DEFLATE},
                                              {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE},
                                              {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE, H5Z_FILTER_FLETCHER32},
                                              {H5Z_FILTER_FLETCHER32}};
  for (Shape const& chunk :
       {Shape{1, 5, 6, 3}, Shape{3, 2, 4, 3}, Shape{2, 5, 6, 1}, Shape{7, 5, 6, 3}, Shape{4, 1, 1, 2}})
    for (auto const& filter : filters)
      for (hid_t const type : {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_I16BE, h5::type_id(h5::Dtype::f16)}) {
        write_h5(dir / "a.h5", type, shape, chunk, filter, H5T_NATIVE_FLOAT, values.data());
        auto const rows = open_h5_rows(dir / "a.h5", "data");
        EXPECT_EQ(rows->rows(), 7U);
        EXPECT_EQ(rows->shape(), (Shape{5, 6, 3}));
        EXPECT_FALSE(rows->is_bytes());
        expect_rows(*rows, values, h5::text_of(chunk) + " with " + std::to_string(filter.size()) + " filters");
      }
  for (hsize_t const block : {0U, 512U}) {
    write_h5(dir / "b.h5", H5T_STD_U8LE, shape, {}, {}, H5T_NATIVE_FLOAT, values.data(), block);
    auto clipped = values;
    for (float& v : clipped) v = std::max(v, 0.0F);
    auto const rows = open_h5_rows(dir / "b.h5", "/data");
    EXPECT_TRUE(rows->is_bytes());
    expect_rows(*rows, clipped, "contiguous");
    write_h5(dir / "c.h5", H5T_IEEE_F32LE, shape, {2, 5, 3, 3}, {H5Z_FILTER_DEFLATE}, H5T_NATIVE_FLOAT, values.data(),
             block);
    expect_rows(*open_h5_rows(dir / "c.h5", "data"), values, "chunked behind a user block");
  }
  write_h5(dir / "d.h5", H5T_STD_I32LE, {300}, {64}, {H5Z_FILTER_DEFLATE}, H5T_NATIVE_FLOAT, ramp(300).data());
  expect_rows(*open_h5_rows(dir / "d.h5", "data"), ramp(300), "of single numbers");
  write_h5(dir / "e.h5", H5T_STD_I32LE, shape, {7, 5, 6, 3}, {H5Z_FILTER_SCALEOFFSET}, H5T_NATIVE_FLOAT, values.data());
  expect_rows(*open_h5_rows(dir / "e.h5", "data"), values, "held in memory");
}

TEST(Rows, NeverWrittenOnesHoldTheFillValue) {
  TempDir dir;
  auto const values = ramp(4 * 6);
  auto wanted = values;
  std::fill(wanted.begin() + 12, wanted.end(), 7.0F);
  for (Shape const& chunk : {Shape{}, Shape{1, 6}, Shape{1, 4}}) {
    write_h5(dir / "a.h5", H5T_IEEE_F32LE, {4, 6}, chunk, {}, H5T_NATIVE_FLOAT, values.data(), 0, true);
    expect_rows(*open_h5_rows(dir / "a.h5", "data"), wanted, h5::text_of(chunk));
    write_h5(dir / "b.h5", H5T_IEEE_F32LE, {4, 6}, chunk, {}, H5T_NATIVE_FLOAT, nullptr);
    expect_rows(*open_h5_rows(dir / "b.h5", "data"), std::vector<float>(24, 7.0F), h5::text_of(chunk));
  }
}

TEST(Rows, ThreadsShareAnArray) {
  TempDir dir;
  auto const values = ramp(64 * 50);
  write_h5(dir / "a.h5", H5T_IEEE_F32LE, {64, 50}, {5, 20}, {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE}, H5T_NATIVE_FLOAT,
           values.data());
  auto const rows = open_h5_rows(dir / "a.h5", "data");
  std::vector<std::thread> crew;
  for (int t = 0; t < 4; ++t) crew.emplace_back([&] { expect_rows(*rows, values, "threads"); });
  for (auto& one : crew) one.join();
}

TEST(Rows, Errors) {
  TempDir dir;
  auto const values = ramp(24);
  write_h5(dir / "a.h5", H5T_IEEE_F32LE, {4, 6}, {1, 6}, {H5Z_FILTER_DEFLATE}, H5T_NATIVE_FLOAT, values.data());
  std::string const a = (dir / "a.h5").string();
  expect_error([&] { (void)open_h5_rows(a, "dta"); }, Exit::data, a + " has no dataset dta (it has data)");
  expect_error([&] { (void)h5_row_names(a, "data", 5); }, Exit::data, a + ": data names 24 rows, but there are 5");
  EXPECT_EQ(h5_row_names(a, "", 3), (std::vector<std::string>{"1", "2", "3"}));
  std::string bytes = bytes_of(a);
  write_bytes(dir / "cut.h5", bytes.substr(0, bytes.size() - 3));
  EXPECT_THROW((void)open_h5_rows(dir / "cut.h5", "data"), Error);
}

/// n × shape → the network's input, by a source.
std::vector<float> loaded(StimulusSource const& source, std::size_t place) {
  std::size_t size = 1;
  for (std::size_t const extent : source.shape()) size *= extent;
  std::vector<float> out(size);
  source.reader()->load(place, out.data());
  return out;
}

TEST(Arrays, PicturesOfBytesArePreprocessed) {
  TempDir dir;
  Image image{.width = 9, .height = 8, .rgb = std::vector<std::uint8_t>(3 * 72)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 7);
  Preprocessing how;
  how.resize = Preprocessing::Resize::squash, how.resize_height = how.height = 5, how.resize_width = how.width = 6;
  how.mean = {0.1, 0.2, 0.3}, how.std = {2, 3, 4};
  std::vector<float> want(3 * 30);
  preprocess(image, how, want.data());
  std::vector<std::uint8_t> last(image.rgb), first(last.size());
  for (std::size_t p = 0; p < 72; ++p)
    for (std::size_t c = 0; c < 3; ++c) first[c * 72 + p] = last[3 * p + c];
  last.insert(last.begin(), 216, 0), first.insert(first.begin(), 216, 0);
  write_h5(dir / "a.h5", H5T_STD_U8LE, {2, 8, 9, 3}, {}, {}, H5T_NATIVE_UINT8, last.data());
  write_h5(dir / "b.h5", H5T_STD_U8LE, {2, 3, 8, 9}, {1, 3, 8, 9}, {H5Z_FILTER_DEFLATE}, H5T_NATIVE_UINT8,
           first.data());
  for (auto const* name : {"a.h5", "b.h5"}) {
    auto const source = array_source(open_h5_rows(dir / name, "data"), {}, how);
    EXPECT_EQ(source->size(), 2U);
    EXPECT_EQ(loaded(*source, 1), want) << name;
    EXPECT_NE(loaded(*source, 0), want) << name;
  }
  // As a clip of two frames, in either order of axes.
  InputForm clip;
  clip.kind = InputForm::Kind::clip, clip.frames = 2;
  for (auto const& [shape, values] :
       {std::pair(Shape{1, 2, 8, 9, 3}, &last), std::pair(Shape{1, 2, 3, 8, 9}, &first)}) {
    write_h5(dir / "c.h5", H5T_STD_U8LE, shape, {}, {}, H5T_NATIVE_UINT8, values->data());
    auto const source = array_source(open_h5_rows(dir / "c.h5", "data"), clip, how);
    auto const got = loaded(*source, 0);
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t p = 0; p < 30; ++p) ASSERT_EQ(got[(c * 2 + 1) * 30 + p], want[c * 30 + p]);
  }
}

TEST(Arrays, NumbersGoInAsTheyAre) {
  TempDir dir;
  auto const values = ramp(4 * 24);
  write_npy(dir / "all.npy", values, {4, 2, 3, 4});
  write_npy(dir / "one.npy", std::span(values).first(24), {2, 3, 4});
  InputForm form;
  form.kind = InputForm::Kind::array, form.shape = {2, 3, 4}, form.mean = {1, 10}, form.std = {2}, form.scale = 4;
  auto const source = array_source(open_npy_rows(dir / "all.npy"), form, {});
  auto const got = loaded(*source, 2);
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(got[i], (values[48 + i] * 4 - (i < 12 ? 1 : 10)) / 2);
  auto const files = array_file_source({dir / "one.npy", dir / "all.npy", dir / "none.npy"}, form, {});
  EXPECT_EQ(loaded(*files, 0), loaded(*source, 0));
  auto const problems = files->check(0, 3, 2);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(std::string(problems[0].second.what()),
            (dir / "all.npy").string() + " holds stimuli of 4 × 2 × 3 × 4, but the network takes 2 × 3 × 4");
  EXPECT_EQ(problems[1].second.code(), Exit::no_input);
  InputForm image;
  Preprocessing how;
  how.height = 3, how.width = 4;
  expect_error([&] { (void)array_source(open_npy_rows(dir / "all.npy"), image, how); }, Exit::data,
               (dir / "all.npy").string() +
                   " holds stimuli of 2 × 3 × 4, but the network takes 3 × 3 × 4; save pictures as uint8 "
                   "(height × width × 3) to have them preprocessed");
  write_npy(dir / "rgb.npy", std::span(values).first(72), {2, 3, 3, 4});
  auto const pixels = loaded(*array_source(open_npy_rows(dir / "rgb.npy"), image, how), 1);
  EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), values.begin() + 36));
}

}  // namespace
}  // namespace striate
