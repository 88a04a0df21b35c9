#include "feature_products.hpp"

#include <algorithm>

#include "striate/math/panel_product.hpp"

namespace striate::detail {

void block_products(RowPlan const& rows, std::size_t p, std::vector<float const*> const& x, Responses const& r,
                    Workspace& work) {
  std::size_t const size = padded_rows(p) * r.width;
  auto const& blocks = rows.blocks;
  float* c = work.products.grow(size * (r.blocks + 1));
  for (std::size_t b = 0; b < r.blocks; ++b) {
    panel_product(x[b], p, blocks.begin[b + 1] - blocks.begin[b], r.y + blocks.begin[b], r.used, r.width,
                  c + (b + 1) * size, work.slivers);
  }
  std::copy_n(c + size, size, c);
  for (std::size_t b = 1; b < r.blocks; ++b) {
    float const* part = c + (b + 1) * size;
    for (std::size_t i = 0; i < size; ++i) {
      c[i] += part[i];
    }
  }
}

float const* set_products(RowPlan const& rows, std::size_t p, double const* stats, Responses const& r, std::size_t set,
                          Workspace& work) {
  std::size_t const ld = padded_rows(p), size = ld * r.width, width = stats_size(rows.sets.size());
  auto const& blocks = rows.blocks;
  float const* all = work.products.data();
  auto const& mine = blocks.sets[set];
  if (mine.size() == r.blocks) {
    return all;
  }
  float* z = work.rows.grow(size);
  bool const few = mine.size() * 2 <= r.blocks;  // add what is in, or take away what is out
  auto const n = static_cast<double>(rows.sets[set].train.size());
  std::vector<float> mean(p);
  for (std::size_t j = 0; j < p; ++j) {
    mean[j] = static_cast<float>(n * stats[j * width + 1 + 2 * set]);
  }
  for (std::size_t t = 0; t < r.width; ++t) {
    float* column = z + t * ld;
    auto const centre = t < r.targets ? static_cast<float>(training_mean(rows, r, t, set)) : 0.0F;
    for (std::size_t j = 0; j < p; ++j) {
      column[j] = (few ? 0.0F : all[t * ld + j]) - mean[j] * centre;
    }
    for (std::uint32_t b = 0; b < r.blocks; ++b) {
      bool const in = std::binary_search(mine.begin(), mine.end(), b);
      float const* part = all + (b + 1) * size + t * ld;
      if (in == few) {
        float const sign = few ? 1.0F : -1.0F;
        for (std::size_t j = 0; j < p; ++j) {
          column[j] += sign * part[j];
        }
      }
    }
  }
  return z;
}

}  // namespace striate::detail
