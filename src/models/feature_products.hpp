#pragma once
/// Products of features with the responses of a tile: what primal fits project.
#include <vector>

#include "responses.hpp"

namespace striate::detail {

/// Xᵀ(y − ȳ) of each block of training rows, which all sets share, and (slot 0) the sum over all blocks, into
/// work.products. x: per block, p × rows, packed, less the outer training mean.
void block_products(RowPlan const& rows, std::size_t p, std::vector<float const*> const& x, Responses const& r,
                    Workspace& work);
/// The same over the training rows of a set, p × r.width with leading dimension padded_rows(p), from block_products.
/// stats: per feature stats_size(sets). Points into work.products or work.rows.
[[nodiscard]] float const* set_products(RowPlan const& rows, std::size_t p, double const* stats, Responses const& r,
                                        std::size_t set, Workspace& work);

}  // namespace striate::detail
