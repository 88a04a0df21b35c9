/// Decoders against PIL (tests/golden/make_images.py), and what is said of files that are no pictures.
#include <algorithm>
#include <cstring>
#include <thread>

#include "../../src/stimuli/bytes.hpp"
#include "brain_test.hpp"
#include "striate/base/hash.hpp"
#include "striate/stimuli/image.hpp"
#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

using namespace testing;
namespace fs = std::filesystem;

fs::path picture(std::string const& name) { return golden("images") / name; }

std::string bad(std::string const& content, std::string const& name = "a.jpg") {
  TempDir dir;
  write_bytes(dir / name, content);
  std::string probed = "fine", decoded = "fine";
  auto message = [&](auto&& work) -> std::string {
    try {
      work();
      return "fine";
    } catch (Error const& error) {
      EXPECT_EQ(error.code(), Exit::data) << error.what();
      std::string text = error.what();
      EXPECT_TRUE(text.starts_with((dir / name).string() + " ")) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      return text.substr((dir / name).string().size() + 1);
    }
  };
  probed = message([&] { (void)probe_image(dir / name); });
  decoded = message([&] { (void)read_image(dir / name); });
  if (probed != "fine") EXPECT_EQ(probed, decoded);  // what the cheap check says, decoding says as well
  return decoded;
}

std::string checked(std::string const& content) {
  TempDir dir;
  write_bytes(dir / "a", content);
  std::vector<fs::path> const files{dir / "a"};
  auto const problems = check_images(files, 1);
  return problems.empty() ? "fine" : problems[0].second.what();
}

TEST(StimuliImages, DecodesAsPil) {
  auto const index = read_json(picture("decoded.json"));
  std::string const expected = bytes_of(picture("decoded.bin"));
  ASSERT_GE(index.size(), 50U);
  int largest = 0;
  Image image;  // one for all: its memory is used again
  for (auto const& entry : index) {
    std::string const name = entry["file"];
    ASSERT_NO_THROW(read_image(picture(name), image)) << name;
    EXPECT_EQ(image.width, entry["width"].get<std::size_t>()) << name;
    EXPECT_EQ(image.height, entry["height"].get<std::size_t>()) << name;
    auto const size = probe_image(picture(name));
    EXPECT_TRUE(size.width == image.width && size.height == image.height) << name;
    ASSERT_EQ(image.rgb.size(), entry["bytes"].get<std::size_t>()) << name;
    int worst = 0;
    for (std::size_t i = 0; i < image.rgb.size(); ++i) {
      auto const want = static_cast<unsigned char>(expected[entry["at"].get<std::size_t>() + i]);
      worst = std::max(worst, std::abs(int{image.rgb[i]} - int{want}));
    }
    EXPECT_LE(worst, 1) << name;
    largest = std::max(largest, worst);
  }
  RecordProperty("largest_difference", largest);
  std::printf("%zu pictures, largest difference from PIL: %d of 255\n", index.size(), largest);
}

TEST(StimuliImages, RealPhotographs) {
  fs::path const folder = data_dir() / "images" / "imagenet400";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder << "; set STRIATE_DATA to compare real photographs with PIL";
  int largest = 0, identical = 0;
  double largest_input = 0;
  auto const index = read_json(picture("real.json"));
  Preprocessing how;
  how.resize = Preprocessing::Resize::shorter, how.resize_height = 256, how.crop = Preprocessing::Crop::center;
  how.mean = {0.485, 0.456, 0.406}, how.std = {0.229, 0.224, 0.225};
  std::vector<float> input(3 * 224 * 224);
  for (auto const& entry : index) {
    Image const image = read_image(folder / entry["file"].get<std::string>());
    ASSERT_EQ(image.width, entry["width"].get<std::size_t>());
    std::string const text(reinterpret_cast<char const*>(image.rgb.data()), image.rgb.size());
    identical += sha256(text) == entry["sha256"].get<std::string>() ? 1 : 0;
    preprocess(image, how, input.data());
    for (std::size_t i = 0; i < entry["places"].size(); ++i)
      largest =
          std::max(largest, std::abs(image.rgb[entry["places"][i].get<std::size_t>()] - entry["pixels"][i].get<int>()));
    for (std::size_t i = 0; i < entry["input_places"].size(); ++i)
      largest_input = std::max(largest_input, std::abs(input[entry["input_places"][i].get<std::size_t>()] -
                                                       entry["input"][i].get<double>()));
  }
  EXPECT_GT(index.size(), 4U);
  EXPECT_LE(largest, 1);
  EXPECT_LE(largest_input, 1.01 / 255 / 0.224);
  std::printf("%zu photographs, %d identical; largest difference %d of 255, input %g\n", index.size(), identical,
              largest, largest_input);
}

TEST(StimuliImages, CutAnywhere) {
  // No prefix of a picture is a picture, and already the cheap check refuses it.
  Image image;
  for (auto const* name : {"420.jpg", "progressive.jpg", "cmyk.jpg", "exif_thumbnail.jpg", "filters.png",
                           "palette4_clear.png", "rgb8_interlaced.png", "split.PNG"}) {
    std::string const whole = bytes_of(picture(name));
    auto const* data = reinterpret_cast<std::uint8_t const*>(whole.data());
    for (auto const& decoder : image_decoders()) {
      if (!decoder.claims(data, whole.size())) continue;
      EXPECT_NO_THROW(decoder.decode(data, whole.size(), image)) << name;
      for (std::size_t cut = 8; cut < whole.size(); ++cut) {
        EXPECT_THROW((void)decoder.probe(MemoryBytes(data, cut)), Error) << name << " cut at " << cut;
        EXPECT_THROW(decoder.decode(data, cut, image), Error) << name << " cut at " << cut;
      }
    }
  }
  std::string const whole = bytes_of(picture("420.jpg"));
  EXPECT_EQ(bad(""), "is empty; copy or download it again");
  EXPECT_EQ(bad(whole.substr(0, 200)), "is truncated (it ends in its header); copy or download it again");
  EXPECT_EQ(bad(whole.substr(0, whole.size() - 20)),
            "is truncated (its end-of-image marker is missing); copy or download it again");
  std::string const png = bytes_of(picture("filters.png"));
  EXPECT_EQ(bad(png.substr(0, 20)), "is truncated (it ends in its header); copy or download it again");
  EXPECT_EQ(bad(png.substr(0, png.size() - 3)), "is truncated (its end chunk is missing); copy or download it again");
}

TEST(StimuliImages, DamagedInside) {
  std::string jpeg = bytes_of(picture("444.jpg"));
  std::size_t const scan = jpeg.find("\xFF\xDA") + 14;
  std::string shortened = jpeg;
  shortened.erase(scan + 40, 200);  // passes the cheap check: its ends are whole
  EXPECT_EQ(checked(shortened), "fine");
  EXPECT_NE(bad(shortened).find("is damaged (Corrupt JPEG data: premature end of data segment)"), std::string::npos)
      << bad(shortened);
  std::string longer = jpeg;
  longer.insert(jpeg.size() - 2, "something that no block asks for");
  EXPECT_NE(bad(longer).find("is damaged (Corrupt JPEG data: "), std::string::npos) << bad(longer);
  std::string lost = jpeg;
  lost[lost.find("\xFF\xDB")] = 0;
  EXPECT_NE(bad(lost).find("is damaged (Quantization table 0x00 was not defined)"), std::string::npos) << bad(lost);
  // What is harmless hides no damage: junk in the header none of the scan, padding no intervals that are missing.
  std::string both = shortened;
  both.insert(both.find("\xFF\xDB"), "junk");
  EXPECT_EQ(bad(both), bad(shortened));
  std::string intervals = bytes_of(picture("restart.jpg"));
  std::size_t const second = intervals.find("\xFF\xD1");
  intervals.replace(second, intervals.size() - 2 - second, std::string(50, '\0'));
  EXPECT_NE(bad(intervals).find("is damaged (Corrupt JPEG data: "), std::string::npos) << bad(intervals);
  EXPECT_EQ(bad("\xFF\xD8\xFF\xD9"), "is damaged: it holds a header but no picture");

  std::string png = bytes_of(picture("filters.png"));
  png[png.size() / 2] ^= 1;
  EXPECT_NE(bad(png).find("is damaged (IDAT: "), std::string::npos) << bad(png);
  std::string header = bytes_of(picture("filters.png"));
  header[24] = 3;  // 3 bits a channel
  EXPECT_NE(bad(header).find("is damaged ("), std::string::npos) << bad(header);
  EXPECT_EQ(bad(bytes_of(picture("bad_palette.png"))),
            "is damaged: a pixel has colour 2 of a palette of 2; convert it anew");
}

TEST(StimuliImages, RandomDamage) {
  // Whatever is in a file: a picture of the size that it declares, or an Error. Run under the sanitizers as well.
  std::uint32_t state = 1;
  auto random = [&](std::size_t below) {
    state = state * 1664525U + 1013904223U;
    return static_cast<std::size_t>(std::uint64_t{state} * below >> 32);
  };
  Image image;
  std::size_t refused = 0, taken = 0;
  for (auto const* name : {"420.jpg", "progressive.jpg", "cmyk.jpg", "arithmetic.jpg", "filters.png", "palette2.png",
                           "grey16_interlaced.png"})
    for (int round = 0; round < 150; ++round) {
      std::string bytes = bytes_of(picture(name));
      for (std::size_t hits = 1 + random(4); hits > 0; --hits)
        bytes[random(bytes.size())] = static_cast<char>(random(256));
      auto const* data = reinterpret_cast<std::uint8_t const*>(bytes.data());
      for (auto const& decoder : image_decoders()) {
        if (!decoder.claims(data, bytes.size())) continue;
        try {
          decoder.decode(data, bytes.size(), image);
          ASSERT_EQ(image.rgb.size(), 3 * image.width * image.height);
          ++taken;
        } catch (Error const& error) {
          EXPECT_EQ(error.code(), Exit::data) << error.what();
          ++refused;
        }
      }
    }
  EXPECT_GT(refused, 500U);
  std::printf("%zu refused, %zu decoded\n", refused, taken);
}

/// Writes two bytes, high one first.
void put16(std::string& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<char>(value >> 8), bytes[at + 1] = static_cast<char>(value & 255);
}

TEST(StimuliImages, SizesAndKindsThatAreRefused) {
  std::string jpeg = bytes_of(picture("420.jpg"));
  std::size_t const frame = jpeg.find("\xFF\xC0");
  std::string huge = jpeg;
  put16(huge, frame + 5, 65535), put16(huge, frame + 7, 65535);
  EXPECT_EQ(bad(huge), "has 65535 × 65535 pixels (more than 178956970 are taken for damage); shrink it");
  std::string none = jpeg;
  put16(none, frame + 5, 0);
  EXPECT_EQ(bad(none), "is damaged: its header says 23 × 0 pixels");
  std::string deep = jpeg;
  deep[frame + 4] = 12;
  EXPECT_EQ(bad(deep), "has 12 bits a channel, which neither striate nor PIL reads in a JPEG; convert it to PNG");
  std::string two = jpeg;
  two[frame + 9] = 2;
  EXPECT_EQ(bad(two), "has 2 colour components; a JPEG has 1 (grey), 3 (colour) or 4 (CMYK)");
  std::string lossless = jpeg;
  lossless[frame + 1] = '\xC3';
  EXPECT_NE(bad(lossless).find("is damaged ("), std::string::npos) << bad(lossless);
}

TEST(StimuliImages, OtherFormatsAreNamed) {
  std::string const advice =
      ", which striate does not read; convert it to PNG or JPEG (magick mogrify -format png FILE)";
  EXPECT_EQ(bad("GIF89a......"), "is a GIF" + advice);
  EXPECT_EQ(bad("BM.........."), "is a BMP picture" + advice);
  EXPECT_EQ(bad("RIFF....WEBPVP8 "), "is a WebP picture" + advice);
  EXPECT_EQ(bad(std::string("II*\0....", 8)), "is a TIFF picture" + advice);
  EXPECT_EQ(bad(std::string("MM\0*....", 8)), "is a TIFF picture" + advice);
  EXPECT_EQ(bad("<!DOCTYPE html>"),
            "is a web page or SVG, which striate does not read; the picture itself was not downloaded; fetch it again");
  EXPECT_EQ(bad("version https://git-lfs.github.com/spec/v1\n"),
            "is a Git LFS pointer, which striate does not read; the picture itself was not downloaded; fetch it again");
  EXPECT_EQ(
      bad("hello"),
      "is no JPEG or PNG file, whatever its name says; convert it to PNG or JPEG (magick mogrify -format png FILE)");
  // The name does not matter.
  EXPECT_EQ(bad(bytes_of(picture("rgb8.png")), "a.jpg"), "fine");
  EXPECT_EQ(bad(bytes_of(picture("420.jpg")), "a.png"), "fine");
}

TEST(StimuliImages, FilesThatCannotBeRead) {
  TempDir dir;
  std::string const none = (dir / "none.jpg").string();
  expect_error([&] { (void)read_image(none); }, Exit::no_input,
               none + " does not exist; check the stimulus id and `path=` of the table");
  expect_error([&] { (void)probe_image(none + "/a.jpg"); }, Exit::no_input, "does not exist", true);
  expect_error([&] { (void)read_image(dir.path()); }, Exit::no_input,
               dir.path().string() + " is a folder, not a picture");
  ASSERT_EQ(::system(("mkfifo " + (dir / "pipe").string()).c_str()), 0);
  expect_error([&] { (void)read_image(dir / "pipe"); }, Exit::no_input, "is no regular file, not a picture", true);
  fs::create_symlink("loop", dir / "loop");
  expect_error([&] { (void)read_image(dir / "loop"); }, Exit::no_input, "cannot be read", true);
  if (::geteuid() == 0) return;  // root may read everything
  write_bytes(dir / "locked.jpg", "x");
  fs::permissions(dir / "locked.jpg", fs::perms::none);
  expect_error([&] { (void)read_image(dir / "locked.jpg"); }, Exit::no_input, "Permission denied", true);
}

TEST(StimuliImages, CheckListsWhatIsWrongInOrder) {
  TempDir dir;
  std::vector<fs::path> files;
  for (int i = 0; i < 200; ++i) files.push_back(picture(i % 2 == 0 ? "420.jpg" : "rgb8.png"));
  files[3] = dir / "none.jpg";
  files[150] = dir / "text.jpg";
  files[199] = dir / "cut.jpg";
  write_bytes(dir / "text.jpg", "hello");
  write_bytes(dir / "cut.jpg", bytes_of(picture("420.jpg")).substr(0, 500));
  for (int threads : {1, 4}) {
    auto const problems = check_images(files, threads);
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_EQ(problems[0].first, 3U);
    EXPECT_EQ(problems[0].second.code(), Exit::no_input);
    EXPECT_EQ(problems[1].first, 150U);
    EXPECT_EQ(problems[2].first, 199U);
    EXPECT_EQ(problems[2].second.code(), Exit::data);
  }
  EXPECT_TRUE(check_images({}, 4).empty());
  Preprocessing how;
  how.height = 17, how.width = 23;
  EXPECT_EQ(check_images(files, 2, &how).size(), 3U);
  how.width = 24;
  auto const problems = check_images(std::span(files).first(1), 1, &how);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(std::string(problems[0].second.what()),
            picture("420.jpg").string() +
                " has 23 × 17 pixels but the network takes 24 × 17; set `resize` or `crop` in its card");
}

TEST(StimuliImages, CropBoxes) {
  Preprocessing how;
  how.height = 9, how.width = 7, how.scale = 1;
  StimulusRow row{.file = picture("rgb8.png"), .box = CropBox{.left = 4, .top = 2, .right = 11, .bottom = 11}};
  StimulusRow beyond = row;
  beyond.box = CropBox{.left = 20, .top = 2, .right = 24, .bottom = 11};
  auto const source = image_source(std::vector<StimulusRow>{row, beyond}, how);
  std::vector<float> out(3 * 63);
  source->reader()->load(0, out.data());
  Image const whole = read_image(picture("rgb8.png"));
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t y = 0; y < 9; ++y)
      for (std::size_t x = 0; x < 7; ++x)
        ASSERT_EQ(out[(c * 9 + y) * 7 + x], whole.rgb[3 * ((y + 2) * whole.width + x + 4) + c]);
  auto const problems = source->check(0, 2, 1);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].second.what(), picture("rgb8.png").string() +
                                           " has 23 × 17 pixels, but its crop box is 20, 2, 24, " +
                                           "11 (left, top, right, bottom)");
}

TEST(StimuliImages, ThreadsDoNotDisturbEachOther) {
  std::vector<std::string> const names{"420.jpg", "cmyk.jpg", "progressive.jpg", "rgb8.png", "palette4.png"};
  std::vector<Image> expected;
  for (auto const& name : names) expected.push_back(read_image(picture(name)));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        auto const k = static_cast<std::size_t>(i + t) % names.size();
        if (read_image(picture(names[k])).rgb != expected[k].rgb) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace striate
