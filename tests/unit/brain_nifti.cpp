/// Reading NIfTI against nibabel (goldens by tests/golden/make_nifti.py) and the errors of broken files.
#include "striate/brain/nifti.hpp"

#include <numeric>

#include "brain_test.hpp"

namespace striate {
namespace {

using namespace testing;

std::vector<std::uint64_t> all_places(Space const& space) {
  std::vector<std::uint64_t> places(space.size());
  std::iota(places.begin(), places.end(), 0);
  return places;
}

void expect_same(double have, double want, double tolerance, std::string const& where) {
  if (std::isnan(want))
    EXPECT_TRUE(std::isnan(have)) << where;
  else if (std::isinf(want))
    EXPECT_EQ(have, want) << where;
  else
    EXPECT_LE(std::abs(have - want), tolerance * std::abs(want)) << where << " " << have << " " << want;
}

TEST(BrainNifti, EveryTypeOrderAndScalingReadsAsNibabelDoes) {
  auto expected = read_json(golden("nifti/expected.json"));
  ASSERT_GE(expected.size(), 28U);
  for (auto const& [name, want] : expected.items()) {
    auto reader = open_image(golden("nifti/" + name));
    Space const& space = reader->space();
    EXPECT_EQ(space.shape, want["shape"].get<std::vector<std::uint64_t>>()) << name;
    ASSERT_EQ(reader->volumes(), want["volumes"].get<std::size_t>()) << name;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 4; ++j) EXPECT_NEAR(space.affine[i][j], want["affine"][i][j].get<double>(), 2e-5) << name;
    auto places = all_places(space);
    std::size_t seen = 0;
    reader->scan(places, [&](std::size_t v, std::span<float const> values) {
      EXPECT_EQ(v, seen++);
      for (std::size_t i = 0; i < values.size(); ++i) {
        double exact = number(want["values"][v * space.size() + i]);
        expect_same(values[i], static_cast<float>(exact), 0, name);
      }
    });
    EXPECT_EQ(seen, reader->volumes()) << name;
    auto doubles = nifti_volume(golden("nifti/" + name), reader->volumes() - 1);
    std::size_t before = (reader->volumes() - 1) * space.size();
    for (std::size_t i = 0; i < doubles.size(); ++i)
      expect_same(doubles[i], number(want["values"][before + i]), 1e-15, name);
  }
}

TEST(BrainNifti, GathersOnlyThePlacesAskedForInTheirOrder) {
  auto path = golden("nifti/float32.nii");
  auto whole = nifti_volume(path, 1);
  std::vector<std::uint64_t> places{59, 0, 17, 17, 31};
  open_image(path)->scan(places, [&](std::size_t v, std::span<float const> values) {
    ASSERT_EQ(values.size(), places.size());
    if (v != 1) return;
    for (std::size_t i = 0; i < places.size(); ++i) EXPECT_EQ(values[i], static_cast<float>(whole[places[i]]));
  });
}

TEST(BrainNifti, HeaderOnlyInfo) {
  auto info = nifti_info(golden("nifti/scaled_big.nii.gz"));
  EXPECT_EQ(info.version, 1);
  EXPECT_TRUE(info.swapped);
  EXPECT_EQ(info.dtype, "uint8");
  EXPECT_EQ(info.slope, 2.5);
  EXPECT_EQ(info.dims, (std::vector<std::int64_t>{3, 4, 5, 2}));
  EXPECT_EQ(nifti_info(golden("nifti/two_big.nii")).version, 2);
}

TEST(BrainNifti, RealImagesReadAsNibabelDoes) {
  if (!std::filesystem::exists(data_dir() / "brain" / "formats"))
    GTEST_SKIP() << "REAL IMAGES NOT CHECKED: no " << data_dir() / "brain" / "formats"
                 << "; set STRIATE_DATA";
  auto expected = read_json(golden("nifti/real.json"));
  for (auto const& [name, want] : expected.items()) {
    auto path = data_dir() / "brain" / "formats" / name;
    auto reader = open_image(path);
    EXPECT_EQ(reader->space().shape, want["shape"].get<std::vector<std::uint64_t>>()) << name;
    ASSERT_EQ(reader->volumes(), want["volumes"].get<std::size_t>()) << name;
    EXPECT_EQ(nifti_info(path).dtype, want["dtype"].get<std::string>());
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 4; ++j)
        EXPECT_NEAR(reader->space().affine[i][j], want["affine"][i][j].get<double>(), 1e-4) << name;
    auto last = nifti_volume(path, reader->volumes() - 1);
    double sum = 0;
    for (double v : last) sum += std::isnan(v) ? 0 : v;
    EXPECT_NEAR(sum, want["sum_last"].get<double>(), 1e-9 * std::abs(sum) + 1e-9) << name;
    for (std::size_t i = 0; i < want["places"].size(); ++i)
      expect_same(last[want["places"][i].get<std::size_t>()], number(want["values"][i]), 1e-12, name);
  }
  EXPECT_TRUE(nifti_info(data_dir() / "brain" / "formats" / "anatomical.nii").swapped);
}

TEST(BrainNifti, BrokenFilesSayWhatIsWrong) {
  TempDir dir;
  auto read = [](std::filesystem::path const& path) {
    return [path] {
      auto reader = open_image(path, "responses.data");
      reader->scan(all_places(reader->space()), [](std::size_t, std::span<float const>) {});
    };
  };
  expect_error(read(dir / "none.nii"), Exit::no_input,
               "responses.data: " + (dir / "none.nii").string() + " does not exist; check the path");
  std::string whole = bytes_of(golden("nifti/float32.nii"));
  write_bytes(dir / "cut.nii", whole.substr(0, 500));
  expect_error(
      read(dir / "cut.nii"), Exit::data,
      "responses.data: cut.nii is truncated (500 bytes where its header promises 832); copy or download it again");
  write_bytes(dir / "head.nii", whole.substr(0, 100));
  expect_error(read(dir / "head.nii"), Exit::data, "head.nii is not a NIfTI file", true);
  write_bytes(dir / "empty.nii.gz", "");
  expect_error(read(dir / "empty.nii.gz"), Exit::data, "empty.nii.gz is not a NIfTI file", true);
  write_bytes(dir / "text.nii", std::string(1000, 'x'));
  expect_error(read(dir / "text.nii"), Exit::data, "text.nii is not a NIfTI file", true);

  std::string zipped = bytes_of(golden("nifti/plain.nii.gz"));
  write_bytes(dir / "cut.nii.gz", zipped.substr(0, zipped.size() - 100));
  expect_error(read(dir / "cut.nii.gz"), Exit::data,
               "cut.nii.gz is truncated (reading stops in volume 2 of 2); copy or download it again");
  std::filesystem::copy(golden("nifti/pair.hdr"), dir / "pair.hdr");
  expect_error(read(dir / "pair.hdr"), Exit::no_input,
               "responses.data: " + (dir / "pair.hdr").string() +
                   " has no .img file beside it; both files of the pair are needed");
  expect_error(
      read(golden("nifti/complex.nii")), Exit::data,
      "responses.data: complex.nii holds complex64 values (only real numbers can be responses); convert it to float32");
  expect_error(
      read(golden("nifti/six.nii")), Exit::data,
      "responses.data: six.nii has 5 dimensions; 3-D, 4-D, or 5-D with one of the last two of length 1 is needed");
}

TEST(BrainNifti, AWrongByteInCompressedDataIsNoticed) {
  TempDir dir;
  Space space = make_nifti_space({16, 16, 16}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}});
  std::vector<float> values(space.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i * i));
  write_nifti(dir / "map.nii.gz", space, values, 1);
  std::string bytes = bytes_of(dir / "map.nii.gz");
  for (std::size_t at : {bytes.size() / 2, bytes.size() - 6}) {  // in the data, and in the stored checksum
    std::string bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    write_bytes(dir / "bad.nii.gz", bad);
    expect_error(
        [&] {
          auto reader = open_image(dir / "bad.nii.gz");
          reader->scan(all_places(reader->space()), [](std::size_t, std::span<float const>) {});
        },
        Exit::data, "bad.nii.gz is corrupt (reading stops in volume 1 of 1); copy or download it again");
  }
}

}  // namespace
}  // namespace striate
