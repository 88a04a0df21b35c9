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
TileMatrix Fitted::project(Responses const& r, std::size_t set, FeatureProducts const& products,
                           Workspace& work) const {
  auto const& hats = s_.sets[set];
  TileMatrix z = r.tile;
  if (s_.form == Form::primal) {
    z = set_products(s_.engine(), s_.rows, s_.p, s_.stats, r, set, products, work);
  } else if (set < s_.rows.inner()) {
    std::vector<RowRange> ranges;
    for (auto b : s_.rows.blocks.sets[set]) {
      ranges.push_back({s_.rows.blocks.begin[b], s_.rows.blocks.begin[b + 1] - s_.rows.blocks.begin[b]});
    }
    z = s_.engine().rows(r.tile, ranges, work.rows.grow(s_.rows.sets[set].train.size() * r.width));
  }
  if (is_spectral(s_.form)) {
    float* c = work.result.grow(padded_rows(hats.depth) * r.width);
    z = s_.product({hats.basis, hats.depth, hats.basis_rows}, z, c, work.slivers);
  }
  z.rows = hats.depth;
  return z;
}

}  // namespace striate::detail
