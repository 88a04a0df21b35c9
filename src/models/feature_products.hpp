#pragma once
/// Products of features with the responses of a tile: what primal fits project.
#include <vector>

#include "responses.hpp"
#include "striate/math/engine.hpp"

namespace striate::detail {

/// p × width each.
struct FeatureProducts {
  TileMatrix all;                 ///< of all training rows
  std::vector<TileMatrix> parts;  ///< per block of training rows
};

/// Xᵀ(y − ȳ) of each block of training rows, which all sets share, and the sum over all blocks. x: per block, p × rows,
/// packed, less the outer training mean; y: the responses of r. In work.products.
[[nodiscard]] FeatureProducts block_products(Engine const& engine, FactorCache* cache, RowPlan const& rows,
                                             std::size_t p, std::vector<float const*> const& x, TileMatrix const& y,
                                             Workspace& work);
/// The same over the training rows of a set, from block_products. stats: per feature stats_size(sets). In work.rows.
[[nodiscard]] TileMatrix set_products(Engine const& engine, RowPlan const& rows, std::size_t p, double const* stats,
                                      Responses const& r, std::size_t set, FeatureProducts const& of, Workspace& work);

}  // namespace striate::detail
