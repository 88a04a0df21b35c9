// One case of the race: a model with an alpha per target chosen by cross-validation on all rows, and the refit, as
// himalaya's RidgeCV.fit does. bench/race/race.py writes the arrays and compares.
//
// usage: race_striate DIR THREADS [--standardize] [--exact] [--model NAME]
//   DIR/X.npy (n × p float32), DIR/Y.npy (n × t float32), DIR/case.txt: folds, then alphas, one a line
//   writes DIR/alpha.npy (t), DIR/score.npy (t), DIR/weights.npy (m × t in column-major order) and prints one CSV line
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <thread>

#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/models/table.hpp"

namespace striate {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double cpu() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

class ThreadTeam : public Team {
 public:
  explicit ThreadTeam(int threads) : threads_(threads), serial_(serial_team()) {}
  std::shared_ptr<std::byte> shared(std::size_t bytes) override { return serial_->shared(bytes); }
  void run(std::byte*, std::span<Slot const> slots, std::function<void(std::size_t)> const& f) override {
    local(slots.size(), f);
  }
  void run(std::byte*, std::span<std::vector<Slot> const> slots, std::function<void(std::size_t)> const& f) override {
    local(slots.size(), f);
  }
  void local(std::size_t count, std::function<void(std::size_t)> const& f) override {
    std::atomic<std::size_t> next{0};
    auto work = [&] {
      for (std::size_t i = next++; i < count; i = next++) {
        f(i);
      }
    };
    std::vector<std::thread> pool;
    for (int k = 1; k < threads_; ++k) {
      pool.emplace_back(work);
    }
    work();
    for (auto& t : pool) {
      t.join();
    }
  }
  [[nodiscard]] int threads() const override { return threads_; }

 private:
  int threads_;
  std::unique_ptr<Team> serial_;
};

/// Float32 array of a version 1 .npy in C order, as column-major n × m.
std::vector<float> read_npy(std::string const& path, std::size_t& rows, std::size_t& cols) {
  std::ifstream in(path, std::ios::binary);
  char head[10];
  in.read(head, 10);
  std::uint16_t length = 0;
  std::memcpy(&length, head + 8, 2);
  std::string text(length, ' ');
  in.read(text.data(), length);
  if (!in || text.find("'<f4'") == std::string::npos || text.find("'fortran_order': False") == std::string::npos ||
      std::sscanf(text.c_str() + text.find('(') + 1, "%zu, %zu", &rows, &cols) != 2) {
    fail(Exit::no_input, "{} is no float32 array in C order; write it with race.py", path);
  }
  std::vector<float> raw(rows * cols), out(rows * cols);
  in.read(reinterpret_cast<char*>(raw.data()), static_cast<std::streamsize>(raw.size() * 4));
  constexpr std::size_t b = 64;
  for (std::size_t j0 = 0; j0 < cols; j0 += b) {
    for (std::size_t i0 = 0; i0 < rows; i0 += b) {
      for (std::size_t j = j0; j < std::min(cols, j0 + b); ++j) {
        for (std::size_t i = i0; i < std::min(rows, i0 + b); ++i) {
          out[i + j * rows] = raw[i * cols + j];
        }
      }
    }
  }
  return out;
}

template <class T>
void write_npy(std::string const& path, std::vector<T> const& x) {
  std::string text = "{'descr': '<f" + std::to_string(sizeof(T)) + "', 'fortran_order': False, 'shape': (" +
                     std::to_string(x.size()) + ",), }";
  text.resize((text.size() + 11 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  auto const length = static_cast<std::uint16_t>(text.size());
  std::ofstream out(path, std::ios::binary);
  out.write("\x93NUMPY\x01\x00", 8);
  out.write(reinterpret_cast<char const*>(&length), 2);
  out << text;
  out.write(reinterpret_cast<char const*>(x.data()), static_cast<std::streamsize>(x.size() * sizeof(T)));
}

/// Rate of the library's gemm, one single-threaded product on every thread at once: flops/s of all together.
template <class T>
double gemm_rate(ThreadTeam& team) {
  std::size_t const m = 2048, n = 512, k = 1024;
  auto const threads = static_cast<std::size_t>(team.threads());
  std::vector<Buffer<T>> a(threads), b(threads), c(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    std::fill_n(a[i].grow(m * k), m * k, T(0.5));
    std::fill_n(b[i].grow(k * n), k * n, T(0.25));
    std::fill_n(c[i].grow(m * n), m * n, T(0));
  }
  double best = 1e300;
  for (int repeat = 0; repeat < 8; ++repeat) {
    double const start = now();
    team.local(threads, [&](std::size_t i) {
      for (int r = 0; r < 4; ++r) {
        blas::gemm('T', 'N', m, n, k, T(1), a[i].data(), k, b[i].data(), k, T(0), c[i].data(), m);
      }
    });
    best = std::min(best, now() - start);
  }
  return 4 * 2.0 * static_cast<double>(m * n * k * threads) / best;
}

int race(std::string const& dir, int threads, bool standardize, bool exact, std::string const& name) {
  blas::single_thread();
  std::size_t n = 0, p = 0, t = 0;
  auto const x = read_npy(dir + "/X.npy", n, p), y = read_npy(dir + "/Y.npy", n, t);
  ModelOptions options;
  options.exact_grid = exact;
  options.coefficients = true;
  options.standardize_responses = false;
  options.scores = {Score::r2};
  std::ifstream in(dir + "/case.txt");
  std::size_t folds = 0;
  in >> folds;
  for (double a = 0; in >> a;) {
    options.alphas.push_back(a);
  }
  FoldPlan plan;  // the folds of race.py: fold of row i is i * k / n
  plan.outer.train.resize(n);
  std::iota(plan.outer.train.begin(), plan.outer.train.end(), 0U);
  plan.inner.resize(folds);
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::size_t f = 0; f < folds; ++f) {
      (i * folds / n == f ? plan.inner[f].test : plan.inner[f].train).push_back(i);
    }
  }
  ThreadTeam team(threads);
  double const rate = gemm_rate<float>(team), rate64 = gemm_rate<double>(team);
  MemorySource const source({x.data(), n, p});
  ModelRow const* const row = find_model(name);
  if (row == nullptr) {
    fail(Exit::config, "there is no model {}; see `striate help`", name);
  }
  auto const model = row->make(options);
  double const c0 = cpu(), w0 = now();
  auto const fold = model->prepare({source, standardize, 0, t}, plan, team, 16e9);
  double const cp = cpu() - c0, wp = now() - w0;
  std::size_t const tiles = (t + target_tile - 1) / target_tile, m = fold->weight_rows();
  std::vector<double> alpha(t), score(t);
  std::vector<float> weights(m * t);  // the caller's memory: not timed
  double const c1 = cpu(), w1 = now();
  team.local(tiles, [&](std::size_t tile) {
    thread_local TileResult result;
    thread_local Workspace work;
    std::size_t const first = tile * target_tile, count = std::min(target_tile, t - first);
    fold->tile({y.data() + first * n, n, count}, result, work);
    std::copy_n(result.alpha.begin(), count, alpha.begin() + static_cast<std::ptrdiff_t>(first));
    std::copy_n(result.score.begin(), count, score.begin() + static_cast<std::ptrdiff_t>(first));
    std::copy_n(result.weights.begin(), count * m, weights.begin() + static_cast<std::ptrdiff_t>(first * m));
  });
  double const c2 = cpu(), w2 = now();
  write_npy(dir + "/alpha.npy", alpha);
  write_npy(dir + "/score.npy", score);
  write_npy(dir + "/weights.npy", weights);
  auto const cost = model->cost(n, p, t, plan, standardize, 0, 16e9);
  double const flops = fold->report().flops_per_target * static_cast<double>(t) + cost.prepare_flops;
  std::printf(
      "{\"form\": \"%s\", \"skeleton\": %zu, \"wall\": %.4f, \"cpu\": %.4f, \"prepare_wall\": %.4f, \"prepare_cpu\": "
      "%.4f, "
      "\"tiles_wall\": %.4f, \"flops\": %.4g, \"tile_flops\": %.4g, \"sgemm\": %.4g, \"dgemm\": %.4g, \"limit\": %.4f, "
      "\"limit_f64\": %.4f, \"kernel\": "
      "\"%s\", \"blas\": \"%s\"}\n",
      fold->report().form.c_str(), fold->report().skeleton, wp + w2 - w1, cp + c2 - c1, wp, cp, w2 - w1, flops,
      fold->report().flops_per_target * static_cast<double>(t), rate, rate64, flops / rate,
      fold->report().flops_per_target * static_cast<double>(t) / rate + cost.prepare_flops / rate64,
      panel_product_kernel(), blas::description());
  return 0;
}

}  // namespace
}  // namespace striate

int main(int argc, char** argv) {
  try {
    bool standardize = false, exact = false;
    std::string name = "ridge";
    for (int i = 3; i < argc; ++i) {
      standardize = standardize || std::string(argv[i]) == "--standardize";
      exact = exact || std::string(argv[i]) == "--exact";
      if (std::string(argv[i]) == "--model" && i + 1 < argc) {
        name = argv[i + 1];
      }
    }
    if (argc < 3) {
      std::cerr << "usage: race_striate DIR THREADS [--standardize] [--exact] [--model NAME]\n";
      return 64;
    }
    return striate::race(argv[1], std::stoi(argv[2]), standardize, exact, name);
  } catch (striate::Error const& e) {
    std::cerr << "error: " << e.what() << "\n";
    return static_cast<int>(e.code());
  }
}
