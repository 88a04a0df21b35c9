// Bytes a second of a store as ActWriter makes it from values in memory: encoded, written, synced.
//   bench_write FILE GIB auto|cached|direct
// Prints one CSV line: io,bytes,seconds,MB/s,CPU seconds. Beside it: dd if=/dev/zero of=FILE bs=4M conv=fsync.
#include <fmt/core.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <vector>

#include "striate/store/act_store.hpp"

namespace {

double cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

}  // namespace

int main(int argc, char** argv) try {
  using namespace striate;
  if (argc != 4) return fmt::print(stderr, "usage: bench_write FILE GIB auto|cached|direct\n"), 64;
  std::string const io = argv[3];
  ActSpec spec;
  spec.batch = 16;
  spec.io = io == "direct" ? ActIo::direct : io == "cached" ? ActIo::cached : ActIo::automatic;
  double row = 0;
  for (std::size_t const side : {109, 54, 54, 27, 27, 13}) {
    spec.layers.push_back({fmt::format("layer{}", spec.layers.size()), {96, side, side}, "channel row column"});
    row += 4.0 * 96 * static_cast<double>(side * side);
  }
  auto const rows = static_cast<std::size_t>(std::atof(argv[2]) * (1 << 30) / row);
  for (std::size_t i = 0; i < rows; ++i) spec.stimulus_ids.push_back(std::to_string(i));
  std::vector<float> values(spec.batch * 96 * 109 * 109);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 2654435761U % 1000U) / 500.0F;
  double const cpu = cpu_time();
  auto const start = std::chrono::steady_clock::now();
  auto const store = ActWriter::open(Comm(), argv[1], spec, true);
  std::vector<std::size_t> batches;
  for (std::size_t b = 0; b < store->batches(); ++b) {
    for (std::size_t l = 0; l < spec.layers.size(); ++l) {
      ActBlock block = store->encode(l, b, values.data());
      store->write_batch(block);
      store->recycle(std::move(block));
    }
    batches.push_back(b);
  }
  store->flush();
  double const wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double const bytes = row * static_cast<double>(rows);
  fmt::print("{},{:.0f},{:.2f},{:.0f},{:.2f}\n", io, bytes, wall, bytes / wall / 1e6, cpu_time() - cpu);
  return 0;
} catch (std::exception const& error) {
  fmt::print(stderr, "error: {}\n", error.what());
  return 70;
}
