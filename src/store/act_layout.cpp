#include "act_layout.hpp"

#include <algorithm>
#include <numeric>

namespace striate {

h5::Shape ActLayout::chunk(std::vector<std::size_t> const& shape) const {
  h5::Shape c{chunk_rows};
  c.insert(c.end(), shape.begin(), shape.end());
  if (c.size() > 1) c[1] = chunk_channels;
  return c;
}

ActLayout layout_of(LayerSpec const& layer, std::size_t n, std::size_t batch) {
  constexpr std::size_t budget = std::size_t{1} << 20;
  ActLayout l;
  l.units = h5::volume(layer.shape);
  l.channels = layer.shape.empty() ? 1 : layer.shape[0];
  l.map = l.channels ? l.units / l.channels : 0;
  l.element = h5::size_of(layer.dtype);
  std::size_t const row_bytes = std::max<std::size_t>(1, l.map * l.element);
  l.chunk_rows = std::min(batch, n);
  if (batch <= n)  // a divisor of the batch, so that chunks end where batches end
    while (l.chunk_rows > 1 && (l.chunk_rows * row_bytes > budget || batch % l.chunk_rows)) --l.chunk_rows;
  else
    while (l.chunk_rows > 1 && l.chunk_rows * row_bytes > budget) l.chunk_rows = (l.chunk_rows + 1) / 2;
  std::size_t const most = std::max<std::size_t>(1, budget / (l.chunk_rows * row_bytes));
  std::size_t const pieces = (l.channels + most - 1) / most;
  l.chunk_channels = pieces ? (l.channels + pieces - 1) / pieces : 1;
  return l;
}

void column_moments(float const* values, std::size_t rows, std::size_t stride, std::size_t columns,
                    std::vector<std::uint8_t> const& valid, float* mean, float* m2, std::uint8_t* above) {
  constexpr std::size_t width = 256;  // two accumulators of a panel stay in the first cache
  auto const count = static_cast<double>(std::count(valid.begin(), valid.begin() + static_cast<std::ptrdiff_t>(rows), 1));
  for (std::size_t first = 0; first < columns; first += width) {
    std::size_t const w = std::min(width, columns - first);
    double sum[width] = {}, squares[width] = {};
    float most[width] = {};  // 0: nothing above it
    for (std::size_t r = 0; r < rows; ++r) {
      if (!valid[r]) continue;
      float const* v = values + r * stride + first;
      for (std::size_t j = 0; j < w; ++j) sum[j] += static_cast<double>(v[j]);
    }
    for (std::size_t r = 0; above != nullptr && r < rows; ++r)
      for (std::size_t j = 0; j < w; ++j) most[j] = std::max(most[j], values[r * stride + first + j]);
    for (std::size_t j = 0; above != nullptr && j < w; ++j) above[first + j] = most[j] > 0;
    for (std::size_t j = 0; j < w; ++j) sum[j] = count > 0 ? sum[j] / count : 0;
    for (std::size_t r = 0; r < rows; ++r) {
      if (!valid[r]) continue;
      float const* v = values + r * stride + first;
      for (std::size_t j = 0; j < w; ++j) {
        double const d = static_cast<double>(v[j]) - sum[j];
        squares[j] += d * d;
      }
    }
    for (std::size_t j = 0; j < w; ++j) {
      mean[first + j] = static_cast<float>(sum[j]);
      m2[first + j] = static_cast<float>(squares[j]);
    }
  }
}

void merge_moments(double total, double count, float const* mean, float const* m2, std::size_t columns, double* all_mean,
                   double* all_m2) {
  if (count == 0) return;
  double const n = total + count;
  for (std::size_t j = 0; j < columns; ++j) {
    double const delta = static_cast<double>(mean[j]) - all_mean[j];
    all_mean[j] += delta * (count / n);
    all_m2[j] += static_cast<double>(m2[j]) + delta * delta * (total * count / n);
  }
}

}  // namespace striate
