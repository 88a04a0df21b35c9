// One case of the PLS race: components of all targets together in the training rows, predictions of the others, as
// scikit-learn's PLSRegression.fit and predict do. bench/race/race_pls.py writes the arrays and compares.
//
// usage: race_pls DIR THREADS COMPONENTS TEST
//   DIR/X.npy (n × p float32), DIR/Y.npy (n × t float32); the last TEST rows are tested
//   writes DIR/prediction.npy (t × TEST) and prints one line of JSON
#include <iostream>
#include <numeric>

#include "common.hpp"
#include "striate/math/blas.hpp"
#include "striate/models/components.hpp"

namespace striate {
namespace {

using namespace bench;

int run(std::string const& dir, int threads, std::size_t components, std::size_t test) {
  blas::single_thread();
  std::size_t n = 0, p = 0, t = 0;
  auto const x = read_npy(dir + "/X.npy", n, p), y = read_npy(dir + "/Y.npy", n, t);
  ModelOptions options;
  options.components = {components};
  options.predictions = options.coefficients = true;
  options.standardize_responses = false;
  options.scores = {Score::r2};
  FoldPlan plan;
  for (std::uint32_t i = 0; i < n; ++i) {
    (i < n - test ? plan.outer.train : plan.outer.test).push_back(i);
  }
  ThreadTeam team(threads);
  MemorySource const source({x.data(), n, p}), responses({y.data(), n, t});
  auto const model = make_pls(options);
  std::vector<float> prediction(test * t);
  double const c0 = cpu(), w0 = now();
  auto const fold = model->prepare({source, false, 0, t, &responses}, plan, team, 16e9);
  double const w1 = now();
  team.local((t + target_tile - 1) / target_tile, [&](std::size_t tile) {
    thread_local TileResult result;
    thread_local Workspace work;
    std::size_t const first = tile * target_tile, count = std::min(target_tile, t - first);
    fold->tile({y.data() + first * n, n, count}, result, work);
    std::copy_n(result.prediction.begin(), count * test, prediction.begin() + static_cast<std::ptrdiff_t>(first * test));
  });
  double const c2 = cpu(), w2 = now();
  write_npy(dir + "/prediction.npy", prediction);
  std::printf("{\"wall\": %.4f, \"cpu\": %.4f, \"prepare_wall\": %.4f, \"rank\": %zu, \"blas\": \"%s\"}\n", w2 - w0, c2 - c0,
              w1 - w0, fold->report().rank, blas::description());
  return 0;
}

}  // namespace
}  // namespace striate

int main(int argc, char** argv) {
  try {
    if (argc != 5) {
      std::cerr << "usage: race_pls DIR THREADS COMPONENTS TEST\n";
      return 64;
    }
    return striate::run(argv[1], std::stoi(argv[2]), std::stoul(argv[3]), std::stoul(argv[4]));
  } catch (striate::Error const& e) {
    std::cerr << "error: " << e.what() << "\n";
    return static_cast<int>(e.code());
  }
}
