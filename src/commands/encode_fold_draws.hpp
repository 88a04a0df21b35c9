#pragma once
/// Uncertainty of what follows from best layers, by a bootstrap of outer folds: folds are drawn with replacement, so
/// that all targets see other test stimuli together, and their dependence stays as it is. Folds share training rows and
/// are few: the standard error is of the right order, no more (Bengio and Grandvalet 2004: there is no unbiased one).
#include <cstdint>
#include <vector>

#include "encode_inputs.hpp"
#include "encode_layout.hpp"

namespace striate::encode {

/// Best layer (from 0, by the first score) of `targets` among layers [first, first + count) in each draw of folds; (t)
/// with 0 elsewhere. Of more than 20 folds, neighbouring ones are drawn together. Empty where there are fewer than two
/// folds. Not collective.
[[nodiscard]] std::vector<std::vector<std::int32_t>> best_over_fold_draws(Config const& config, Inputs const& inputs,
                                                                          ResultFile const& result, std::size_t first,
                                                                          std::size_t count,
                                                                          std::vector<std::size_t> const& targets);
/// Standard deviation over draws of each of `values` numbers, for as many folds as there are: times √(k/(k − 1)). NaN
/// where there are no draws, or a draw has none.
[[nodiscard]] std::vector<double> fold_draw_errors(Config const& config, Inputs const& inputs,
                                                   std::vector<std::vector<double>> const& drawn, std::size_t values);

}  // namespace striate::encode
