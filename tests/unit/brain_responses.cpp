/// `responses:`: targets, masks, rows, repeats, and the messages of what does not fit.
#include "striate/brain/responses.hpp"

#include <numeric>

#include "brain_test.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

using namespace testing;

Affine const grid{{{2, 0, 0, -10}, {0, 2, 0, -20}, {0, 0, 2, -30}}};

/// An image whose volume v holds v * 100 + flat index, 0 at index 0 and NaN at index 5.
std::filesystem::path make_image(std::filesystem::path const& path, std::array<std::uint64_t, 3> shape,
                                 std::size_t volumes, Affine const& affine = grid) {
  Space space = make_nifti_space(shape, affine, path.extension() == ".gz" ? ".nii.gz" : ".nii");
  NiftiWriter writer(path, space, volumes);
  std::vector<float> values(space.size());
  for (std::size_t v = 0; v < volumes; ++v) {
    std::iota(values.begin(), values.end(), 100.0F * static_cast<float>(v));
    values[0] = 0;
    if (values.size() > 5) values[5] = std::nanf("");
    writer.add(values);
  }
  writer.finish();
  return path;
}

std::filesystem::path make_mask(std::filesystem::path const& path, std::array<std::uint64_t, 3> shape,
                                std::vector<std::size_t> const& in, Affine const& affine = grid) {
  Space space = make_nifti_space(shape, affine, ".nii");
  std::vector<float> values(space.size());
  for (std::size_t i : in) values[i] = 3;
  write_nifti(path, space, values, 1);
  return path;
}

ResponsesConfig config_of(std::vector<std::filesystem::path> data, std::optional<std::filesystem::path> mask = {}) {
  ResponsesConfig config;
  config.data = std::move(data), config.mask = std::move(mask), config.stimuli = "images.stim.csv";
  return config;
}

std::vector<std::string> names_of(std::size_t n) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < n; ++i) ids.push_back("s" + std::to_string(i));
  return ids;
}

std::vector<float> filled(Responses const& responses, RowPlan const& rows, std::size_t first, std::size_t count) {
  std::vector<float> y(rows.size() * count, -7.0F);
  responses.fill(rows, first, MatrixView<float>(y.data(), rows.size(), count));
  return y;
}

TEST(BrainResponses, TargetsOfAnImageAreItsVoxelsThatHoldSomething) {
  TempDir dir;
  auto config = config_of({make_image(dir / "betas.nii.gz", {2, 3, 4}, 70)});
  Responses responses(config);
  EXPECT_EQ(responses.volumes(), 70U);
  std::vector<std::uint64_t> want;
  for (std::uint64_t i = 1; i < 24; ++i)
    if (i != 5) want.push_back(i);  // 0 is zero throughout, 5 NaN throughout
  EXPECT_EQ(responses.index(), want);
  auto rows = plan_rows(responses, config, names_of(70));
  auto y = filled(responses, rows, 3, 10);
  for (std::size_t j = 0; j < 10; ++j)
    for (std::size_t v = 0; v < 70; ++v) EXPECT_EQ(y[j * 70 + v], static_cast<float>(100 * v + want[3 + j]));
}

TEST(BrainResponses, AMaskChoosesAndNanVoxelsStayIn) {
  TempDir dir;
  auto config = config_of({make_image(dir / "a.nii", {2, 3, 4}, 3), make_image(dir / "b.nii", {2, 3, 4}, 2)},
                          make_mask(dir / "mask.nii", {2, 3, 4}, {5, 9, 20}));
  Responses responses(config);
  EXPECT_EQ(responses.index(), (std::vector<std::uint64_t>{5, 9, 20}));
  EXPECT_EQ(responses.volumes(), 5U);
  EXPECT_EQ(responses.inputs().size(), 3U);
  auto y = filled(responses, plan_rows(responses, config, names_of(5)), 0, 3);
  for (std::size_t v = 0; v < 5; ++v) {
    EXPECT_TRUE(std::isnan(y[v]));
    EXPECT_EQ(y[5 + v], static_cast<float>(100 * (v % 3) + 9));
  }
}

TEST(BrainResponses, RepeatsAreAveragedInOrderOfFirstAppearance) {
  TempDir dir;
  auto config = config_of({make_image(dir / "a.nii", {1, 1, 4}, 6)});
  Responses responses(config);
  std::vector<std::string> ids{"b", "a", "b", "c", "b", "a"};
  auto rows = plan_rows(responses, config, ids);
  EXPECT_EQ(rows.ids, (std::vector<std::string>{"b", "a", "c"}));
  EXPECT_EQ(rows.first_volume, (std::vector<std::size_t>{0, 1, 3}));
  EXPECT_EQ(rows.count, (std::vector<std::size_t>{3, 2, 1}));
  auto y = filled(responses, rows, 0, 3);
  EXPECT_EQ(y, (std::vector<float>{201, 301, 301, 202, 302, 302, 203, 303, 303}));
  config.repeats = "keep";
  auto kept = plan_rows(responses, config, ids);
  EXPECT_EQ(kept.ids, ids);
  EXPECT_EQ(filled(responses, kept, 1, 1), (std::vector<float>{2, 102, 202, 302, 402, 502}));
}

TEST(BrainResponses, RowsThatNobodyWantsAreLeftOut) {
  TempDir dir;
  Responses responses(config_of({make_image(dir / "a.nii", {1, 1, 4}, 3)}));
  RowPlan rows = plan_rows({"x", "y", "z"}, true);
  rows.ids = {"z"}, rows.first_volume = {2}, rows.count = {1};
  rows.row_of_volume = {RowPlan::no_row, RowPlan::no_row, 0};
  EXPECT_EQ(filled(responses, rows, 0, 1), (std::vector<float>{201}));
}

TEST(BrainResponses, WhatDoesNotFitIsSaidExactly) {
  TempDir dir;
  auto data = make_image(dir / "betas.nii.gz", {6, 6, 3}, 4);
  auto open = [&](std::filesystem::path const& mask) { return [&, mask] { Responses r(config_of({data}, mask)); }; };
  expect_error(open(make_mask(dir / "vtc.nii", {9, 10, 9}, {1})), Exit::data,
               "responses.mask: vtc.nii is 9×10×9 but betas.nii.gz is 6×6×3; resample the mask first");
  Affine moved = grid;
  moved[1][3] += 4;
  expect_error(
      open(make_mask(dir / "moved.nii", {6, 6, 3}, {1}, moved)), Exit::data,
      "responses.mask: moved.nii lies up to 4 mm away from betas.nii.gz (same shape, another affine); resample the "
      "mask first");
  Affine rounded = grid;
  rounded[1][3] += 1e-3;
  EXPECT_NO_THROW(open(make_mask(dir / "rounded.nii", {6, 6, 3}, {1}, rounded))());
  expect_error(open(make_mask(dir / "empty.nii", {6, 6, 3}, {})), Exit::data,
               "responses.mask: empty.nii holds no non-zero value (nothing is left to predict); check the mask");
  expect_error(open(data), Exit::data, "responses.mask: betas.nii.gz has 4 volumes; a mask has one");
  expect_error(open(dir / "none.nii"), Exit::no_input,
               "responses.mask: " + (dir / "none.nii").string() + " does not exist; check the path");
  expect_error([&] { Responses r(config_of({dir / "none.nii.gz"})); }, Exit::no_input,
               "responses.data: " + (dir / "none.nii.gz").string() + " does not exist; check the path");
  expect_error(
      [&] {
        Responses r(config_of({data, make_image(dir / "other.nii", {6, 6, 2}, 2)}));
      },
      Exit::data, "responses.data: other.nii is 6×6×2 but betas.nii.gz is 6×6×3; resample the image first");
  auto config = config_of({data});
  Responses responses(config);
  expect_error(
      [&] { (void)plan_rows(responses, config, names_of(3)); }, Exit::data,
      "responses.stimuli: images.stim.csv has 3 rows but betas.nii.gz has 4 volumes; one row per volume is needed");
  expect_error([&] { Responses r(config_of({dir / "what.txt"})); }, Exit::data,
               "responses.data: what.txt is of no known format (.nii, .nii.gz, .hdr/.img, .npy, \"f.h5:/DATASET\")");
  config.transpose = true;
  expect_error([&] { Responses r(config); }, Exit::config,
               "responses.transpose: betas.nii.gz is an image, whose order is known; remove the key");
}

TEST(BrainResponses, ATruncatedImageIsNoticed) {
  TempDir dir;
  make_image(dir / "betas.nii.gz", {6, 6, 3}, 40);
  std::string bytes = bytes_of(dir / "betas.nii.gz");
  write_bytes(dir / "betas.nii.gz", bytes.substr(0, bytes.size() / 2));
  auto mask = make_mask(dir / "mask.nii", {6, 6, 3}, {1, 2});
  auto config = config_of({dir / "betas.nii.gz"}, mask);
  Responses responses(config);
  expect_error([&] { filled(responses, plan_rows(responses, config, names_of(40)), 0, 2); }, Exit::data,
               "responses.data: betas.nii.gz is truncated (reading stops in volume", true);
}

TEST(BrainResponses, ArraysKeepAllColumnsOrTakeAMask) {
  TempDir dir;
  std::vector<float> values(3 * 4);
  std::iota(values.begin(), values.end(), 0.0F);
  write_npy(dir / "r.npy", values, {3, 4});
  write_npy(dir / "mask.npy", std::vector<std::int32_t>{0, 1, 0, 1}, {4});
  write_npy(dir / "short.npy", std::vector<std::int32_t>{0, 1, 0}, {3});
  auto config = config_of({dir / "r.npy", dir / "r.npy"});
  Responses all(config);
  EXPECT_EQ(all.targets(), 4U);
  EXPECT_EQ(all.volumes(), 6U);
  auto y = filled(all, plan_rows(all, config, names_of(6)), 2, 2);
  EXPECT_EQ(y, (std::vector<float>{2, 6, 10, 2, 6, 10, 3, 7, 11, 3, 7, 11}));
  config.mask = dir / "mask.npy";
  EXPECT_EQ(Responses(config).index(), (std::vector<std::uint64_t>{1, 3}));
  config.mask = dir / "short.npy";
  expect_error(
      [&] { Responses r(config); }, Exit::data,
      "responses.mask: short.npy has 3 values but r.npy has 4 targets; a mask of an array is a 1-D array, one value "
      "a target");
  auto turned = config_of({dir / "r.npy"});
  turned.transpose = true;
  Responses t(turned);
  EXPECT_EQ(t.volumes(), 4U);
  EXPECT_EQ(t.targets(), 3U);
  auto wrong = config_of({dir / "r.npy"});
  Responses w(wrong);
  expect_error([&] { (void)plan_rows(w, wrong, names_of(4)); }, Exit::data,
               "responses.stimuli: images.stim.csv has 4 rows but r.npy has 3 rows; its columns would fit: set "
               "responses.transpose: true");
}

TEST(BrainResponses, Hdf5DatasetsAndRoiTables) {
  TempDir dir;
  std::vector<double> values(5 * 3);
  std::iota(values.begin(), values.end(), 0.5);
  for (std::string name : {"f.h5", "x.roi.h5"}) {
    auto file = h5::File::create(Comm(), dir / name);
    auto data = file.create_dataset(name == "f.h5" ? "/a/b" : "/data", h5::Dtype::f64, {5, 3});
    data.write(std::span<double const>(values));
    file.close();
  }
  for (auto name : {"f.h5:/a/b", "x.roi.h5"}) {
    auto config = config_of({dir / name});
    Responses responses(config);
    EXPECT_EQ(responses.targets(), 3U);
    auto y = filled(responses, plan_rows(responses, config, names_of(5)), 1, 1);
    EXPECT_EQ(y, (std::vector<float>{1.5, 4.5, 7.5, 10.5, 13.5}));
    EXPECT_TRUE(std::filesystem::exists(responses.inputs()[0]));
  }
  expect_error([&] { Responses r(config_of({dir / "f.h5:/c"})); }, Exit::data,
               "responses.data: f.h5:/c: there is no such dataset; the file holds a");
  expect_error([&] { Responses r(config_of({dir / "g.h5:/c"})); }, Exit::no_input,
               "responses.data: " + (dir / "g.h5").string() + " does not exist; check the path");
}

}  // namespace
}  // namespace striate
