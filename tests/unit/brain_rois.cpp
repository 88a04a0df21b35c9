/// `rois:`: label images, tables of names, and how they are written in a config.
#include "striate/brain/rois.hpp"

#include "brain_test.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"

namespace striate {
namespace {

using namespace testing;

TEST(BrainRois, TablesOfNames) {
  TempDir dir;
  RoiNames want{{1, "V1"}, {2, "V2"}, {1001, "ctx-lh x"}};
  write_bytes(dir / "a.tsv", "index\tname\tcolor\n1\tV1\t#fff\n2\tV2\t#000\n1001\tctx-lh x\tn/a\n");
  write_bytes(dir / "b.csv", "name,Label\r\n\"V1\",1\r\nV2,2\r\nctx-lh x,1001\r\n");
  write_bytes(dir / "c.json", R"({"1": "V1", "2": "V2", "1001": "ctx-lh x"})");
  write_bytes(dir / "d.json", R"({"V1": 1, "V2": 2, "ctx-lh x": 1001})");
  write_bytes(dir / "e.json",
              R"([{"index": 1, "name": "V1"}, {"index": 2, "name": "V2"}, {"index": 1001, "name": "ctx-lh x"}])");
  write_bytes(dir / "f.tsv", "1\tV1\n2\tV2\n1001\tctx-lh x\n");
  for (auto name : {"a.tsv", "b.csv", "c.json", "d.json", "e.json", "f.tsv"})
    EXPECT_EQ(read_roi_names(dir / name), want) << name;
  write_bytes(dir / "lut.txt",
              "#No. Label Name: R G B A\n\n0 Unknown 0 0 0 0\n2   Left-Cerebral-White-Matter  245 245 245 0\n");
  EXPECT_EQ(read_roi_names(dir / "lut.txt"), (RoiNames{{0, "Unknown"}, {2, "Left-Cerebral-White-Matter"}}));
  write_bytes(dir / "bad.tsv", "a\tb\n1\tV1\n");
  expect_error([&] { (void)read_roi_names(dir / "bad.tsv"); }, Exit::data,
               "bad.tsv has no columns `index` and `name` in its first line");
  write_bytes(dir / "bad2.tsv", "index\tname\nx\tV1\n");
  expect_error([&] { (void)read_roi_names(dir / "bad2.tsv"); }, Exit::data,
               "bad2.tsv: line 2 has no label number and name");
  write_bytes(dir / "bad.json", "{");
  expect_error([&] { (void)read_roi_names(dir / "bad.json"); }, Exit::data, "bad.json is not valid JSON");
  expect_error([&] { (void)read_roi_names(dir / "none.tsv"); }, Exit::no_input, "cannot be read", true);
}

TEST(BrainRois, LabelsOfTheTargetsOnly) {
  TempDir dir;
  Affine affine{{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}};
  Space space = make_nifti_space({1, 2, 4}, affine, ".nii");
  space.source = "betas.nii";
  write_nifti(dir / "labels.nii", space, std::vector<float>{0, 1, 1, 2, 3, 0, 2, 9}, 1);
  std::vector<std::uint64_t> index{0, 1, 3, 5, 6, 7};
  RoisConfig config;
  config.image = dir / "labels.nii";
  config.names = {{1, "V1"}, {2, "V2"}, {9, "V1"}};
  auto rois = load_rois(config, space, index);
  ASSERT_EQ(rois.size(), 3U);
  EXPECT_EQ(rois[0].name, "V1 (1)");
  EXPECT_EQ(rois[0].targets, (std::vector<std::size_t>{1}));
  EXPECT_EQ(rois[1].name, "V2");
  EXPECT_EQ(rois[1].targets, (std::vector<std::size_t>{2, 4}));
  EXPECT_EQ(rois[2].name, "V1 (9)");
  EXPECT_EQ(load_rois({}, space, index).size(), 0U);

  write_nifti(dir / "half.nii", space, std::vector<float>{0, 1.5, 1, 2, 3, 0, 2, 9}, 1);
  config.image = dir / "half.nii";
  expect_error([&] { (void)load_rois(config, space, index); }, Exit::data,
               "rois: half.nii holds 1.5, which is no label (whole numbers are needed)");
  Space other = make_nifti_space({2, 2, 4}, affine, ".nii");
  write_nifti(dir / "other.nii", other, std::vector<float>(16, 1.0F), 1);
  config.image = dir / "other.nii";
  expect_error([&] { (void)load_rois(config, space, index); }, Exit::data,
               "rois: other.nii is 2×2×4 but betas.nii is 1×2×4; resample the label image first");
  config.image = dir / "labels.nii";
  expect_error([&] { (void)load_rois(config, space, {0}); }, Exit::data,
               "rois: labels.nii has no label on any target; check the label image and the mask");
}

TEST(BrainRois, OfArrays) {
  TempDir dir;
  write_npy(dir / "labels.npy", std::vector<std::int32_t>{1, 1, 0, 4}, {4});
  Space space;
  space.format = "array", space.source = "r.npy", space.shape = {4}, space.extension = ".npy";
  RoisConfig config;
  config.image = dir / "labels.npy";
  auto rois = load_rois(config, space, {0, 1, 2, 3});
  ASSERT_EQ(rois.size(), 2U);
  EXPECT_EQ(rois[1].name, "4");
  EXPECT_EQ(rois[1].targets, (std::vector<std::size_t>{3}));
}

struct Settings {
  RoisConfig rois;
};
void describe(Schema& schema, Settings& s) { schema("rois", s.rois, {.doc = "regions"}); }

RoisConfig parsed(std::filesystem::path const& folder, std::string const& yaml) {
  Settings settings;
  Schema schema;
  describe(schema, settings);
  read_config(schema, {(folder / "c.yaml").string(), yaml, {}});
  return settings.rois;
}

TEST(BrainRois, AsASetting) {
  TempDir dir;
  EXPECT_EQ(parsed(dir.path(), "rois: labels.nii\n").image, dir / "labels.nii");
  auto both = parsed(dir.path(), "rois: {image: a/labels.nii, names: ../n.tsv}\n");
  EXPECT_EQ(both.image, dir / "a/labels.nii");
  EXPECT_EQ(both.names_file, dir.path().parent_path() / "n.tsv");
  auto inlined = parsed(dir.path(), "rois: {image: labels.nii, names: {1: V1, 2: V2}}\n");
  EXPECT_EQ(inlined.names, (RoiNames{{1, "V1"}, {2, "V2"}}));
  expect_error([&] { parsed(dir.path(), "rois:\n  image: a.nii\n  nams: b.tsv\n"); }, Exit::config,
               "did you mean names?", true);
  expect_error([&] { parsed(dir.path(), "rois: {names: b.tsv}\n"); }, Exit::config, "names no image", true);
  expect_error([&] { parsed(dir.path(), "rois: {image: a.nii, names: {x: b}}\n"); }, Exit::config,
               "`x` is not a label number with a name", true);
}

}  // namespace
}  // namespace striate
