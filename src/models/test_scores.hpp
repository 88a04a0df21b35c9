#pragma once
/// From the predictions of a target's test rows to what a tile leaves of it: the same for every model.
#include <vector>

#include "responses.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

/// Of responses at `rows` (positions of r.y) less `mean`, and predictions p there. `memory` holds the responses.
[[nodiscard]] Moments test_moments(Responses const& r, std::size_t t, std::vector<std::uint32_t> const& rows,
                                   double mean, float const* p, Buffer<double>& memory);

/// An error of squares in units of the training responses' deviation, where the options ask for it.
[[nodiscard]] inline double scaled(ModelOptions const& options, Score which, double value, double sd) {
  return which == Score::mse && options.standardize_responses ? value / (sd * sd) : value;
}

/// Scores of the outer test rows, of the tile's target `at`; counts constant predictions.
void write_scores(ModelOptions const& options, Moments const& m, double sd, std::size_t at, TileResult& out);
/// Where options.predictions: e deviations p from the training mean, in the units of predictions.
template <class T>
void write_predictions(ModelOptions const& options, T const* p, std::size_t e, double mean, double sd, std::size_t at,
                       TileResult& out) {
  for (std::size_t i = 0; options.predictions && i < e; ++i) {
    double const deviation = p[i];
    out.prediction[at * e + i] =
        static_cast<float>(options.standardize_responses ? deviation / sd : deviation + mean);
  }
}

/// Makes room for T targets: everything NaN, no target flagged, nothing counted.
void clear_result(ModelOptions const& options, RowPlan const& rows, std::size_t inner_rows, std::size_t T,
                  std::size_t extras,
                  std::size_t weight_rows, TileResult& out);
/// Plans without outer test rows: scores of the inner folds at the chosen candidate and their mean. `all`:
/// [fold][score][target of T][candidate of a].
void write_inner_scores(std::vector<double> const& all, std::size_t folds, std::size_t T, std::size_t a, std::size_t t,
                        std::size_t chosen, std::size_t at, TileResult& out);

}  // namespace striate::detail
