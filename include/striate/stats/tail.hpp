#pragma once
/// p-values beyond what permutations count: a generalised Pareto distribution fitted to the tail of the null
/// distribution (Knijnenburg et al. 2009, Bioinformatics 25:i161; Winkler et al. 2016, NeuroImage 141:502).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace striate {

/// P(X > x) = (1 + shape x / scale)^(-1/shape) of excesses x >= 0; exp(-x / scale) for shape 0.
struct Pareto {
  double shape = 0, scale = 1;
  [[nodiscard]] double beyond(double excess) const;
};
/// Greatest likelihood (Grimshaw 1993, Technometrics 35:185). Excesses >= 0, in any order; a shape below -0.5, where
/// the likelihood has no regular maximum, is not taken.
[[nodiscard]] Pareto fit_pareto(std::span<double const> excess);
/// Anderson and Darling's A² of excesses (ascending) under a fit, and whether it is below the 5 % point for a shape and
/// a scale that were fitted (Choulakian and Stephens 2001, Technometrics 43:478, Table 2).
[[nodiscard]] double anderson_darling(std::span<double const> excess, Pareto const& fit);
[[nodiscard]] bool fits(std::span<double const> excess, Pareto const& fit);

/// What is known of a shape before: normal with this mean and deviation.
struct ShapePrior {
  double mean = 0, deviation = 1;
};
/// Of the null scores of a target. Scores are means over many rows, so that they are nearly normal or bounded, and the
/// shape is a little below 0; without this p of 1/n comes by chance 1.2 to 1.5 times as often as it says.
inline constexpr ShapePrior score_shape{-0.1, 0.1};
/// Of scores made of squared errors (R², explained variance, mse), whose null values are skewed.
inline constexpr ShapePrior squares_shape{0.1, 0.15};

/// What a tail says of values that are yet to come: fits of every shape, weighed by how likely they make the excesses
/// and by the prior (none: a shape is as likely as another before). The best fit alone is too sure of itself: at 100
/// values its shape is off by 0.1, and where that is below 0 the tail ends too early.
class ParetoMixture {
 public:
  explicit ParetoMixture(std::span<double const> excess, std::optional<ShapePrior> const& prior = {});
  [[nodiscard]] double beyond(double excess) const;

 private:
  std::vector<Pareto> fits_;
  std::vector<double> weights_;
};

inline constexpr std::size_t least_tail = 30;  ///< values that a tail is fitted to, at least
inline constexpr std::size_t counted_exceed =
    10;  ///< p is that of counting where so many values reach the observed one

/// Values that the tail of a target is fitted to, at most, and those that are kept of its null scores: one more, below
/// which the tail begins. The same for any number of permutations, so that more of them can be added.
inline constexpr std::size_t target_tail = 250, kept_tail = target_tail + 1;

/// The greatest `keep` values of each of several targets, whatever order they come in.
class Greatest {
 public:
  Greatest(std::size_t targets, std::size_t keep) : keep_(keep), count_(targets, 0), values_(targets * keep) {}
  /// Not NaN.
  void add(std::size_t target, float value) {
    if (count_[target] < keep_ || value > values_[target * keep_]) insert(target, value);
  }
  /// targets × keep, each target's descending; NaN in the places of values that never came. Empties it.
  [[nodiscard]] std::vector<float> take();

 private:
  void insert(std::size_t target, float value);
  std::size_t keep_;
  std::vector<std::uint32_t> count_;
  std::vector<float> values_;  ///< a heap a target, its least value first
};

/// The upper tail of null values.
class NullTail {
 public:
  /// Fits the greatest quarter, then ever fewer values (a tenth less each time) until the fit is good; none where it
  /// never is, or where there are fewer than 4 · least_tail values.
  explicit NullTail(std::span<double const> null);
  /// Of a target's `n` null scores only the greatest (kept_tail of them, or all): fits a quarter of n, target_tail at
  /// most.
  NullTail(std::span<float const> greatest, std::size_t n, ShapePrior const& prior);
  [[nodiscard]] bool fitted() const { return tail_ > 0; }
  [[nodiscard]] Pareto const& fit() const { return fit_; }
  [[nodiscard]] std::size_t values() const { return tail_; }
  /// (exceed + 1)/(n + 1) where counted_exceed or more null values reach `observed`, or nothing could be fitted; else
  /// the tail's (ParetoMixture), no greater than the least counted one, and no less than 1/(100 (n + 1)): what lies
  /// further out is not known from n values. Never grows with `observed`. NaN for NaN.
  [[nodiscard]] double p(double observed) const;
  /// The same where `exceed` null values are known to reach `observed`.
  [[nodiscard]] double p(double observed, std::size_t exceed) const;

 private:
  void fit(std::size_t most, std::optional<ShapePrior> const& prior);
  std::vector<double> sorted_;  ///< ascending; the greatest of n_
  std::size_t n_;
  std::size_t tail_ = 0;
  double threshold_ = 0;
  Pareto fit_;
  std::optional<ParetoMixture> mixture_;
};

/// Of every observed value.
[[nodiscard]] std::vector<double> tail_p(std::span<double const> observed, std::span<double const> null);

}  // namespace striate
