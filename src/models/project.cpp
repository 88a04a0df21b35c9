// What the hats of a training set multiply.
#include <algorithm>

#include "feature_products.hpp"
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
    z = set_products(s_.rows, s_.p, s_.stats, r, set, work);
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

}  // namespace striate::detail
