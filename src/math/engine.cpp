// The blas engine: matrices of a tile are views on host memory; products are panel_product.
#include "striate/math/engine.hpp"

#include <algorithm>

namespace striate {
namespace {

class BlasEngine final : public Engine {
 public:
  std::string text() const override { return "blas"; }
  std::string device() const override { return "cpu"; }
  Packing packing() const override { return Packing::panels; }

  TileMatrix load(float const* data, std::size_t rows, std::size_t ld, std::size_t width) const override {
    return {const_cast<float*>(data), rows, ld, width};
  }

  TileMatrix rows(TileMatrix const& m, std::span<RowRange const> ranges, float* out) const override {
    if (ranges.size() == 1) {
      return {m.host + ranges[0].first, ranges[0].count, m.ld, m.width};
    }
    std::size_t ld = 0;
    for (auto const& range : ranges) {
      ld += range.count;
    }
    float* to = out;
    for (std::size_t t = 0; t < m.width; ++t) {
      for (auto const& range : ranges) {
        to = std::copy_n(m.host + t * m.ld + range.first, range.count, to);
      }
    }
    return {out, ld, ld, m.width};
  }

  TileMatrix columns(TileMatrix const& m, std::span<std::size_t const> which, float* out) const override {
    std::size_t const width = padded_cols(which.size());
    float* to = out;
    for (auto const t : which) {
      to = m.rows > 0 ? std::copy_n(m.host + t * m.ld, m.rows, to) : to;
    }
    std::fill(to, out + m.rows * width, 0.0F);
    return {out, m.rows, m.rows, width};
  }

  TileMatrix product(FactorCache*, Factor const& a, TileMatrix const& b, float* out,
                     Buffer<float>& scratch) const override {
    panel_product(a.data, a.rows, a.depth, b.host, b.ld, b.width, out, scratch);
    return {out, a.rows, padded_rows(a.rows), b.width};
  }

  TileMatrix sum(TileMatrix const* start, std::span<TileMatrix const> parts, float sign, float const* mean,
                 float const* centre, std::size_t rows, float* out) const override {
    std::size_t const ld = parts.empty() ? start->ld : parts[0].ld,
                      width = parts.empty() ? start->width : parts[0].width;
    for (std::size_t t = 0; t < width; ++t) {
      float* column = out + t * ld;
      if (start != nullptr) {
        std::copy_n(start->host + t * start->ld, rows, column);
      } else {
        std::fill_n(column, rows, 0.0F);
      }
      for (std::size_t j = 0; mean != nullptr && j < rows; ++j) {
        column[j] -= mean[j] * centre[t];
      }
      for (auto const& part : parts) {
        float const* from = part.host + t * part.ld;
        for (std::size_t j = 0; j < rows; ++j) {
          column[j] += sign * from[j];
        }
      }
    }
    return {out, rows, ld, width};
  }

  void sums(GridSums const& of, Buffer<double>& small, Buffer<double>& moments, TakeSums const& take) const override {
    std::size_t const e = of.rows.size(), across = round_up(of.alphas, combined_lanes);
    double* y = small.grow(e);
    auto* sums = reinterpret_cast<Sums*>(moments.grow(across * 3));
    for (std::size_t i = 0; i < of.targets.size(); ++i) {
      std::size_t const t = of.targets[i];
      float const* p = of.predictions.host + (of.gathered ? i : t) * of.predictions.ld;
      double sum = 0, square = 0;
      test_responses(of.y.host + t * of.y.ld, of.rows.data(), e, of.shift.empty() ? 0 : of.shift[i], y, sum, square);
      if (of.combine == nullptr) {
        prediction_sums(p, e, of.stride, of.alphas, y, sums);
      } else {  // predictions at all alphas from those of the skeleton
        combined_sums(p, e, of.stride, of.stacked, of.combine, across, y, sums);
      }
      take(i, sum, square, sums);
    }
  }

  void add_row_gram(PackedShape const& shape, std::size_t i, std::size_t j, TileMatrix const& x, std::size_t first,
                    std::size_t count, double const* weight, bool wide, double* block,
                    double const* shift) const override {
    striate::add_row_gram(shape, i, j, x.host + first * x.ld, x.ld, count, weight, wide, block, shift);
  }

  void add_column_gram(PackedShape const& shape, std::size_t i, std::size_t j, TileMatrix const& x, std::size_t first,
                       std::size_t last, double* block, double const* shift) const override {
    striate::add_column_gram(shape, i, j, x.host, x.ld, first, last, block, shift);
  }

  float* host(TileMatrix const& m, Buffer<float>&) const override { return m.host; }
};

}  // namespace

Engine const& blas_engine() {
  static BlasEngine const engine;
  return engine;
}

}  // namespace striate
