#include "striate/math/projection.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "panel_sums.hpp"
#include "striate/math/clones.hpp"
#include "striate/math/panel_product.hpp"

namespace striate {
namespace {

constexpr std::size_t tile = 240;         // components that are made at a time: a megabyte
constexpr double kept_bytes = 64 << 20;   // a sparse matrix of more entries is made anew for every batch
constexpr double spare = 1.05;            // entries are as many as chance gives
constexpr double thin_enough = 1.0 / 16;  // denser ones are faster as a product
constexpr std::size_t run_units = 4096;   // units × 16 rows that stay in the second cache

/// Entries are made for every batch, and multiplied as a matrix.
class DenseProjection final : public LayerStage {
 public:
  DenseProjection(std::size_t units, std::size_t components, ProjectionEntries const& entries)
      : units_(units), k_(components), entries_(entries) {}
  [[nodiscard]] LayerShape output() const override { return {{k_, 1, 1}, "feature row column"}; }
  [[nodiscard]] double work_bytes(std::size_t rows) const override { return PanelSums::work_bytes(k_, tile, rows); }
  void apply(float const* in, std::size_t rows, float* out) const override {
    PanelSums sums(k_, rows);
    for (std::size_t first = 0; first < units_; first += gram_panel) {
      std::size_t const count = std::min(gram_panel, units_ - first);
      sums.load(in + first, units_, count, nullptr);
      for (std::size_t c = 0; c < k_; c += tile) {
        std::size_t const width = std::min(tile, k_ - c);
        float* packed = sums.packed(width, count);
        for (std::size_t g = 0; g * 16 < width; ++g) entries_.make(first, count, c / 16 + g, packed + g * 16 * count);
        sums.add(c, width);
      }
    }
    sums.store(entries_.factor(), out);
  }

 private:
  std::size_t units_, k_;
  ProjectionEntries entries_;
};

using Rows = float __attribute__((vector_size(64)));  // of 16 stimuli

/// Adds the units at `places` (sign in the lowest bit), of `x` (units × 16).
STRIATE_CLONES void add_places(float const* x, std::uint32_t const* places, std::size_t count, double* out) {
  Rows sum{};
  for (std::size_t i = 0; i < count; ++i) {
    Rows v;
    std::memcpy(&v, x + (places[i] >> 1) * 16, sizeof v);
    sum = (places[i] & 1) != 0 ? sum - v : sum + v;
  }
  for (std::size_t r = 0; r < 16; ++r) out[r] += static_cast<double>(sum[r]);
}

/// The few entries that are not 0 are found once and kept, four bytes each.
class SparseProjection final : public LayerStage {
 public:
  SparseProjection(std::size_t units, std::size_t components, ProjectionEntries const& all)
      : units_(units), k_(components), factor_(all.factor()) {
    std::size_t const runs = (units_ + run_units - 1) / run_units;
    std::vector<float> entries(run_units * 16);
    begin_.push_back(0);
    begin_.reserve(runs * k_ + 1);
    places_.reserve(static_cast<std::size_t>(spare * all.density() * static_cast<double>(units_ * k_)));
    for (std::size_t r = 0; r < runs; ++r) {
      std::size_t const first = r * run_units, count = std::min(run_units, units_ - first);
      for (std::size_t g = 0; g * 16 < k_; ++g) {
        all.make(first, count, g, entries.data());
        for (std::size_t c = 0; c < std::min<std::size_t>(16, k_ - g * 16); ++c) {
          for (std::size_t u = 0; u < count; ++u)
            if (float const e = entries[u * 16 + c]; e != 0)
              places_.push_back(static_cast<std::uint32_t>(u * 2 + (e < 0 ? 1 : 0)));
          begin_.push_back(places_.size());
        }
      }
    }
  }
  [[nodiscard]] LayerShape output() const override { return {{k_, 1, 1}, "feature row column"}; }
  [[nodiscard]] double work_bytes(std::size_t rows) const override {
    (void)rows;
    return 16.0 * (4.0 * run_units + 8.0 * static_cast<double>(k_));
  }
  void apply(float const* in, std::size_t rows, float* out) const override {
    thread_local Buffer<float> panel;
    thread_local Buffer<double> sums;
    for (std::size_t row = 0; row < rows; row += 16) {
      std::size_t const here = std::min<std::size_t>(16, rows - row);
      std::fill_n(sums.grow(k_ * 16), k_ * 16, 0.0);
      std::size_t list = 0;
      bool is_nan[16] = {};  // what holds a NaN has no projection, though few components take that unit
      for (std::size_t first = 0; first < units_; first += run_units) {
        std::size_t const count = std::min(run_units, units_ - first);
        float* x = panel.grow(run_units * 16);
        std::fill_n(x, count * 16, 0.0F);
        for (std::size_t r = 0; r < here; ++r)
          for (std::size_t u = 0; u < count; ++u) {
            float const v = x[u * 16 + r] = in[(row + r) * units_ + first + u];
            is_nan[r] |= std::isnan(v);
          }
        for (std::size_t c = 0; c < k_; ++c, ++list)
          add_places(x, places_.data() + begin_[list], begin_[list + 1] - begin_[list], sums.data() + c * 16);
      }
      for (std::size_t r = 0; r < here; ++r)
        for (std::size_t c = 0; c < k_; ++c)
          out[(row + r) * k_ + c] =
              is_nan[r] ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(sums[c * 16 + r] * factor_);
    }
  }

 private:
  std::size_t units_, k_;
  double factor_;
  std::vector<std::uint32_t> places_;  ///< by run of units, in it by component: 2 · unit of the run + (entry is −1)
  std::vector<std::size_t> begin_;
};

}  // namespace

std::unique_ptr<LayerStage> projection_stage(LayerShape in, ProjectionOptions const& options) {
  std::size_t const units = in.units(), k = options.components;
  ProjectionEntries const entries(options, units);
  if (projection_bytes(units, options) > 0) return std::make_unique<SparseProjection>(units, k, entries);
  return std::make_unique<DenseProjection>(units, k, entries);
}

double projection_bytes(std::size_t units, ProjectionOptions const& options) {
  ProjectionEntries const entries(options, units);
  double const all = static_cast<double>(units) * static_cast<double>(options.components);
  double const bytes = 4 * entries.density() * all;
  if (options.kind != ProjectionKind::sparse || entries.density() > thin_enough || bytes > kept_bytes) return 0;
  double const runs = static_cast<double>((units + run_units - 1) / run_units);
  return spare * bytes + 8 * runs * static_cast<double>(options.components) + 8;
}

}  // namespace striate
