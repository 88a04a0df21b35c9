/// Maps written back: what nibabel and striate itself find in them.
#include <cstring>
#include <numeric>

#include "brain_test.hpp"
#include "striate/brain/maps.hpp"
#include "striate/brain/nifti.hpp"

namespace striate {
namespace {

using namespace testing;

TEST(BrainNiftiWrite, KeepsTheSpaceOfTheInput) {
  TempDir dir;
  for (auto name : {"int16.nii", "scaled_big.nii.gz", "two_int16.nii.gz", "two_big.nii", "qform_only.nii",
                    "sform_only.nii", "no_form.nii", "pair.hdr", "five.nii"}) {
    auto input = open_image(golden(std::string("nifti/") + name));
    Space const& space = input->space();
    std::vector<std::uint64_t> index{0, 7, 30, 59};
    std::vector<double> values{1.5, std::nan(""), -3.25, 1e-3};
    auto path = write_map(space, index, values, map_stem(dir.path(), "net/conv1", "pearson"));
    EXPECT_EQ(path, dir.path() / "maps" / ("layer-net-conv1_stat-pearson" + space.extension)) << name;
    EXPECT_EQ(space.extension, std::string(name).ends_with(".gz") ? ".nii.gz" : ".nii");
    auto back = open_image(path);
    EXPECT_EQ(back->space().shape, space.shape) << name;
    EXPECT_EQ(back->space().oriented, space.oriented) << name;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 4; ++j) EXPECT_NEAR(back->space().affine[i][j], space.affine[i][j], 1e-12) << name;
    auto before = nifti_info(golden(std::string("nifti/") + name)), after = nifti_info(path);
    EXPECT_EQ(after.dtype, "float32");
    EXPECT_EQ(after.slope, 1);
    EXPECT_EQ(after.version, before.version) << name;
    EXPECT_EQ(after.sform_code, before.sform_code) << name;
    EXPECT_EQ(after.qform_code, before.qform_code) << name;
    auto map = nifti_volume(path, 0);
    for (std::size_t i = 0; i < map.size(); ++i) {
      auto at = std::find(index.begin(), index.end(), i);
      double want = at == index.end() ? 0 : static_cast<float>(values[static_cast<std::size_t>(at - index.begin())]);
      if (std::isnan(want))
        EXPECT_TRUE(std::isnan(map[i]));
      else
        EXPECT_EQ(map[i], want) << name << " " << i;
    }
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path() / "maps"), {}), 1) << "temporary file left";
    std::filesystem::remove_all(dir.path() / "maps");
  }
}

TEST(BrainNiftiWrite, NibabelReadsWhatWasWritten) {
  if (!python_has("numpy, nibabel")) GTEST_SKIP() << "NIBABEL NOT CHECKED: /usr/bin/python3 cannot import nibabel";
  TempDir dir;
  auto script = dir / "check.py";
  write_bytes(script, R"(
import sys, numpy as np, nibabel as nib
def check(src, out):
  src, out = nib.load(src), nib.load(out)
  assert type(src).__name__.replace('Pair', 'Image') == type(out).__name__, (type(src), type(out))
  assert np.allclose(src.affine, out.affine, atol=1e-6), (src.affine, out.affine)
  for form in 'get_sform', 'get_qform':
      a, b = getattr(src, form)(coded=True), getattr(out, form)(coded=True)
      assert a[1] == b[1] and (a[0] is None or np.allclose(a[0], b[0], atol=1e-5)), (form, a, b)
  assert out.get_data_dtype() == np.float32
  assert out.header.get_slope_inter() == (None, None) or out.header.get_slope_inter() == (1, 0)
  assert np.allclose(src.header.get_zooms()[:3], out.header.get_zooms()[:3])
  assert src.header.get_xyzt_units() == out.header.get_xyzt_units()
  data = out.get_fdata()
  assert data.shape == src.shape[:3] + (3,), data.shape
  want = np.arange(data[..., 0].size, dtype=np.float32).reshape(data.shape[:3])
  for k in range(3):
      assert np.array_equal(data[..., k], want + 1000 * k), k
for i in range(1, len(sys.argv), 2):
  check(*sys.argv[i:i+2])
)");
  std::vector<std::filesystem::path> inputs;
  for (auto name : {"int16.nii", "scaled_big.nii.gz", "two_int16.nii.gz", "two_big.nii", "qform_only.nii",
                    "sform_only.nii", "no_form.nii", "pair.hdr"})
    inputs.push_back(golden(std::string("nifti/") + name));
  if (std::filesystem::exists(data_dir() / "brain" / "formats"))
    for (auto name : {"functional.nii", "anatomical.nii", "neurovault_image_10426.nii.gz", "example_nifti2.nii.gz"})
      inputs.push_back(data_dir() / "brain" / "formats" / name);
  std::string command = "/usr/bin/python3 " + script.string();
  for (auto const& input : inputs) {
    auto space = open_image(input)->space();
    auto path = dir / ("out-" + input.filename().string() + space.extension);
    NiftiWriter writer(path, space, 3);
    std::vector<float> values(space.size());
    for (int k = 0; k < 3; ++k) {
      std::iota(values.begin(), values.end(), 1000.0F * static_cast<float>(k));
      writer.add(values);
    }
    EXPECT_FALSE(std::filesystem::exists(path)) << "visible before it is whole";
    writer.finish();
    command += " " + input.string() + " " + path.string();
  }
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(BrainNiftiWrite, ANewSpaceHasEqualForms) {
  TempDir dir;
  Affine affine{{{-2, 0, 0, 10}, {0, 2, 0, -20}, {0, 0, 2, 30}}};
  Space space = make_nifti_space({2, 3, 4}, affine, ".nii");
  write_nifti(dir / "a.nii", space, std::vector<float>(24, 1.0F), 1);
  auto back = open_image(dir / "a.nii")->space();
  EXPECT_EQ(back.affine, affine);
  auto info = nifti_info(dir / "a.nii");
  EXPECT_EQ(info.sform_code, 1);
  EXPECT_EQ(info.qform_code, 1);
  EXPECT_EQ(info.dims, (std::vector<std::int64_t>{2, 3, 4}));
}

TEST(BrainNiftiWrite, ManyVolumesBecomeNifti2) {
  TempDir dir;
  Space space = make_nifti_space({1, 1, 2}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}}, ".nii");
  std::size_t volumes = 40000;
  NiftiWriter writer(dir / "long.nii", space, volumes);
  for (std::size_t v = 0; v < volumes; ++v) writer.add(std::vector<float>{1.0F, static_cast<float>(v)});
  writer.finish();
  EXPECT_EQ(nifti_info(dir / "long.nii").version, 2);
  EXPECT_EQ(open_image(dir / "long.nii")->volumes(), volumes);
  EXPECT_EQ(nifti_volume(dir / "long.nii", volumes - 1)[1], 39999);
}

template <class T>
T field(std::string const& header, std::size_t at) {
  T value;
  std::memcpy(&value, header.data() + at, sizeof value);
  return value;
}
template <class T>
void set_field(std::string& header, std::size_t at, T value) {
  std::memcpy(header.data() + at, &value, sizeof value);
}

TEST(BrainNiftiWrite, KeepsTheIntentUnlessItIsAStatistic) {
  TempDir dir;
  struct Case {
    int code;
    bool kept;
  };
  for (Case const c : {Case{0, true}, {2, false}, {3, false}, {5, false}, {24, false}, {1001, true}, {2001, true}}) {
    // NIfTI-1, by way of a file: code at 68, parameters at 56, name at 328.
    std::string bytes = bytes_of(golden("nifti/int16.nii"));
    set_field(bytes, 68, static_cast<std::int16_t>(c.code)), set_field(bytes, 56, 7.5F), set_field(bytes, 64, 2.5F);
    bytes.replace(328, 4, "what");
    write_bytes(dir / "in.nii", bytes);
    Space space = open_image(dir / "in.nii")->space();
    write_nifti(dir / "one.nii", space, std::vector<float>(space.size(), 1.0F), 1);
    std::string const one = bytes_of(dir / "one.nii");
    EXPECT_EQ(field<std::int16_t>(one, 68), c.kept ? c.code : 0) << c.code;
    EXPECT_EQ(field<float>(one, 56), c.kept ? 7.5F : 0) << c.code;
    EXPECT_EQ(field<float>(one, 64), c.kept ? 2.5F : 0) << c.code;
    EXPECT_EQ(one.substr(328, 5), std::string(c.kept ? "what\0" : "\0\0\0\0\0", 5)) << c.code;
    // NIfTI-2, to which many volumes lead: code at 504, parameters at 80, name at 508.
    Space small = make_nifti_space({1, 1, 1}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}}, ".nii");
    set_field(small.header, 68, static_cast<std::int16_t>(c.code)), set_field(small.header, 56, 7.5F);
    small.header.replace(328, 4, "what");
    write_nifti(dir / "two.nii", small, std::vector<float>(40000, 1.0F), 40000);
    std::string const two = bytes_of(dir / "two.nii");
    EXPECT_EQ(field<std::int32_t>(two, 504), c.kept ? c.code : 0) << c.code;
    EXPECT_EQ(field<double>(two, 80), c.kept ? 7.5 : 0) << c.code;
    EXPECT_EQ(two.substr(508, 5), std::string(c.kept ? "what\0" : "\0\0\0\0\0", 5)) << c.code;
  }
}

TEST(BrainNiftiWrite, SameValuesSameBytes) {
  TempDir dir;
  Space space = make_nifti_space({4, 4, 4}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}});
  std::vector<float> values(64, 0.5F);
  write_nifti(dir / "a.nii.gz", space, values, 1);
  write_nifti(dir / "b.nii.gz", space, values, 1);
  EXPECT_EQ(bytes_of(dir / "a.nii.gz"), bytes_of(dir / "b.nii.gz"));
}

TEST(BrainNiftiWrite, AFullDiskIsAnIoError) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  Space space = make_nifti_space({64, 64, 64}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}}, ".nii");
  TempDir dir;
  // The temporary file is replaced by a link to the device that is always full.
  auto target = dir / "map.nii";
  auto temp = dir / (".tmp-" + std::to_string(::getpid()) + "-map.nii");
  std::filesystem::create_symlink("/dev/full", temp);
  expect_error([&] { write_nifti(target, space, std::vector<float>(space.size(), 1.0F), 1); }, Exit::io,
               target.string() + " could not be written whole (No space left on device); free space and run again");
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST(BrainNiftiWrite, AnUnwritableFolderCannotBeCreatedIn) {
  TempDir dir;
  write_bytes(dir / "file", "x");
  Space space = make_nifti_space({2, 2, 2}, {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}}, ".nii");
  expect_error([&] { write_nifti(dir / "file" / "map.nii", space, std::vector<float>(8), 1); }, Exit::cant_create,
               "map.nii cannot be written", true);
}

TEST(BrainMaps, FileSafeNames) {
  EXPECT_EQ(file_safe("net/conv1"), "net-conv1");
  EXPECT_EQ(file_safe("features.3#1"), "features.3#1");
  EXPECT_EQ(file_safe("../a b"), "-.-a-b");
  EXPECT_EQ(file_safe_names({"a/b", "a-b", "a b", "c"}), (std::vector<std::string>{"a-b", "a-b-2", "a-b-3", "c"}));
}

}  // namespace
}  // namespace striate
