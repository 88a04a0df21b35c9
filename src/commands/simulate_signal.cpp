#include "simulate_signal.hpp"

#include <algorithm>
#include <cmath>

#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"

namespace striate::simulate {
namespace {

/// FNV-1a, to give every (purpose, layer) its own stream of random numbers.
std::uint64_t purpose_of(std::string const& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

/// Mean 0, deviation 1 (ddof 0) in place; a constant column becomes 0. False where it is not finite.
bool standardize(float* column, std::size_t n) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) sum += column[i];
  double mean = sum / static_cast<double>(n);
  if (!std::isfinite(mean)) return false;
  for (std::size_t i = 0; i < n; ++i) squares += (column[i] - mean) * (column[i] - mean);
  double deviation = std::sqrt(squares / static_cast<double>(n));
  bool constant = deviation <= 1e-7 * std::abs(mean) || deviation == 0;
  for (std::size_t i = 0; i < n; ++i) column[i] = constant ? 0.0F : static_cast<float>((column[i] - mean) / deviation);
  return true;
}

/// out += panel · weights, unit after unit into a double, so that the sums do not depend on where panels are cut.
/// Eight units a pass, still added one after the other: `out` is loaded an eighth as often.
void add_units(float const* panel, std::size_t n, std::vector<double> const& weights, double* out) {
  std::size_t u = 0;
  for (; u + 8 <= weights.size(); u += 8) {
    float const* z = panel + u * n;
    double const* w = weights.data() + u;
    for (std::size_t i = 0; i < n; ++i) {
      double sum = out[i];
      for (std::size_t k = 0; k < 8; ++k) sum += w[k] * static_cast<double>(z[k * n + i]);
      out[i] = sum;
    }
  }
  for (; u < weights.size(); ++u)
    for (std::size_t i = 0; i < n; ++i) out[i] += weights[u] * static_cast<double>(panel[u * n + i]);
}

}  // namespace

std::vector<double> planted_signals(ActReader const& store, std::string const& layer,
                                    std::vector<std::uint64_t> const& places, std::uint64_t seed, Team& team,
                                    std::function<bool(std::size_t)> const& go_on) {
  std::size_t n = store.rows(), units = store.layer(layer).units;
  std::vector<double> signal(n * places.size(), 0.0);
  std::uint64_t purpose = purpose_of("simulate/weights/" + layer);
  std::vector<Philox> streams;
  for (std::uint64_t place : places) streams.emplace_back(seed, purpose, place);
  std::size_t width = std::clamp<std::size_t>((std::size_t{16} << 20) / std::max<std::size_t>(n, 1), 1, 4096);
  auto bounds = store.panels(layer, std::min(width, units));
  std::vector<float> panel;
  for (std::size_t b = 0; b + 1 < bounds.size(); ++b) {
    if (!go_on(bounds[b])) return {};
    std::size_t first = bounds[b], count = bounds[b + 1] - first;
    panel.resize(n * count);
    store.read(layer, first, count, MatrixView<float>(panel.data(), n, count));
    std::vector<std::uint8_t> finite(count);
    team.local(count, [&](std::size_t u) { finite[u] = standardize(panel.data() + u * n, n) ? 1 : 0; });
    if (std::find(finite.begin(), finite.end(), 0) != finite.end())
      fail(Exit::data,
           "features.store: layer {} holds NaN or infinite values (a stimulus was skipped?); extract it again", layer);
    team.local(places.size(), [&](std::size_t j) {
      std::vector<double> weights(count);
      for (double& w : weights) w = streams[j].normal();
      add_units(panel.data(), n, weights, signal.data() + j * n);
    });
  }
  for (std::size_t j = 0; j < places.size(); ++j) {
    double* out = signal.data() + j * n;
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) sum += out[i];
    for (std::size_t i = 0; i < n; ++i) out[i] -= sum / static_cast<double>(n), squares += out[i] * out[i];
    double deviation = std::sqrt(squares / static_cast<double>(n));
    if (deviation == 0)
      fail(Exit::data, "features.store: layer {} is the same for every stimulus; nothing can be planted from it",
           layer);
    for (std::size_t i = 0; i < n; ++i) out[i] /= deviation;
  }
  return signal;
}

void add_noise(double const* signal, std::size_t n, std::size_t repeats, double snr, std::uint64_t seed,
               std::uint64_t place, float* out) {
  Philox noise(seed, purpose_of("simulate/noise"), place);
  double gain = std::sqrt(snr);
  for (std::size_t r = 0; r < repeats; ++r)
    for (std::size_t i = 0; i < n; ++i) out[r * n + i] = static_cast<float>(gain * signal[i] + noise.normal());
}

double ceiling_of(double snr, std::size_t repeats) {
  return snr == 0 ? 0 : std::sqrt(snr / (snr + 1.0 / static_cast<double>(repeats)));
}

double snr_of(double ceiling, std::size_t repeats) {
  return ceiling * ceiling / (1 - ceiling * ceiling) / static_cast<double>(repeats);
}

Boxes boxes_of(std::vector<std::size_t> const& counts) {
  Boxes boxes;
  std::vector<std::uint64_t> edges;
  std::uint64_t nx = 1, widest = 1;
  for (std::size_t count : counts) {
    std::uint64_t edge = 1;
    while (edge * edge * edge < count) ++edge;
    edges.push_back(edge);
    nx += edge + 1, widest = std::max(widest, edge);
  }
  boxes.shape = {nx, widest + 2, widest + 2};
  std::uint64_t x0 = 1;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    std::uint64_t edge = edges[r];
    std::vector<std::uint64_t> places;
    for (std::uint64_t i = 0; i < counts[r]; ++i) {
      std::uint64_t x = x0 + i / (edge * edge), y = 1 + i / edge % edge, z = 1 + i % edge;
      places.push_back((x * boxes.shape[1] + y) * boxes.shape[2] + z);
    }
    std::sort(places.begin(), places.end());
    boxes.places.push_back(std::move(places));
    x0 += edge + 1;
  }
  return boxes;
}

}  // namespace striate::simulate
