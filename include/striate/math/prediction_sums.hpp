#pragma once
/// Sums over test rows of predictions and responses, in float64 from float32 products: the only pass over a tile's
/// predictions.
#include <cstddef>

namespace striate {

/// Per column: f = Σ p_i, ff = Σ p_i², fy = Σ p_i y_i over n rows.
struct Sums {
  double f = 0, ff = 0, fy = 0;
};

/// p: `count` columns of n floats, `stride` apart. y: n doubles.
void prediction_sums(float const* p, std::size_t n, std::size_t stride, std::size_t count, double const* y, Sums* out);

/// The same sums of predictions that are combinations of q columns of p (solutions at all alphas from those of a
/// skeleton): prediction i is Σ_j weight[j · width + i] p_j, in float32. width: a multiple of combined_lanes; out holds
/// as many.
inline constexpr std::size_t combined_lanes = 8;
void combined_sums(float const* p, std::size_t n, std::size_t stride, std::size_t q, float const* weight,
                   std::size_t width, double const* y, Sums* out);

/// Gathers the responses of one target: out[i] = y[rows[i]] − mean; returns Σ out, Σ out².
void test_responses(float const* y, unsigned const* rows, std::size_t n, double mean, double* out, double& sum,
                    double& square);

}  // namespace striate
