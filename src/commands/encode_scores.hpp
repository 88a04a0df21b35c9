#pragma once
/// Scores of single folds → one score per target.
#include <span>
#include <vector>

#include "encode_inputs.hpp"
#include "encode_layout.hpp"

namespace striate::encode {

/// +1 where more is better, -1 where less is.
[[nodiscard]] double better(Score score);

/// What each row of S_fold weighs in S.
[[nodiscard]] std::vector<double> fold_weights(Config const& config, Inputs const& inputs);
/// Rows of `fold` (weights.size() × t): their weighted mean. NaN where a fold is NaN.
[[nodiscard]] std::vector<double> averaged(std::span<double const> weights, std::span<double const> fold);

/// In which a target's responses and predictions of a fold are compared: (y - shift) / sd, f - predicted_shift. Deviations
/// from the training mean in training deviations where responses are standardised; else less one constant for all folds.
struct Units {
  double shift = 0, sd = 1, predicted_shift = 0;
};
[[nodiscard]] Units units_of(Config const& config, FoldPlan const& plan, MatrixView<float const> y, std::size_t target);

/// Sums of responses and predictions of the test rows of a fold (moment_rows × T), in the units in which the model
/// predicts: deviations from the training mean in training deviations where responses are standardised. y: n × T.
void fold_moments(Config const& config, FoldPlan const& plan, MatrixView<float const> y, TileResult const& result,
                  std::vector<double>& out);
/// Puts Spearman's rank correlations of the test rows where config.scores names them (models know scores of moments
/// alone): result.score then has a row for each score of the config.
void add_spearman(Config const& config, FoldPlan const& plan, MatrixView<float const> y, TileResult& result);
/// Mean and deviation (ddof 0) of the responses to the training rows, NaN for targets without a fit: what leads from
/// deviations back to responses.
void response_scales(FoldPlan const& plan, MatrixView<float const> y, TileResult const& result, std::vector<double>& mean,
                     std::vector<double>& sd);
/// One score of the predictions of all folds; moments: (folds × moment_rows, t).
[[nodiscard]] std::vector<double> concatenated(Inputs const& inputs, Score which, std::span<double const> moments,
                                               std::size_t t);

/// /L/score/S of every target, from what the folds left in the file. Not collective.
[[nodiscard]] std::vector<double> layer_scores(Config const& config, Inputs const& inputs, ResultFile const& result,
                                               std::size_t layer, std::size_t score);

}  // namespace striate::encode
