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
  float const* z = nullptr;
  if (s_.form == Form::primal) {
    z = set_products(s_.rows, s_.p, s_.stats, r, set, work);
    ld = padded_rows(s_.p);
  } else {
    z = training_responses(s_.rows, r, set, ld, work.rows);
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
