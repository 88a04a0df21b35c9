/// Resizing against PIL, networks' inputs against torchvision (tests/golden/make_images.py).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "../../src/stimuli/resample_kernels.hpp"
#include "brain_test.hpp"
#include "striate/stimuli/image.hpp"

namespace striate {
namespace {

using namespace testing;

Image picture(std::string const& name) { return read_image(golden("images") / name); }

TEST(StimuliPreprocess, ResizesAsPil) {
  auto const index = read_json(golden("images/resized.json"));
  std::string const expected = bytes_of(golden("images/resized.bin"));
  ASSERT_GE(index.size(), 100U);
  std::map<std::string, int> largest;
  for (auto const& entry : index) {
    std::string const mode = entry["mode"];
    Image const image = resize_image(picture(entry["file"]), entry["height"], entry["width"], mode);
    ASSERT_EQ(image.rgb.size(), entry["bytes"].get<std::size_t>()) << entry.dump();
    int worst = 0;
    for (std::size_t i = 0; i < image.rgb.size(); ++i)
      worst = std::max(worst, std::abs(int{image.rgb[i]} -
                                       int{static_cast<unsigned char>(expected[entry["at"].get<std::size_t>() + i])}));
    EXPECT_LE(worst, 1) << entry.dump();
    largest[mode] = std::max(largest[mode], worst);
  }
  EXPECT_EQ(largest.size(), resize_modes().size());
  for (auto const& [mode, worst] : largest)
    std::printf("%s: largest difference from PIL %d of 255\n", mode.c_str(), worst);
}

Preprocessing read_how(nlohmann::json const& entry) {
  Preprocessing how;
  if (entry["resize"].is_number()) how.resize = Preprocessing::Resize::shorter, how.resize_height = entry["resize"];
  if (entry["resize"].is_array()) {
    how.resize = Preprocessing::Resize::squash;
    how.resize_height = entry["resize"][0], how.resize_width = entry["resize"][1];
  }
  if (entry["crop"] == "center") how.crop = Preprocessing::Crop::center;
  if (entry["crop"] == "7/8") how.crop = Preprocessing::Crop::seven_eighths;
  how.height = entry["size"][0], how.width = entry["size"][1];
  how.mode = entry["mode"];
  how.grey = entry["channels"] == "grey", how.bgr = entry["channels"] == "bgr";
  how.scale = entry["scale"];
  how.mean = entry["mean"].get<std::vector<double>>(), how.std = entry["std"].get<std::vector<double>>();
  return how;
}

TEST(StimuliPreprocess, InputsAsTorchvision) {
  auto const index = read_json(golden("images/inputs.json"));
  std::string const expected = bytes_of(golden("images/inputs.bin"));
  ASSERT_GE(index.size(), 30U);
  double largest = 0;
  std::size_t identical = 0;
  for (auto const& entry : index) {
    Preprocessing const how = read_how(entry);
    std::vector<float> out(how.channels() * how.height * how.width, -1e30F), want(out.size());
    ASSERT_EQ(out.size() * sizeof(float), entry["bytes"].get<std::size_t>());
    std::memcpy(want.data(), expected.data() + entry["at"].get<std::size_t>(), out.size() * sizeof(float));
    preprocess(picture(entry["file"]), how, out.data());
    identical += out == want ? 1 : 0;
    double worst = 0;  // in levels of 255
    for (std::size_t i = 0; i < out.size(); ++i)
      worst = std::max(worst,
                       std::abs(double{out[i]} - double{want[i]}) * how.std[i / (how.height * how.width)] / how.scale);
    EXPECT_LE(worst, 1) << entry.dump();
    largest = std::max(largest, worst);
  }
  std::printf("%zu inputs, %zu bit-identical to torchvision's; largest difference %g levels of 255\n", index.size(),
              identical, largest);
}

TEST(StimuliPreprocess, SizesThatDoNotFit) {
  Image const image = picture("wide.png");  // 61 × 45
  Preprocessing how;
  how.height = 20, how.width = 24;
  std::vector<float> out(3 * 20 * 24);
  expect_error([&] { preprocess(image, how, out.data()); }, Exit::data,
               "has 61 × 45 pixels but the network takes 24 × 20; set `resize` or `crop` in its card");
  how.resize = Preprocessing::Resize::shorter, how.resize_height = 20;
  expect_error([&] { preprocess(image, how, out.data()); }, Exit::data,
               "has 61 × 45 pixels, resized 27 × 20, but the network takes 24 × 20; set `crop: center` in its card");
  how.mode = "bilinaer";
  how.crop = Preprocessing::Crop::center;
  expect_error([&] { preprocess(image, how, out.data()); }, Exit::config,
               "`bilinaer` is no resize mode; did you mean bilinear?");
  expect_error([&] { (void)resize_image(image, 0, 3, "bilinear"); }, Exit::config,
               "a picture cannot be resized to 3 × 0 pixels");
}

TEST(StimuliPreprocess, AnyWindowEqualsTheWholeCut) {
  // Only what survives the crop is computed; it must be what cutting afterwards gives.
  Image const image = picture("wide.png");
  for (auto const& mode : resize_modes())
    for (std::size_t shorter : {5U, 22U, 45U, 100U}) {
      Image const whole = resize_image(image, shorter, shorter * 61 / 45, mode);
      Preprocessing how;
      how.resize = Preprocessing::Resize::shorter, how.resize_height = shorter, how.mode = mode;
      how.crop = Preprocessing::Crop::center, how.height = 5, how.width = 4;
      how.scale = 1;
      std::vector<float> out(3 * 5 * 4);
      preprocess(image, how, out.data());
      auto const top = static_cast<std::size_t>(std::nearbyint(static_cast<double>(shorter - 5) / 2));
      auto const left = static_cast<std::size_t>(std::nearbyint(static_cast<double>(whole.width - 4) / 2));
      for (std::size_t y = 0; y < 5; ++y)
        for (std::size_t x = 0; x < 4; ++x)
          for (std::size_t c = 0; c < 3; ++c)
            ASSERT_EQ(out[(c * 5 + y) * 4 + x], whole.rgb[((top + y) * whole.width + left + x) * 3 + c])
                << mode << " " << shorter;
    }
}

TEST(StimuliPreprocess, GreyOfAGreyPictureKeepsItsLevels) {
  Image const image = picture("grey8.png");
  Preprocessing how;
  how.height = image.height, how.width = image.width, how.grey = true, how.scale = 1;
  std::vector<float> out(image.width * image.height);
  preprocess(image, how, out.data());
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], image.rgb[3 * i]);
}

#if defined(__SSE2__)
TEST(StimuliPreprocess, PortableKernelsGiveTheSameBytes) {
  Image const image = picture("wide.png");
  constexpr std::size_t rows = 6;
  std::vector<std::int32_t> const high{0x7FF, 0x00010400, -3}, low{0x3A5 << 16 | 0x7FF, 0x11, 0x7FF0000};
  std::vector<std::uint8_t const*> from;
  for (std::size_t r = 0; r < rows; ++r) from.push_back(image.rgb.data() + r * 3 * image.width);
  for (std::size_t bytes : {1U, 15U, 16U, 17U, 40U, 183U}) {
    std::vector<std::uint8_t> a(bytes), b(bytes);
    kernels::down(from.data(), high.data(), low.data(), 3, bytes, a.data());
    kernels::down_portable(from.data(), high.data(), low.data(), 3, bytes, b.data());
    EXPECT_EQ(a, b) << bytes;
  }
  Taps taps;
  taps.pairs = 3;
  for (std::size_t i = 0; i < 50; ++i) {
    taps.first.push_back(i), taps.used.push_back(static_cast<std::int32_t>(1 + i % 3));
    taps.high.insert(taps.high.end(), high.begin(), high.end());
    taps.low.insert(taps.low.end(), low.begin(), low.end());
  }
  std::vector<std::uint8_t> four(4 * 160), one(160);
  kernels::across_rgb<4>(image.rgb.data(), 3 * image.width, taps, 50, four.data(), 160);
  for (std::size_t r = 0; r < 4; ++r) {
    kernels::across_portable(from[r], taps, 50, 3, one.data());
    EXPECT_TRUE(std::equal(one.begin(), one.begin() + 150, four.begin() + static_cast<std::ptrdiff_t>(160 * r))) << r;
  }
}
#endif

TEST(StimuliPreprocess, Json) {
  Preprocessing how;
  how.resize = Preprocessing::Resize::shorter, how.resize_height = 256, how.crop = Preprocessing::Crop::center;
  how.scale = 1, how.bgr = true;
  EXPECT_EQ(to_json(how).dump(),
            R"({"size":[224,224],"channels":"bgr","resize":256,"mode":"bilinear","crop":"center","scale":1.0,)"
            R"("mean":[0.0,0.0,0.0],"std":[1.0,1.0,1.0]})");
  how.resize = Preprocessing::Resize::squash, how.resize_width = 200, how.crop = Preprocessing::Crop::seven_eighths;
  how.grey = true;
  EXPECT_EQ(to_json(how).dump(),
            R"({"size":[224,224],"channels":"grey","resize":[256,200],"mode":"bilinear","crop":"7/8","scale":1.0,)"
            R"("mean":[0.0],"std":[1.0]})");
}

}  // namespace
}  // namespace striate
