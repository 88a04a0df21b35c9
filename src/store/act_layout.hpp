#pragma once
/// How a batch of a layer lies in the file. Pure.
#include <cstddef>
#include <vector>

#include "striate/store/act_store.hpp"

namespace striate {

/// Chunks of a layer: (chunk_rows, chunk_channels, whole rest). A batch is a whole number of chunk rows, so ranks never
/// share a chunk; a chunk is at most 1 MiB where one map of one row allows it (measured best, and fits HDF5's cache).
struct ActLayout {
  std::size_t units = 0;                 ///< of the layer
  std::size_t channels = 0, map = 0;     ///< first axis of the shape; product of the rest
  std::size_t element = 4;               ///< bytes of a value
  std::size_t chunk_rows = 0, chunk_channels = 0;

  [[nodiscard]] h5::Shape chunk(std::vector<std::size_t> const& shape) const;

  [[nodiscard]] std::size_t pieces() const { return (channels + chunk_channels - 1) / chunk_channels; }
  [[nodiscard]] std::size_t chunks_down(std::size_t rows) const { return (rows + chunk_rows - 1) / chunk_rows; }
  [[nodiscard]] std::size_t chunk_bytes() const { return chunk_rows * chunk_channels * map * element; }
  /// Of the chunks of a batch of `rows` rows, whole as they lie in the file.
  [[nodiscard]] std::size_t block_bytes(std::size_t rows) const { return chunks_down(rows) * pieces() * chunk_bytes(); }

  /// Calls f(first row, rows, first channel, channels) for each chunk of a batch of `rows` rows, in file order.
  template <class F>
  void each_chunk(std::size_t rows, F const& f) const {
    for (std::size_t r = 0; r < rows; r += chunk_rows)
      for (std::size_t c = 0; c < channels; c += chunk_channels)
        f(r, std::min(chunk_rows, rows - r), c, std::min(chunk_channels, channels - c));
  }
};

[[nodiscard]] ActLayout layout_of(LayerSpec const& layer, std::size_t n, std::size_t batch);

/// Mean and sum of squared deviations of `columns` columns of a row-major block, over the rows with valid[row]; `above`:
/// 1 where one of all rows is above 0.
void column_moments(float const* values, std::size_t rows, std::size_t stride, std::size_t columns,
                    std::vector<std::uint8_t> const& valid, float* mean, float* m2, std::uint8_t* above = nullptr);

/// Adds the moments of a batch of `count` rows to those of `total` rows before it (Chan, Golub, LeVeque 1983).
void merge_moments(double total, double count, float const* mean, float const* m2, std::size_t columns, double* all_mean,
                   double* all_m2);

}  // namespace striate
