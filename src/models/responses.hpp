#pragma once
/// Responses of a tile: checked, and centred by the outer training mean.
#include <vector>

#include "rows.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/engine.hpp"
#include "striate/math/matrix.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

/// What is known of the responses of a tile. Columns are padded with zeros.
struct Responses {
  std::size_t targets = 0, width = 0, used = 0, blocks = 0;
  float* y = nullptr;             ///< used × width, less the outer training mean
  std::vector<double> mean, sd;   ///< per target, of the outer training rows
  std::vector<double> block_sum;  ///< [target][block], of y
  TileMatrix tile;                ///< y, where an engine computes (Fitted::begin)
  TileMatrix projected;           ///< closed forms: what project() makes of the outer training rows
};

/// Y: n × T raw responses. Writes T flags; what is flagged becomes zeros. `memory` holds r.y.
void load_responses(RowPlan const& rows, MatrixView<float const> Y, TargetFlag* flags, Responses& r,
                    Buffer<float>& memory);
/// Mean of a target over the training rows of a set, less that over the outer ones.
[[nodiscard]] double training_mean(RowPlan const& rows, Responses const& r, std::size_t t, std::size_t set);
/// Of the training rows of a set, in their order, less the outer training mean: rows × width, `ld` apart. In r.y or
/// `memory`.
[[nodiscard]] float const* training_responses(RowPlan const& rows, Responses const& r, std::size_t set, std::size_t& ld,
                                              Buffer<float>& memory);

}  // namespace striate::detail
