#pragma once
/// Bootstrap of held-out rows: how often each row is drawn, and intervals from the scores of the draws.
///
/// What varies is the choice of test stimuli; the models stay as they were fitted. Draw `index` is a function of
/// (seed, index) alone (Philox), whoever makes it.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace striate {

/// Groups of rows (a stimulus, a run …) that are drawn whole, with replacement: inside each fold's test set where every
/// fold tests two groups or more and no group belongs to two folds, else among all groups at once.
class Resampler {
 public:
  /// group: label of each row. fold: the (first) fold that tests each row, negative where none does: such rows are not
  /// drawn. A row that several folds test (repeated folds) has one weight in all of them.
  /// Throws Error(Exit::data) where there are fewer than two groups.
  Resampler(std::span<std::uint32_t const> group, std::span<std::int32_t const> fold, std::uint64_t seed);
  /// weight (a value a row): how often each row is drawn.
  void make(std::uint64_t index, std::span<float> weight) const;
  [[nodiscard]] bool stratified() const { return strata_.size() > 1; }  ///< drawn inside folds
  [[nodiscard]] std::size_t groups() const;
  [[nodiscard]] std::size_t strata() const { return strata_.size(); }

 private:
  using Group = std::vector<std::uint32_t>;  ///< rows
  std::size_t rows_;
  std::uint64_t seed_;
  std::vector<std::vector<Group>> strata_;
};

struct BootstrapInterval {
  double low = 0, high = 0;
  double se = 0;  ///< deviation of the draws
};

/// Share of draws below the lower bound (and above the upper one) of an interval of this level. For few groups more
/// than the share of the draws themselves: the tails are those of Student's t with groups − strata degrees of freedom,
/// times √(m/(m−1)) for m groups a stratum ("expanded percentile"; Hesterberg 2015, The American Statistician 69:371).
[[nodiscard]] double interval_tail(double level, std::size_t groups, std::size_t strata);

/// From scores of draws (reordered; NaN ones are left out). `observed`: the score itself; `centre`: the same functional
/// of the rows as they are, from which draws deviate; `tail`: see interval_tail. Percentiles, corrected for bias: draws
/// lie off `centre` by as much as the score itself lies off what it estimates, so that the interval is moved back by
/// twice that (R² of small test sets is too low, and that of their draws once more). NaN where `observed` is, or where
/// fewer than half of the draws have a score.
[[nodiscard]] BootstrapInterval bootstrap_interval(std::span<double> draws, double observed, double centre,
                                                   double tail);

/// P(N(0, 1) <= z); the quantile of Student's t, p in (0, 1).
[[nodiscard]] double normal_cdf(double z);
[[nodiscard]] double student_quantile(double p, std::size_t degrees);

}  // namespace striate
