#include "feature_products.hpp"

#include <algorithm>

namespace striate::detail {

FeatureProducts block_products(Engine const& engine, FactorCache* cache, RowPlan const& rows, std::size_t p,
                               std::vector<float const*> const& x, TileMatrix const& y, Workspace& work) {
  std::size_t const size = padded_rows(p) * y.width, blocks = rows.blocks.blocks();
  float* c = work.products.grow(size * (blocks + 1));
  FeatureProducts out;
  for (std::size_t b = 0; b < blocks; ++b) {
    RowRange const mine{rows.blocks.begin[b], rows.blocks.begin[b + 1] - rows.blocks.begin[b]};
    out.parts.push_back(engine.product(cache, {x[b], p, mine.count}, engine.rows(y, {&mine, 1}, nullptr),
                                       c + (b + 1) * size, work.slivers));
  }
  out.all = engine.sum(out.parts.data(), std::span(out.parts).subspan(1), 1, nullptr, nullptr, p, c);
  return out;
}

TileMatrix set_products(Engine const& engine, RowPlan const& rows, std::size_t p, double const* stats,
                        Responses const& r, std::size_t set, FeatureProducts const& of, Workspace& work) {
  std::size_t const width = stats_size(rows.sets.size()), blocks = of.parts.size();
  auto const& mine = rows.blocks.sets[set];
  if (mine.size() == blocks) {
    return of.all;
  }
  float* z = work.rows.grow(padded_rows(p) * r.width);
  bool const few = mine.size() * 2 <= blocks;  // add what is in, or take away what is out
  auto const n = static_cast<double>(rows.sets[set].train.size());
  std::vector<float> mean(p), centre(r.width, 0.0F);
  for (std::size_t j = 0; j < p; ++j) {
    mean[j] = static_cast<float>(n * stats[j * width + 1 + 2 * set]);
  }
  for (std::size_t t = 0; t < r.targets; ++t) {
    centre[t] = static_cast<float>(training_mean(rows, r, t, set));
  }
  std::vector<TileMatrix> parts;
  for (std::uint32_t b = 0; b < blocks; ++b) {
    if (std::binary_search(mine.begin(), mine.end(), b) == few) {
      parts.push_back(of.parts[b]);
    }
  }
  return engine.sum(few ? nullptr : &of.all, parts, few ? 1.0F : -1.0F, mean.data(), centre.data(), p, z);
}

}  // namespace striate::detail
