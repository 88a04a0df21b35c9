// Kernels of the encoding tile: the packed product against the library's sgemm, the score epilogue, factorisations.
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/models/ridge.hpp"

namespace {

using namespace striate;

std::vector<float> numbers(std::size_t n) {
  std::vector<float> x(n);
  std::uint32_t state = 1;
  for (auto& v : x) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<float>(state >> 8) / 16777216.0F - 0.5F;
  }
  return x;
}

void flops(benchmark::State& state, double per_iteration) {
  state.counters["flops"] =
      benchmark::Counter(per_iteration, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void packed(benchmark::State& state) {
  auto const m = static_cast<std::size_t>(state.range(0)), k = static_cast<std::size_t>(state.range(1)),
             n = target_tile;
  auto const a = numbers(m * k), b = numbers(k * n);
  std::vector<float> p(packed_size(m, k)), c(padded_rows(m) * n);
  pack_rows<float>({.from = a.data(), .row_stride = k}, m, k, p.data());
  Buffer<float> scratch;
  for (auto _ : state) {
    panel_product(p.data(), m, k, b.data(), k, n, c.data(), scratch);
    benchmark::DoNotOptimize(c.data());
  }
  flops(state, 2.0 * static_cast<double>(m * k * n));
}

void library(benchmark::State& state) {
  blas::single_thread();
  auto const m = static_cast<std::size_t>(state.range(0)), k = static_cast<std::size_t>(state.range(1)),
             n = target_tile;
  auto const a = numbers(m * k), b = numbers(k * n);
  std::vector<float> c(m * n);
  for (auto _ : state) {
    blas::gemm('T', 'N', m, n, k, 1.0F, a.data(), k, b.data(), k, 0.0F, c.data(), m);
    benchmark::DoNotOptimize(c.data());
  }
  flops(state, 2.0 * static_cast<double>(m * k * n));
}

/// One tile of a nested fold; flops of its products only.
void tile(benchmark::State& state) {
  blas::single_thread();
  auto const n = static_cast<std::size_t>(state.range(0)), p = static_cast<std::size_t>(state.range(1)),
             t = target_tile;
  auto const x = numbers(n * p), y = numbers(n * t);
  ModelOptions options;
  for (int i = 0; i < 20; ++i) {
    options.alphas.push_back(std::pow(10.0, i * 8 / 19.0));
  }
  CvColumns columns;
  columns.rows = n;
  auto const plan = fold_plans({}, {}, columns)[0];
  auto const team = serial_team();
  MemorySource const source({x.data(), n, p});
  auto const fold = make_ridge(options)->prepare({source}, plan, *team, 8e9);
  TileResult result;
  Workspace work;
  for (auto _ : state) {
    fold->tile({y.data(), n, t}, result, work);
    benchmark::DoNotOptimize(result.score.data());
  }
  state.SetLabel(fold->report().form);
  flops(state, fold->report().flops_per_target * static_cast<double>(t));
}

BENCHMARK(packed)->Args({2400, 720})->Args({3000, 1326})->Args({240, 4000});
BENCHMARK(library)->Args({2400, 720})->Args({3000, 1326})->Args({240, 4000});
BENCHMARK(tile)->Args({1000, 300})->Args({1000, 4000})->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
