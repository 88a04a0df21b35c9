// Images a second of Network::forward: every layer of a card captured, or the network's output alone.
//   bench_forward WEIGHTS CARD BATCH THREADS SECONDS [bare]
// Prints one CSV line: network,what,batch,threads,images_per_second,images_per_cpu_second,checksum
#include <fmt/core.h>

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "striate/net/card.hpp"
#include "striate/net/network.hpp"

namespace {

/// User and system time: what a machine shared with others can be measured by.
double cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

}  // namespace

int main(int argc, char** argv) try {
  using namespace striate;
  if (argc < 6) return fmt::print(stderr, "usage: bench_forward WEIGHTS CARD BATCH THREADS SECONDS [bare]\n"), 64;
  Card const card = find_card(argv[2], ".");
  std::size_t const batch = std::strtoul(argv[3], nullptr, 10);
  int const threads = std::atoi(argv[4]);
  double const seconds = std::atof(argv[5]);
  bool const bare = argc > 6 && std::strcmp(argv[6], "bare") == 0;
  auto const layers = bare ? std::vector<LayerRequest>{{"output", "output"}} : resolve_layers({"all"}, card);
  Network const network(argv[1], layers, card.preprocessing, {.device = "cpu"});

  std::size_t const pixels = card.preprocessing.channels() * card.preprocessing.height * card.preprocessing.width;
  std::vector<float> images(batch * pixels);
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>((i * 2654435761U % 1000U) / 500.0 - 1);
  std::atomic<double> checksum = 0;
  std::atomic<long> done = 0;
  std::vector<std::vector<std::vector<float>>> taken(static_cast<std::size_t>(threads));  // as a writer would
  for (auto& kept : taken)
    for (auto const& layer : network.layers()) kept.emplace_back(batch * layer.units());
  auto const run = [&](double until, int me) {
    auto& kept = taken[static_cast<std::size_t>(me)];
    auto const start = std::chrono::steady_clock::now();
    do {
      network.forward(images.data(), batch, [&](std::size_t layer, float const* values) {
        std::memcpy(kept[layer].data(), values, kept[layer].size() * sizeof(float));
      });
      ++done;
    } while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < until);
    checksum = kept.back()[0];
  };
  auto const on_threads = [&](double until) {
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) team.emplace_back(run, until, t);
    for (auto& thread : team) thread.join();
  };
  on_threads(0.1);  // warm up
  done = 0;
  double const cpu_before = cpu_time();
  auto const start = std::chrono::steady_clock::now();
  on_threads(seconds);
  double const wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double const cpu = cpu_time() - cpu_before;
  double const passed = static_cast<double>(done * static_cast<long>(batch));
  fmt::print("{},{},{},{},{:.2f},{:.2f},{:.6g}\n", card.name, bare ? "bare" : "all layers", batch, threads,
             passed / wall, passed / cpu, checksum.load());
  return 0;
} catch (std::exception const& error) {
  fmt::print(stderr, "error: {}\n", error.what());
  return 70;
}
