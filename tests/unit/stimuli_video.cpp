/// Frames and clips against what the ffmpeg program decodes (tests/golden/make_video.py).
#include <gtest/gtest.h>

#include <cmath>

#include "brain_test.hpp"
#include "striate/stimuli/loader.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

using namespace testing;
namespace fs = std::filesystem;

struct Golden {
  fs::path file;
  std::vector<double> seconds;
  Image sheet;  ///< frames one below the other
  std::size_t height = 0;
  [[nodiscard]] std::size_t frames() const { return seconds.size(); }
  [[nodiscard]] Image frame(std::size_t f) const {
    Image one{.width = sheet.width, .height = height, .rgb = {}};
    auto const bytes = static_cast<std::ptrdiff_t>(3 * one.width * height);
    one.rgb.assign(sheet.rgb.begin() + bytes * static_cast<std::ptrdiff_t>(f),
                   sheet.rgb.begin() + bytes * static_cast<std::ptrdiff_t>(f + 1));
    return one;
  }
};

Golden golden_video(std::string const& name) {
  Golden g;
  auto const json = read_json(golden("video/" + name + ".json"));
  g.file = golden("video/" + json["file"].get<std::string>());
  g.seconds = json["seconds"].get<std::vector<double>>();
  g.sheet = read_image(golden("video/" + name + ".png"));
  g.height = g.sheet.height / g.frames();
  return g;
}

/// Pixel values as they are.
Preprocessing raw(std::size_t height, std::size_t width) {
  Preprocessing how;
  how.height = height, how.width = width, how.scale = 1;
  return how;
}
Preprocessing raw(Golden const& g) { return raw(g.height, g.sheet.width); }

std::vector<float> pixels(Image const& image) {
  std::vector<float> out(3 * image.width * image.height);
  preprocess(image, raw(image.height, image.width), out.data());
  return out;
}

/// Other versions of libswscale round differently.
float worst(std::vector<float> const& a, std::vector<float> const& b) {
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return a.size() == b.size() ? most : 999;
}

std::vector<StimulusRow> frame_rows(Golden const& g, std::vector<std::size_t> const& numbers) {
  std::vector<StimulusRow> rows;
  for (std::size_t const n : numbers) rows.push_back({.file = g.file, .frame = n, .box = {}});
  return rows;
}

std::vector<float> load(StimulusSource const& source, StimulusSource::Reader& reader, std::size_t place) {
  std::size_t size = 1;
  for (std::size_t const extent : source.shape()) size *= extent;
  std::vector<float> out(size);
  reader.load(place, out.data());
  return out;
}

class Videos : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (media_libraries().empty()) GTEST_SKIP() << "built without FFmpeg: no video was read";
  }
};

TEST_P(Videos, EveryFrameEqualsFfmpegs) {
  Golden const g = golden_video(GetParam());
  std::vector<std::size_t> numbers(g.frames());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i + 1;
  auto const source = frame_source(frame_rows(g, numbers), raw(g));
  EXPECT_TRUE(source->check(0, source->size(), 2).empty());
  auto const reader = source->reader();
  for (std::size_t f = 0; f < g.frames(); ++f)
    EXPECT_LE(worst(load(*source, *reader, f), pixels(g.frame(f))), 2) << "frame " << f + 1;
  // Backwards, and with jumps: the same bits.
  for (std::size_t step : {g.frames() - 1, std::size_t{5}, std::size_t{3}})
    for (std::size_t i = 0; i < g.frames(); ++i) {
      std::size_t const f = i * step % g.frames();
      auto const fresh = source->reader();
      EXPECT_EQ(load(*source, *reader, f), load(*source, *fresh, f)) << "frame " << f + 1 << " by steps of " << step;
    }
}

TEST_P(Videos, ClipsTakeFramesByTime) {
  Golden const g = golden_video(GetParam());
  double const last = g.seconds.back();
  auto const on_screen = [&](double t) {
    std::size_t f = 0;
    while (f + 1 < g.frames() && g.seconds[f + 1] <= t + 1e-3) ++f;
    return f;
  };
  for (double const rate : {0.0, 7.0}) {
    InputForm form;
    form.kind = InputForm::Kind::clip, form.frames = 5, form.rate = rate;
    double const from = g.frames() > 6 ? g.seconds[2] : 0, to = g.frames() > 6 ? g.seconds[g.frames() - 2] : last + 9;
    std::vector<StimulusRow> rows{{.file = g.file, .box = {}}, {.file = g.file, .start = from, .box = {}}};
    if (g.frames() > 6) rows.push_back({.file = g.file, .start = from, .end = to, .box = {}});
    auto const source = clip_source(rows, form, raw(g));
    EXPECT_TRUE(source->check(0, rows.size(), 1).empty());
    EXPECT_EQ(source->shape(), (std::vector<std::size_t>{3, 5, g.height, g.sheet.width}));
    auto const reader = source->reader();
    for (std::size_t r = 0; r < rows.size(); ++r) {
      auto const clip = load(*source, *reader, r);
      std::size_t const first = on_screen(rows[r].start), end = r == 2 ? g.frames() - 3 : g.frames() - 1;
      for (std::size_t t = 0; t < 5; ++t) {
        double const time = rate > 0
                                ? rows[r].start + static_cast<double>(t) / rate
                                : g.seconds[first] + (g.seconds[end] - g.seconds[first]) * static_cast<double>(t) / 4;
        auto const want = pixels(g.frame(std::min(on_screen(rate > 0 ? time : time - 0.9e-3), end)));
        std::size_t const plane = g.height * g.sheet.width;
        float most = 0;
        for (std::size_t c = 0; c < 3; ++c)
          for (std::size_t p = 0; p < plane; ++p)
            most = std::max(most, std::abs(clip[(c * 5 + t) * plane + p] - want[c * plane + p]));
        EXPECT_LE(most, 2) << "row " << r << " frame " << t << " rate " << rate;
      }
    }
    form.frame_first = true;
    auto const turned = clip_source(rows, form, raw(g));
    EXPECT_EQ(turned->shape()[0], 5U);
    auto const a = load(*source, *reader, 0), b = load(*turned, *turned->reader(), 0);
    std::size_t const plane = g.height * g.sheet.width;
    EXPECT_TRUE(std::equal(a.begin() + static_cast<std::ptrdiff_t>((2 * 5 + 3) * plane),
                           a.begin() + static_cast<std::ptrdiff_t>((2 * 5 + 4) * plane),
                           b.begin() + static_cast<std::ptrdiff_t>((3 * 3 + 2) * plane)));
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Videos,
                         ::testing::Values("cfr", "opengop", "vfr", "odd444", "bt709", "full", "bframes", "altref",
                                           "motion", "rotated90", "rotated180", "rotated270"),
                         [](auto const& info) { return info.param; });

class Video : public Videos {};

TEST_F(Video, FramesAtARate) {
  StimuliConfig config;
  config.path = golden("video/vfr.mkv"), config.type = "video", config.window = config.step = 0.25;
  StimTable const table = load_stimuli(config);
  EXPECT_EQ(table.ids(), (std::vector<std::string>{"1", "5", "7", "9", "11"}));  // on screen at 0, 0.25, 0.5, 0.75, 1
  EXPECT_EQ(table.column("onset")[3], "0.75");
  EXPECT_EQ(stimulus_rows(table)[1].file, std::filesystem::absolute(config.path).lexically_normal());
  config.window = 0.01;
  expect_error([&] { (void)load_stimuli(config); }, Exit::data, "would show frames twice", true);
}

TEST_F(Video, BoxesAndOtherPreprocessing) {
  Golden const g = golden_video("cfr");
  auto rows = frame_rows(g, {4, 4});
  rows[0].box = CropBox{.left = 5, .top = 3, .right = 25, .bottom = 19};
  Preprocessing how = raw(12, 12);
  how.resize = Preprocessing::Resize::squash, how.resize_height = how.resize_width = 12;
  auto const source = frame_source(rows, how);
  Image cut{.width = 20, .height = 16, .rgb = {}};
  Image const frame = g.frame(3);
  for (std::size_t y = 3; y < 19; ++y)
    cut.rgb.insert(cut.rgb.end(), frame.rgb.begin() + static_cast<std::ptrdiff_t>(3 * (y * frame.width + 5)),
                   frame.rgb.begin() + static_cast<std::ptrdiff_t>(3 * (y * frame.width + 25)));
  std::vector<float> want(3 * 12 * 12);
  preprocess(cut, how, want.data());
  EXPECT_LE(worst(load(*source, *source->reader(), 0), want), 2);
  rows[0].box->right = 49;
  auto const beyond = frame_source(rows, how);
  expect_error([&] { (void)load(*beyond, *beyond->reader(), 0); }, Exit::data,
               g.file.string() + " has 48 × 36 pixels, but its crop box is 5, 3, 49, 19 (left, top, right, bottom)");
}

TEST_F(Video, BadRowsAreFoundBeforehand) {
  Golden const g = golden_video("cfr");
  TempDir dir;
  std::string const whole = bytes_of(g.file);
  write_bytes(dir / "cut.mp4", whole.substr(0, whole.size() / 2));
  write_bytes(dir / "empty.mp4", "");
  write_bytes(dir / "text.mp4", "no video at all, but enough text to be looked at by every demuxer there is");
  auto rows = frame_rows(g, {20, 21, 1, 1, 1, 1});
  rows[2].file = dir / "cut.mp4", rows[3].file = dir / "empty.mp4", rows[4].file = dir / "text.mp4";
  rows[5].file = dir / "none.mp4";
  auto const problems = frame_source(rows, raw(g))->check(0, rows.size(), 2);
  ASSERT_EQ(problems.size(), 5U);
  EXPECT_EQ(problems[0].first, 1U);
  EXPECT_EQ(std::string(problems[0].second.what()), g.file.string() + " has 20 frames, but frame 21 is asked for");
  EXPECT_NE(std::string(problems[1].second.what()).find("cut.mp4 is no video that FFmpeg can read"), std::string::npos);
  EXPECT_EQ(std::string(problems[2].second.what()),
            (dir / "empty.mp4").string() + " is empty; copy or download it again");
  EXPECT_NE(std::string(problems[3].second.what()).find("text.mp4 is no video"), std::string::npos);
  EXPECT_EQ(problems[4].second.code(), Exit::no_input);
  InputForm form;
  form.kind = InputForm::Kind::clip, form.frames = 2;
  std::vector<StimulusRow> clips{{.file = g.file, .start = 0.9, .box = {}},
                                 {.file = g.file, .start = 0.1, .end = 1.2, .box = {}}};
  auto const late = clip_source(clips, form, raw(g))->check(0, 2, 1);
  ASSERT_EQ(late.size(), 2U);
  EXPECT_EQ(std::string(late[0].second.what()),
            g.file.string() + " lasts 0.800 s, but a clip from 0.900 s on is asked for");
  EXPECT_EQ(std::string(late[1].second.what()),
            g.file.string() + " lasts 0.800 s, but a clip up to 1.200 s is asked for");
}

TEST_F(Video, RealOnesInAnyOrder) {
  auto const folder = data_dir() / "video";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << folder << " is not there (set STRIATE_DATA): no real video was decoded";
  for (auto const& [name, frames, size] : {std::tuple("bikes.mp4", 250U, std::pair(272U, 640U)),
                                           {"carphone_pristine.mp4", 120U, {144U, 176U}},
                                           {"mmaction2_demo_arm_wrestling.mp4", 280U, {256U, 340U}}}) {
    std::vector<StimulusRow> rows;
    for (std::size_t f = 1; f <= frames + 1; ++f) rows.push_back({.file = folder / name, .frame = f, .box = {}});
    auto const source = frame_source(rows, raw(size.first, size.second));
    auto const problems = source->check(0, rows.size(), 2);
    ASSERT_EQ(problems.size(), 1U) << name;
    EXPECT_EQ(problems[0].first, frames);
    std::vector<std::vector<float>> in_order;
    auto const forward = source->reader(), jumping = source->reader();
    for (std::size_t f = 0; f < frames; ++f) {
      auto picture = load(*source, *forward, f);
      if (f % 23 == 7) in_order.push_back(std::move(picture));
    }
    for (std::size_t i = 0; i < in_order.size(); ++i) {
      std::size_t const k = i * 5 % in_order.size();
      EXPECT_EQ(load(*source, *jumping, k * 23 + 7), in_order[k]) << name << " frame " << k * 23 + 8;
    }
  }
}

/// The middle of a file is overwritten: a frame is refused, or (where the codec does not notice) always the same.
TEST_F(Video, DamageInTheMiddle) {
  Golden const g = golden_video("cfr");
  TempDir dir;
  std::string bytes = bytes_of(g.file);
  std::size_t const payload = bytes.find("mdat") + 4;
  for (std::size_t i = payload + 1100; i < payload + 1180; ++i) bytes[i] = static_cast<char>(i * 37);
  write_bytes(dir / "cfr.mp4", bytes);
  Golden hurt = g;
  hurt.file = dir / "cfr.mp4";
  std::vector<std::size_t> numbers(g.frames());
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i + 1;
  auto const source = frame_source(frame_rows(hurt, numbers), raw(g));
  auto const reader = source->reader();
  std::size_t refused = 0;
  for (std::size_t f = 0; f < g.frames(); ++f) {
    std::string forward, fresh;
    std::vector<float> a, b;
    try {
      a = load(*source, *reader, f);
    } catch (Error const& error) {
      EXPECT_EQ(error.code(), Exit::data);
      forward = error.what();
    }
    try {
      b = load(*source, *source->reader(), f);
    } catch (Error const& error) {
      fresh = error.what();
    }
    EXPECT_EQ(forward, fresh);
    EXPECT_EQ(a, b);
    if (!forward.empty()) ++refused;
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(refused, g.frames());
  StimulusLoader loader(source, 5, {0, 1, 2, 3}, 2, 2, true);
  std::size_t bad = 0;
  for (std::size_t b = 0; b < 4; ++b) bad += loader.take(b).bad.size();
  EXPECT_EQ(bad, refused);
}

/// The loader hands runs of rows to threads; what they decode does not depend on it.
TEST_F(Video, TheLoaderGivesTheSameFrames) {
  Golden const g = golden_video("opengop");
  std::vector<std::size_t> numbers{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 20, 18, 2};
  auto const source = frame_source(frame_rows(g, numbers), raw(g));
  for (int threads : {1, 2, 5})
    for (std::size_t batch : {1U, 4U, 13U}) {
      std::vector<std::size_t> order((numbers.size() + batch - 1) / batch);
      for (std::size_t b = 0; b < order.size(); ++b) order[b] = b;
      StimulusLoader loader(source, batch, order, threads, 2, false);
      for (std::size_t const b : order) {
        auto const loaded = loader.take(b);
        for (std::size_t r = 0; r < loaded.rows; ++r) {
          auto const want = pixels(g.frame(numbers[b * batch + r] - 1));
          std::vector<float> const got(loaded.pixels.begin() + static_cast<std::ptrdiff_t>(r * want.size()),
                                       loaded.pixels.begin() + static_cast<std::ptrdiff_t>((r + 1) * want.size()));
          EXPECT_LE(worst(got, want), 2);
        }
      }
    }
}

}  // namespace
}  // namespace striate
