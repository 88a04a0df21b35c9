// Time series in encode: noise that must stay noise.
#include <numeric>

#include "encode_common.hpp"

using namespace encode_test;

namespace {

class SeriesNull : public testing::Test {
 protected:
  SeriesNull() : dir_("encode_series_null_" + std::to_string(getpid())) {}
  TempFolder dir_;
};

/// Noise as slow as the features, in runs that are cleaned: shifting it in circles keeps the level of the test, what
/// breaks up its correlation does not. STRIATE_REPETITIONS: data sets.
TEST_F(SeriesNull, CircularPermutationsKeepTheirLevel) {
  constexpr std::size_t n = 150, p = 12, t = 60;
  char const* const given = std::getenv("STRIATE_REPETITIONS");
  std::size_t const sets = given != nullptr ? std::strtoul(given, nullptr, 10) : 8;
  std::string table = "type=image\npath=.\ndata=stimID,run\n";
  for (std::size_t i = 0; i < n; ++i) table += fmt::format("v{},{}\n", i, i / 50);
  write_atomically(dir_ / "slow.stim.csv", table);
  auto const slow = [&](std::size_t columns, std::uint64_t stream) {
    std::vector<float> x(n * columns);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t u = 0; u < columns; ++u)
        x[i * columns + u] = noise(i + 1000 * stream, u) + (i % 50 == 0 ? 0 : 0.8F * x[(i - 1) * columns + u]);
    return x;
  };
  std::map<std::string, double> below;
  for (std::size_t s = 0; s < sets; ++s) {
    auto file = h5::File::create(Comm(), dir_ / "slow.h5");
    auto const x = slow(p, 2 * s + 1), y = slow(t, 2 * s + 2);
    file.create_dataset("layer", h5::Dtype::f32, {n, p}).write(std::span<float const>(x));
    file.close();
    write_npy(dir_ / "slow.npy", y, {n, t});
    for (std::string const how : {"circular", "rows"}) {
      Outcome const out = run_encode(
          Comm(), dir_.path,
          fmt::format("features: {{store: slow.h5, stimuli: slow.stim.csv}}\n"
                      "responses: {{data: slow.npy, stimuli: slow.stim.csv, run: run, detrend: {{polynomial: 1}}, "
                      "zscore_runs: true, trim: 2}}\nmodel: {{alphas: 30}}\ncv: {{group: run}}\nscores: pearson\n"
                      "permutation: {{n: 39, shuffle: {}, exchange: run, correct: max}}\nseed: {}\noutput: {}\n",
                      how, s, how),
          {.fresh = true});
      ASSERT_EQ(out.code, Exit::ok) << out.message;
      for (double one : read(dir_ / how / "result.h5", "layer/permutation/pearson/p"))
        below[how] += one <= 0.05 ? 1 : 0;
    }
  }
  double const tests = static_cast<double>(sets * t);
  RecordProperty("circular", fmt::format("{:.4f}", below["circular"] / tests));
  RecordProperty("rows", fmt::format("{:.4f}", below["rows"] / tests));
  EXPECT_NEAR(below["circular"] / tests, 0.05, 3 * std::sqrt(0.05 * 0.95 / tests) + 0.01);
  EXPECT_GT(below["rows"], 1.5 * below["circular"]);
}

/// Noise on strong trends, far more features than rows: no score of a held-out run.
TEST_F(SeriesNull, NoiseScoresNothing) {
  constexpr std::size_t n = 120, p = 700, t = 300;
  auto file = h5::File::create(Comm(), dir_ / "noise.h5");
  std::vector<float> x(n * p), y(n * t);
  std::string table = "type=image\npath=.\ndata=stimID,run\n";
  for (std::size_t i = 0; i < n; ++i) {
    double const time = static_cast<double>(i % 40) / 40;
    table += fmt::format("v{},{}\n", i, i / 40);
    for (std::size_t u = 0; u < p; ++u)  // features drift, too
      x[i * p + u] = noise(i, u) + noise(i + 1, u) + 3 * static_cast<float>(time) * noise(1, 7000 + u);
    for (std::size_t v = 0; v < t; ++v)
      y[i * t + v] =
          noise(i, 90000 + v) + 200 + static_cast<float>(8 * time + 3 * time * time) * (1 + noise(2, 80000 + v));
  }
  file.create_dataset("layer", h5::Dtype::f32, {n, p}).write(std::span<float const>(x));
  file.close();
  write_npy(dir_ / "noise.npy", y, {n, t});
  write_atomically(dir_ / "noise.stim.csv", table);
  auto const scores = [&](std::string const& how, std::string const& output) {
    Outcome const out = run_encode(Comm(), dir_.path,
                                   fmt::format("features: {{store: noise.h5, stimuli: noise.stim.csv}}\n"
                                               "responses: {{data: noise.npy, stimuli: noise.stim.csv, run: run{}}}\n"
                                               "cv: {{group: run}}\nscores: pearson\noutput: {}\n",
                                               how, output));
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    auto const r = read(dir_ / output / "result.h5", "layer/score/pearson");
    double const mean = std::accumulate(r.begin(), r.end(), 0.0) / t;
    double square = 0;
    for (double v : r) square += (v - mean) * (v - mean);
    return std::pair(mean, std::sqrt(square / (t - 1) / t));
  };
  std::pair<char const*, char const*> const ways[] = {
      {"polynomial", ", detrend: {polynomial: 2}, zscore_runs: true, trim: 2"},
      {"cosine", ", detrend: {cosine: 30}, tr: 1.5"}};
  for (auto const& [name, how] : ways) {
    auto const [mean, error] = scores(how, name);
    EXPECT_LT(std::abs(mean), 3 * error) << how << ": " << mean << " ± " << error;
    EXPECT_LT(error, 0.02);
  }
  auto const [mean, error] = scores("", "raw");  // drifts are what they share
  EXPECT_GT(mean, 20 * error) << mean << " ± " << error;
}

}  // namespace
