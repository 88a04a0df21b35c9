// Video and sound on their way to a network: decoding and preprocessing by one reader, and by the loader's threads.
//   bench_media [VIDEO [SOUND]] (default: $STRIATE_DATA/video/bikes.mp4, audio/env/baby_5000ms.wav); decoding alone, to
//   compare: ffmpeg -threads 1 -i VIDEO -f null -
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "striate/stimuli/loader.hpp"
#include "striate/stimuli/media.hpp"

namespace {

using namespace striate;

std::filesystem::path data() {
  char const* folder = std::getenv("STRIATE_DATA");
  return folder != nullptr ? folder : "shared/data";
}
std::filesystem::path video = data() / "video" / "bikes.mp4", sound = data() / "audio" / "env" / "baby_5000ms.wav";

Preprocessing imagenet() {
  Preprocessing how;
  how.resize = Preprocessing::Resize::shorter, how.resize_height = 256, how.crop = Preprocessing::Crop::center;
  how.mean = {0.485, 0.456, 0.406}, how.std = {0.229, 0.224, 0.225};
  return how;
}

/// Every `step`-th frame.
std::shared_ptr<StimulusSource> frames(std::size_t step) {
  auto const count = static_cast<std::size_t>(std::floor(video_seconds(video) * 25));
  std::vector<StimulusRow> rows;
  for (std::size_t f = 1; f <= count; f += step) rows.push_back({.file = video, .frame = f, .box = {}});
  return frame_source(rows, imagenet());
}

void load(benchmark::State& state, StimulusSource const& shape, std::shared_ptr<StimulusSource const> source,
          std::size_t batch) {
  std::vector<std::size_t> order((shape.size() + batch - 1) / batch);
  std::iota(order.begin(), order.end(), 0);
  for (auto _ : state) {
    StimulusLoader loader(source, batch, order, static_cast<int>(state.range(0)), 4, false);
    for (std::size_t const b : order) loader.give_back(loader.take(b));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(shape.size()));
}

void every_frame(benchmark::State& state) {
  auto const source = frames(1);
  load(state, *source, source, 16);
}
void each_tenth_frame(benchmark::State& state) {
  auto const source = frames(10);
  load(state, *source, source, 16);
}
void clips(benchmark::State& state) {  // 16 frames of 2 s, a second apart, as R3D-18 takes them
  std::vector<StimulusRow> rows;
  double const seconds = video_seconds(video);
  for (double start = 0; start + 2 <= seconds + 1e-3; ++start)
    rows.push_back({.file = video, .start = start, .end = start + 2, .box = {}});
  InputForm form;
  form.kind = InputForm::Kind::clip, form.frames = 16;
  Preprocessing how = imagenet();
  how.resize = Preprocessing::Resize::squash, how.resize_height = 128, how.resize_width = 171;
  how.height = how.width = 112;
  auto const source = clip_source(rows, form, how);
  load(state, *source, source, 4);
}
void spectrograms(benchmark::State& state) {  // VGGish's examples
  std::vector<StimulusRow> rows;
  double const seconds = sound_seconds(sound);
  for (double start = 0; start + 0.975 <= seconds; start += 0.05)
    rows.push_back({.file = sound, .start = start, .end = start + 0.975, .box = {}});
  InputForm form;
  form.kind = InputForm::Kind::mel, form.rate = 16000, form.mel = vggish_mel(), form.samples = form.mel.samples();
  auto const source = sound_source(rows, form);
  load(state, *source, source, 16);
}

}  // namespace

BENCHMARK(every_frame)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(each_tenth_frame)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(clips)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(spectrograms)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc > 1) video = argv[1];
  if (argc > 2) sound = argv[2];
  benchmark::RunSpecifiedBenchmarks();
}
