// What the hats of a training set multiply.
#include <algorithm>
#include <cmath>
#include <limits>

#include "fitted.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {

void Fitted::load(MatrixView<float const> Y, std::size_t first, TileResult& out, Responses& r, Workspace& work) const {
  load_responses(s_.rows, Y, out.flag.data() + first, r, work.y);
}

/// z of a set: what its hats multiply. depth × width.
float const* Fitted::project(Responses const& r, std::size_t set, std::size_t& ld, Workspace& work) const {
  auto const& hats = s_.sets[set];
  float const* z = r.y;
  ld = r.used;
  if (s_.form == Form::primal) {
    z = feature_products(r, set, work);
    ld = padded_rows(s_.p);
  } else if (set < s_.rows.inner()) {
    ld = s_.rows.sets[set].train.size();
    float* rows = work.rows.grow(ld * r.width);
    for (std::size_t t = 0; t < r.width; ++t) {
      float* to = rows + t * ld;
      for (auto b : s_.rows.blocks.sets[set]) {
        auto const from = s_.rows.blocks.begin[b], end = s_.rows.blocks.begin[b + 1];
        to = std::copy(r.y + t * r.used + from, r.y + t * r.used + end, to);
      }
    }
    z = rows;
  }
  if (is_spectral(s_.form)) {
    float* c = work.result.grow(padded_rows(hats.depth) * r.width);
    panel_product(hats.basis, hats.depth, hats.basis_rows, z, ld, r.width, c, work.slivers);
    z = c;
    ld = padded_rows(hats.depth);
  }
  return z;
}

/// Primal: Xᵀ(y − ȳ) of each block of rows, which all sets share, and (slot 0) the sum over all blocks.
void Fitted::block_products(Responses const& r, Workspace& work) const {
  std::size_t const size = padded_rows(s_.p) * r.width;
  auto const& blocks = s_.rows.blocks;
  float* c = work.products.grow(size * (r.blocks + 1));
  for (std::size_t b = 0; b < r.blocks; ++b) {
    panel_product(s_.x[b], s_.p, blocks.begin[b + 1] - blocks.begin[b], r.y + blocks.begin[b], r.used, r.width,
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

/// The same over the training rows of a set, from block_products.
float const* Fitted::feature_products(Responses const& r, std::size_t set, Workspace& work) const {
  std::size_t const ld = padded_rows(s_.p), size = ld * r.width, width = stats_size(s_.rows.sets.size());
  auto const& blocks = s_.rows.blocks;
  float const* all = work.products.data();
  auto const& mine = blocks.sets[set];
  if (mine.size() == r.blocks) {
    return all;
  }
  float* z = work.rows.grow(size);
  bool const few = mine.size() * 2 <= r.blocks;  // add what is in, or take away what is out
  auto const n = static_cast<double>(s_.rows.sets[set].train.size());
  std::vector<float> mean(s_.p);
  for (std::size_t j = 0; j < s_.p; ++j) {
    mean[j] = static_cast<float>(n * s_.stats[j * width + 1 + 2 * set]);
  }
  for (std::size_t t = 0; t < r.width; ++t) {
    float* column = z + t * ld;
    auto const centre = t < r.targets ? static_cast<float>(training_mean(s_.rows, r, t, set)) : 0.0F;
    for (std::size_t j = 0; j < s_.p; ++j) {
      column[j] = (few ? 0.0F : all[t * ld + j]) - mean[j] * centre;
    }
    for (std::uint32_t b = 0; b < r.blocks; ++b) {
      bool const in = std::binary_search(mine.begin(), mine.end(), b);
      float const* part = all + (b + 1) * size + t * ld;
      if (in == few) {
        float const sign = few ? 1.0F : -1.0F;
        for (std::size_t j = 0; j < s_.p; ++j) {
          column[j] += sign * part[j];
        }
      }
    }
  }
  return z;
}

}  // namespace striate::detail
