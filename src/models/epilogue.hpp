#pragma once
/// What models sum over the test rows of a target (math/prediction_sums.hpp), and the same for predictions that grow.
#include "striate/math/prediction_sums.hpp"

namespace striate::detail {

using striate::combined_lanes;
using striate::combined_sums;
using striate::prediction_sums;
using striate::Sums;
using striate::test_responses;

/// Sums after each term of predictions that grow: out[k] has the first k columns of a packed (rows × depth) matrix,
/// times z. rows is a multiple of panel_rows; what is padding must be zero in the matrix and in y. out: depth + 1.
void cumulative_sums(float const* packed, std::size_t rows, std::size_t depth, float const* z, double const* y,
                     Sums* out);

}  // namespace striate::detail
