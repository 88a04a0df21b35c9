// What a network waits for: decoding, resizing and normalising pictures on one thread, and the loader on several.
//   bench_images [FOLDER] (default: $STRIATE_DATA/images/imagenet400); the same through PIL: bench/README.md.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <numeric>

#include "striate/stimuli/loader.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace {

using namespace striate;

std::filesystem::path folder = [] {
  char const* data = std::getenv("STRIATE_DATA");
  return std::filesystem::path(data != nullptr ? data : "shared/data") / "images" / "imagenet400";
}();

Preprocessing imagenet() {
  Preprocessing how;
  how.resize = Preprocessing::Resize::shorter, how.resize_height = 256, how.crop = Preprocessing::Crop::center;
  how.mean = {0.485, 0.456, 0.406}, how.std = {0.229, 0.224, 0.225};
  return how;
}

/// 500 × 375, as most photographs of ImageNet.
Image made_up() {
  Image image;
  image.width = 500, image.height = 375;
  image.rgb.resize(3 * image.width * image.height);
  std::uint32_t state = 1;
  for (auto& byte : image.rgb) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return image;
}

void resize(benchmark::State& state, char const* mode) {
  Image const image = made_up();
  for (auto _ : state) benchmark::DoNotOptimize(resize_image(image, 256, 341, mode));
}

/// Resize, crop and normalise: only what survives the crop is computed.
void whole_input(benchmark::State& state) {
  Image const image = made_up();
  Preprocessing const how = imagenet();
  std::vector<float> out(3 * how.height * how.width);
  for (auto _ : state) {
    preprocess(image, how, out.data());
    benchmark::DoNotOptimize(out.data());
  }
}

std::vector<std::filesystem::path> photographs() {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::exists(folder)) return files;
  StimTable const table = stim_table_of_folder(folder);
  for (std::size_t row = 0; row < table.rows(); ++row) files.push_back(table.file_of(row));
  return files;
}

void decode(benchmark::State& state) {
  auto const files = photographs();
  if (files.empty()) return state.SkipWithError("no photographs");
  Image image;
  for (auto _ : state)
    for (auto const& file : files) read_image(file, image);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(files.size()));
}

void check(benchmark::State& state) {
  auto const files = photographs();
  if (files.empty()) return state.SkipWithError("no photographs");
  for (auto _ : state)
    if (!check_images(files, 1).empty()) return state.SkipWithError("a damaged photograph");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(files.size()));
}

void load(benchmark::State& state) {
  auto const files = photographs();
  if (files.empty()) return state.SkipWithError("no photographs");
  std::vector<std::size_t> order((files.size() + 31) / 32);
  std::iota(order.begin(), order.end(), 0);
  for (auto _ : state) {
    StimulusLoader loader(files, imagenet(), 32, order, static_cast<int>(state.range(0)), 4, false);
    for (std::size_t const b : order) loader.give_back(loader.take(b));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(files.size()));
}

}  // namespace

BENCHMARK_CAPTURE(resize, bilinear, "bilinear")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(resize, bicubic, "bicubic")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(resize, nearest, "nearest")->Unit(benchmark::kMillisecond);
BENCHMARK(whole_input)->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Unit(benchmark::kMillisecond);
BENCHMARK(check)->Unit(benchmark::kMillisecond);
BENCHMARK(load)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc > 1) folder = argv[1];
  benchmark::RunSpecifiedBenchmarks();
}
