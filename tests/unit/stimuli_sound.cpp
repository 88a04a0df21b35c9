/// Sounds against definitions in float64 (tests/golden/make_sound.py), and against YAMNet's own spectrogram.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "brain_test.hpp"
#include "striate/brain/npy.hpp"
#include "striate/stimuli/loader.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

using namespace testing;

std::filesystem::path sound(std::string const& name) { return golden("sound/" + name); }
nlohmann::json known(std::string const& name) { return read_json(sound("sound.json"))[name]; }

InputForm waveform(double rate, std::size_t samples) {
  InputForm form;
  form.kind = InputForm::Kind::audio, form.rate = rate, form.samples = samples;
  return form;
}

InputForm spectrogram(double rate, MelForm const& mel) {
  InputForm form;
  form.kind = InputForm::Kind::mel, form.rate = rate, form.mel = mel, form.samples = mel.samples();
  form.frame_first = form.channel_axis = true;
  return form;
}

std::vector<float> load(StimulusSource const& source, std::size_t place = 0) {
  std::size_t size = 1;
  for (std::size_t const extent : source.shape()) size *= extent;
  std::vector<float> out(size);
  source.reader()->load(place, out.data());
  return out;
}
std::vector<float> load(std::filesystem::path const& file, InputForm const& form) {
  return load(*sound_source({{.file = file, .box = {}}}, form));
}

/// `golden` keeps every 37th value of (h, w), here transposed where `turned`.
void expect_golden(std::vector<float> const& got, nlohmann::json const& want, double tolerance, bool turned = false) {
  auto const values = want["every37"].get<std::vector<double>>();
  auto const shape = want["shape"].get<std::vector<std::size_t>>();
  std::size_t const width = shape.size() > 1 ? shape[1] : 1, height = shape[0];
  ASSERT_EQ(got.size(), width * height);
  double sum = 0, worst = 0;
  for (float const v : got) sum += static_cast<double>(v);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::size_t const at = i * 37, place = turned ? at % width * height + at / width : at;
    worst = std::max(worst, std::abs(static_cast<double>(got[place]) - values[i]));
  }
  EXPECT_LE(worst, tolerance);
  EXPECT_NEAR(sum, want["sum"].get<double>(), tolerance * static_cast<double>(got.size()));
}

class Sound : public ::testing::Test {
 protected:
  void SetUp() override {
    if (media_libraries().empty()) GTEST_SKIP() << "built without FFmpeg: no sound was read";
  }
};

TEST_F(Sound, SamplesOfEveryFormat) {
  for (auto const* name : {"mono8k.wav", "mono8k.flac", "stereo11k.wav", "bytes8k.wav", "wide8k.wav"}) {
    auto const want = known(name);
    double const rate = std::string(name).starts_with("stereo") ? 11025 : 8000;
    expect_golden(load(sound(name), waveform(rate, want["shape"][0])), want, 3e-8);
  }
  // Lossy decoders of another version may round differently.
  for (auto const* name : {"mono8k.mp3", "mono8k.m4a"}) {
    auto const want = known(name);
    expect_golden(load(sound(name), waveform(8000, want["shape"][0])), want, 2e-4);
  }
}

TEST_F(Sound, SoundTracksOfVideos) {
  StimTable table;
  table.file = "t.stim.csv", table.type = "video_clip", table.folder = golden("sound");
  table.columns = {"stimID"}, table.values = {{"talkie.mkv"}};
  auto const form = waveform(8000, 400);
  EXPECT_EQ(load(*stimulus_source(table, form, {})), load(sound("wide8k.wav"), form));
}

TEST_F(Sound, Resampling) {
  for (auto const& [file, from, to] : {std::tuple("mono8k.wav", 8000, 16000),
                                       {"mono8k.wav", 8000, 5000},
                                       {"stereo11k.wav", 11025, 16000},
                                       {"stereo11k.wav", 11025, 44099}}) {
    std::string const name = std::string(file).substr(0, file[0] == 'm' ? 4 : 6);
    auto const want = known(fmt::format("{} {} to {}", name, from, to));
    expect_golden(load(sound(file), waveform(to, want["shape"][0])), want, 1e-7);
  }
}

TEST_F(Sound, SpectrogramsByDefinition) {
  std::vector<StimulusRow> const start{{.file = sound("mono8k.wav"), .end = 0.975, .box = {}}};
  auto long_one = spectrogram(16000, vggish_mel());
  expect_golden(load(*sound_source(start, long_one)), known("vggish"), 3e-5);
  MelForm mel;
  mel.n_fft = mel.window = 512, mel.hop = 128, mel.mels = 40, mel.frames = 32, mel.fmin = 0, mel.fmax = 4000;
  mel.center = true, mel.log = MelForm::Log::none, mel.floor = 0;
  auto form = spectrogram(8000, mel);
  form.samples = 4001;
  std::vector<StimulusRow> const rows{{.file = sound("mono8k.wav"), .end = 4001.0 / 8000, .box = {}}};
  expect_golden(load(*sound_source(rows, form)), known("librosa"), 1e-4, true);
  form.frame_first = false;
  expect_golden(load(*sound_source(rows, form)), known("librosa"), 1e-4);
  form.mel.log = MelForm::Log::decibel, form.mel.floor = 1e-10, form.mel.range = 30;
  expect_golden(load(*sound_source(rows, form)), known("librosa db"), 1e-5);
  mel.n_fft = 400, mel.window = 301, mel.hop = 100, mel.mels = 23, mel.frames = 41, mel.fmin = 60, mel.fmax = 3800;
  mel.scale = MelForm::Scale::htk, mel.area_norm = false, mel.power = 1, mel.reflect = true;
  mel.log = MelForm::Log::log10, mel.offset = 1e-3;
  form.mel = mel;
  expect_golden(load(*sound_source(rows, form)), known("librosa htk"), 2e-6);
}

/// A part of a file is what that part of the whole would be, in whatever order parts are taken.
TEST_F(Sound, PartsOfAFile) {
  for (auto const* name : {"mono8k.wav", "mono8k.mp3"}) {
    auto const all = load(sound(name), waveform(16000, 16640));
    std::vector<StimulusRow> rows;
    for (double const start : {0.0, 0.3, 0.1, 0.5, 0.93})
      rows.push_back({.file = sound(name), .start = start, .end = start + 0.1, .box = {}});
    auto const source = sound_source(rows, waveform(16000, 1600));
    auto const reader = source->reader();
    for (std::size_t i : {0U, 1U, 2U, 3U, 4U, 0U}) {
      std::vector<float> part(1600);
      reader->load(i, part.data());
      auto const from = static_cast<std::ptrdiff_t>(std::llround(rows[i].start * 16000));
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + from)) << name << " from " << rows[i].start;
      EXPECT_EQ(part, load(*source, i));
    }
  }
}

TEST_F(Sound, ShortOnesAreFollowedByZerosAndLongOnesRefused) {
  auto const padded = load(sound("bytes8k.wav"), waveform(8000, 500));
  EXPECT_NE(padded[399], 0);
  for (std::size_t i = 400; i < 500; ++i) EXPECT_EQ(padded[i], 0);
  auto const form = waveform(8000, 5000);
  std::string const file = sound("mono8k.wav").string();
  std::string const message =
      file +
      " has 1.040 s of sound from 0.000 s on, but the network takes 0.625 s; cut it into windows "
      "(stimuli: {table: FILE, window: {length: 0.625, step: 0.625}}), or give columns start and end";
  expect_error([&] { (void)load(file, form); }, Exit::data, message);
  auto const problems = sound_source({{.file = file, .box = {}}}, form)->check(0, 1, 1);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].second.what(), message);
  // 10 ms more is rounding.
  EXPECT_EQ(load(file, waveform(8000, 8260)).size(), 8260U);
  std::vector<StimulusRow> const late{{.file = file, .start = 2, .box = {}}};
  expect_error([&] { (void)load(*sound_source(late, form)); }, Exit::data,
               file + " lasts 1.040 s, but sound from 2.000 s on is asked for");
  auto normal = waveform(8000, 8320);
  normal.normalise = true;
  auto const even = load(file, normal);
  double sum = 0, squares = 0;
  for (float const x : even) sum += static_cast<double>(x), squares += static_cast<double>(x) * static_cast<double>(x);
  EXPECT_NEAR(sum / 8320, 0, 1e-6);
  EXPECT_NEAR(squares / 8320, 1, 1e-4);
}

TEST_F(Sound, BadFilesAreFoundBeforehand) {
  TempDir dir;
  std::string const whole = bytes_of(sound("mono8k.wav")), mp3 = bytes_of(sound("mono8k.mp3"));
  write_bytes(dir / "cut.wav", whole.substr(0, whole.size() - 2000));
  write_bytes(dir / "text.wav", "hello, this is no sound at all");
  write_bytes(dir / "empty.wav", "");
  std::vector<StimulusRow> rows;
  for (auto const* name : {"cut.wav", "text.wav", "empty.wav", "none.wav"})
    rows.push_back({.file = dir / name, .box = {}});
  rows.push_back({.file = golden("video/cfr.mp4"), .box = {}});
  rows.push_back({.file = sound("mono8k.mp3"), .box = {}});
  auto const problems = sound_source(rows, waveform(8000, 8400))->check(0, rows.size(), 2);
  ASSERT_EQ(problems.size(), 5U);
  EXPECT_EQ(
      std::string(problems[0].second.what()),
      (dir / "cut.wav").string() +
          " is truncated (its header promises 16640 bytes of sound, and 14640 are there); copy or download it again");
  EXPECT_NE(std::string(problems[1].second.what()).find("is no sound that FFmpeg can read"), std::string::npos);
  EXPECT_EQ(std::string(problems[2].second.what()),
            (dir / "empty.wav").string() + " is empty; copy or download it again");
  EXPECT_EQ(problems[3].second.code(), Exit::no_input);
  EXPECT_EQ(std::string(problems[4].second.what()), golden("video/cfr.mp4").string() + " holds no sound");
  // Damage in the middle of what is packed.
  std::string hurt = bytes_of(sound("mono8k.flac"));
  for (std::size_t i = hurt.size() / 2; i < hurt.size() / 2 + 64; ++i) hurt[i] = static_cast<char>(i * 29);
  write_bytes(dir / "hurt.flac", hurt);
  EXPECT_THROW((void)load(dir / "hurt.flac", waveform(8000, 8320)), Error);
  write_bytes(dir / "half.flac", bytes_of(sound("mono8k.flac")).substr(0, hurt.size() / 2));
  EXPECT_THROW((void)load(dir / "half.flac", waveform(8000, 8320)), Error);
}

TEST_F(Sound, WindowsOfAFile) {
  StimTable table;
  table.file = "t.stim.csv", table.type = "audio", table.folder = golden("sound");
  table.columns = {"stimID", "label", "onset", "duration"};
  table.values = {{"mono8k.wav", "stereo11k.wav"}, {"a", "b"}, {"10", "20.5"}, {"1.04", "0.2"}};
  auto const cut = cut_into_windows(table, 0.2, 0.1);
  EXPECT_EQ(cut.columns, (std::vector<std::string>{"stimID", "label", "onset", "duration", "file", "start", "end"}));
  ASSERT_EQ(cut.rows(), 10U);
  EXPECT_EQ(cut.ids()[8], "mono8k.wav#9");
  EXPECT_EQ(cut.ids()[9], "stereo11k.wav#1");
  EXPECT_EQ(cut.column("onset")[8], "10.8");
  EXPECT_EQ(cut.column("duration")[8], "0.2");
  EXPECT_EQ(cut.column("start")[3], "0.3");
  EXPECT_EQ(cut.column("end")[3], "0.5");
  EXPECT_EQ(stimulus_rows(cut)[3].file, golden("sound/mono8k.wav"));
  auto const all = load(sound("mono8k.wav"), waveform(8000, 8320));
  auto const third = load(*sound_source(stimulus_rows(cut), waveform(8000, 1600)), 3);
  EXPECT_TRUE(std::equal(third.begin(), third.end(), all.begin() + 2400));
  expect_error([&] { (void)cut_into_windows(table, 0.5, 0.5); }, Exit::data,
               "t.stim.csv: row 2 (stereo11k.wav) lasts 0.200 s, which is shorter than a window of 0.5 s");
}

/// VGGish's examples, 0.96 s apart, are windows of 0.975 s: the last of their 96 frames reaches 15 ms into the next.
TEST_F(Sound, YamnetsOwnSpectrogram) {
  auto const folder = data_dir() / "audio" / "env";
  if (!std::filesystem::exists(folder / "speech_whistling2.wav"))
    GTEST_SKIP() << folder << " is not there (set STRIATE_DATA): no reference spectrogram was compared";
  NpyFile const reference(folder / "speech_whistling2.npy");
  MelForm mel = vggish_mel();
  mel.offset = 0.001, mel.frames = 480;
  auto form = spectrogram(16000, mel);
  form.samples = 78720;
  auto const got = load(folder / "speech_whistling2.wav", form);
  std::vector<float> want(480 * 64);
  reference.read(0, std::span(want));
  float worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(got[i] - want[i]));
  EXPECT_LE(worst, 2e-3F);
}

}  // namespace
}  // namespace striate
