#pragma once
/// Sums over units of rows × a matrix that is at hand a panel at a time: float32 products of gram_panel units, added in
/// float64. A row's bits depend neither on its place nor on the other rows (panel_product).
#include <algorithm>
#include <vector>

#include "striate/math/buffer.hpp"
#include "striate/math/gram.hpp"
#include "striate/math/panel_product.hpp"

namespace striate {

class PanelSums {
 public:
  PanelSums(std::size_t components, std::size_t rows)
      : components_(components), rows_(rows), columns_(padded_cols(rows)), sums_(rows * components, 0.0) {}

  [[nodiscard]] static double work_bytes(std::size_t components, std::size_t tile, std::size_t rows) {
    auto const columns = static_cast<double>(padded_cols(rows));
    auto const k = static_cast<double>(padded_rows(std::min(tile, components)));
    return 8 * static_cast<double>(components * rows) + 4 * (gram_panel * (2 * columns + k) + k * columns);
  }

  /// The next `count` units (`step` apart) of all rows (`stride` apart); less `shift` (one a unit, or null).
  void load(float const* x, std::size_t stride, std::size_t count, double const* shift, std::size_t step = 1) {
    depth_ = count;
    float* to = panel().grow(gram_panel * columns_);
    for (std::size_t r = 0; r < rows_; ++r) {
      float const* const row = x + r * stride;
      for (std::size_t u = 0; u < count; ++u) {
        float const v = row[u * step];
        to[r * count + u] = shift == nullptr ? v : static_cast<float>(static_cast<double>(v) - shift[u]);
      }
    }
    std::fill_n(to + rows_ * count, (columns_ - rows_) * count, 0.0F);
  }

  /// Place for `width` components × the loaded units, as pack_rows packs them; what follows the last one is zero.
  [[nodiscard]] float* packed(std::size_t width, std::size_t count) {
    float* to = matrix().grow(packed_size(width, count));
    std::size_t const used = panel_round(width) * count;
    std::fill(to + used, to + packed_size(width, count), 0.0F);
    return to;
  }

  /// Adds the products of the packed components, which begin at `first`.
  void add(std::size_t first, std::size_t width) { add(first, width, matrix().data()); }
  void add(std::size_t first, std::size_t width, float const* packed) {
    thread_local Buffer<float> product, scratch;
    std::size_t const ld = padded_rows(width);
    panel_product(packed, width, depth_, panel().data(), depth_, columns_, product.grow(ld * columns_), scratch);
    for (std::size_t r = 0; r < rows_; ++r)
      for (std::size_t c = 0; c < width; ++c)
        sums_[r * components_ + first + c] += static_cast<double>(product[r * ld + c]);
  }

  /// out: rows × components.
  void store(double factor, float* out) const {
    for (std::size_t i = 0; i < sums_.size(); ++i) out[i] = static_cast<float>(sums_[i] * factor);
  }
  [[nodiscard]] std::vector<double> const& sums() const { return sums_; }

 private:
  static Buffer<float>& panel() {
    thread_local Buffer<float> buffer;
    return buffer;
  }
  static Buffer<float>& matrix() {
    thread_local Buffer<float> buffer;
    return buffer;
  }
  std::size_t components_, rows_, columns_, depth_ = 0;
  std::vector<double> sums_;
};

}  // namespace striate
