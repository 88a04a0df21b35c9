/// The numbers of `simulate`: variance, ceilings, independence from panels, other targets and threads.
#include <numeric>

#include "../../src/commands/simulate_signal.hpp"
#include "brain_test.hpp"

namespace striate {
namespace {

using namespace testing;

/// A store of n rows with layers a (8×2×2) and b (5,1,1); unit 3 of a is constant.
std::filesystem::path make_store(std::filesystem::path const& path, std::size_t n, bool with_nan = false) {
  ActSpec spec;
  spec.layers = {{"a", {8, 2, 2}, "channel row column", h5::Dtype::f32},
                 {"b", {5, 1, 1}, "feature row column", h5::Dtype::f32}};
  for (std::size_t i = 0; i < n; ++i) spec.stimulus_ids.push_back("s" + std::to_string(i));
  spec.batch = 7;
  auto writer = ActWriter::open(Comm(), path, spec);
  std::vector<std::size_t> all;
  for (std::size_t b = 0; b < writer->batches(); ++b) {
    all.push_back(b);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      std::size_t units = layer == 0 ? 32 : 5;
      std::vector<float> values(writer->rows(b) * units);
      for (std::size_t i = 0; i < writer->rows(b); ++i)
        for (std::size_t u = 0; u < units; ++u) {
          auto x = static_cast<double>((writer->first_row(b) + i) * 37 + u * u * 11 + layer * 5);
          values[i * units + u] =
              u == 3 && layer == 0 ? 2.5F : static_cast<float>(std::sin(x) * (1.0 + static_cast<double>(u)));
        }
      if (with_nan && b == 1) values[units] = std::nanf("");
      writer->write_batch(layer, b, values.data());
    }
  }
  writer->flush();
  writer->mark(all);
  writer->flush();
  writer->finish();
  return path;
}

bool always(std::size_t) { return true; }

TEST(Simulate, SignalsHaveUnitVarianceAndDependOnNothingElse) {
  TempDir dir;
  ActReader store(make_store(dir / "x.act.h5", 40).string());
  auto team = serial_team();
  std::vector<std::uint64_t> places{4, 9, 100};
  auto signal = simulate::planted_signals(store, "a", places, 3, *team, always);
  ASSERT_EQ(signal.size(), 40U * 3);
  for (std::size_t j = 0; j < 3; ++j) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < 40; ++i) sum += signal[j * 40 + i], squares += signal[j * 40 + i] * signal[j * 40 + i];
    EXPECT_NEAR(sum, 0, 1e-10);
    EXPECT_NEAR(squares / 40, 1, 1e-12);
  }
  auto one = simulate::planted_signals(store, "a", {9}, 3, *team, always);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), signal.begin() + 40));
  auto other_seed = simulate::planted_signals(store, "a", {9}, 4, *team, always);
  EXPECT_NE(one, other_seed);
  EXPECT_TRUE(simulate::planted_signals(store, "a", places, 3, *team, [](std::size_t) { return false; }).empty());
}

TEST(Simulate, ASignalIsALinearReadoutOfItsLayer) {
  TempDir dir;
  ActReader store(make_store(dir / "x.act.h5", 40).string());
  auto team = serial_team();
  auto signal = simulate::planted_signals(store, "b", {1, 2}, 0, *team, always);
  // Five centred units span the signal: what is left after projecting them out must be rounding.
  std::vector<float> x(40 * 5);
  store.read("b", 0, 5, MatrixView<float>(x.data(), 40, 5));
  std::vector<std::vector<double>> basis;
  for (std::size_t u = 0; u < 5; ++u) {
    std::vector<double> v(x.begin() + static_cast<std::ptrdiff_t>(40 * u),
                          x.begin() + static_cast<std::ptrdiff_t>(40 * u + 40));
    double mean = std::accumulate(v.begin(), v.end(), 0.0) / 40;
    for (double& value : v) value -= mean;
    for (int pass = 0; pass < 2; ++pass)
      for (auto const& b : basis) {
        double dot = std::inner_product(v.begin(), v.end(), b.begin(), 0.0);
        for (std::size_t i = 0; i < 40; ++i) v[i] -= dot * b[i];
      }
    double norm = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0));
    for (double& value : v) value /= norm;
    basis.push_back(v);
  }
  for (std::size_t j = 0; j < 2; ++j) {
    std::vector<double> rest(signal.begin() + static_cast<std::ptrdiff_t>(40 * j),
                             signal.begin() + static_cast<std::ptrdiff_t>(40 * j + 40));
    for (auto const& b : basis) {
      double dot = std::inner_product(rest.begin(), rest.end(), b.begin(), 0.0);
      for (std::size_t i = 0; i < 40; ++i) rest[i] -= dot * b[i];
    }
    EXPECT_LT(std::inner_product(rest.begin(), rest.end(), rest.begin(), 0.0), 1e-8);
  }
}

TEST(Simulate, SkippedStimuliAndConstantLayersAreRefused) {
  TempDir dir;
  ActReader store(make_store(dir / "x.act.h5", 20, true).string());
  auto team = serial_team();
  expect_error([&] { (void)simulate::planted_signals(store, "a", {1}, 0, *team, always); }, Exit::data,
               "features.store: layer a holds NaN or infinite values (a stimulus was skipped?); extract it again");
}

TEST(Simulate, NoiseHasTheRatioAndTheCeilingAskedFor) {
  std::size_t n = 20000;
  std::vector<double> signal(n);
  for (std::size_t i = 0; i < n; ++i) signal[i] = i % 2 == 0 ? 1 : -1;
  for (double snr : {0.0, 0.5, 4.0}) {
    std::vector<float> out(2 * n);
    simulate::add_noise(signal.data(), n, 2, snr, 1, 7, out.data());
    double noise = 0, cross = 0, mean_square = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double a = out[i] - std::sqrt(snr) * signal[i], b = out[n + i] - std::sqrt(snr) * signal[i];
      double mean = (out[i] + out[n + i]) / 2.0;
      noise += (a * a + b * b) / 2, cross += a * b, mean_square += mean * mean;
    }
    EXPECT_NEAR(noise / static_cast<double>(n), 1, 0.03);
    EXPECT_NEAR(cross / static_cast<double>(n), 0, 0.03) << "presentations share no noise";
    double r = 0;
    for (std::size_t i = 0; i < n; ++i) r += signal[i] * (out[i] + out[n + i]) / 2;
    r /= static_cast<double>(n) * std::sqrt(mean_square / static_cast<double>(n));
    EXPECT_NEAR(r, simulate::ceiling_of(snr, 2), 0.02);
  }
  EXPECT_NEAR(simulate::ceiling_of(simulate::snr_of(0.8, 3), 3), 0.8, 1e-12);
}

TEST(Simulate, BoxesDoNotTouch) {
  auto boxes = simulate::boxes_of({1, 8, 30});
  EXPECT_EQ(boxes.shape, (std::array<std::uint64_t, 3>{1 + 2 + 3 + 5, 6, 6}));
  std::vector<std::uint64_t> all;
  for (auto const& p : boxes.places) all.insert(all.end(), p.begin(), p.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  EXPECT_EQ(boxes.places[2].size(), 30U);
  EXPECT_TRUE(std::is_sorted(boxes.places[2].begin(), boxes.places[2].end()));
}

}  // namespace
}  // namespace striate
