#pragma once
/// Scores of many draws of held-out rows. A score of a draw follows from weighted sums of y, y², f, f² and y f over its
/// rows: products of the matrix of draws × rows (how often each row is drawn) with five columns a target.
///
/// Sums are taken of deviations from a fold's means, in float32 (panel_product: a target's do not depend on its
/// neighbours), and are put together in float64.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "striate/math/buffer.hpp"
#include "striate/stats/bootstrap.hpp"
#include "striate/stats/scores.hpp"

namespace striate {

/// What is drawn and how a draw is scored; the same for all targets.
struct BootstrapShape {
  std::vector<Score> scores;                      ///< of moments
  bool concat = false;                            ///< one score of the rows of all folds, else a mean over folds
  std::vector<std::vector<std::uint32_t>> tests;  ///< rows that each fold tests
  std::vector<double> weight;                     ///< of each fold in the mean
  std::size_t layers = 1, rows = 0;               ///< models; rows that the resampler knows
};

/// One thread's; memory is kept from tile to tile.
class BootstrapScores {
 public:
  /// Both must outlive it.
  BootstrapScores(BootstrapShape const& shape, Resampler const& resampler);
  void begin(std::size_t targets, std::size_t draws);
  /// Of the rows that the fold tests, in its order; concat: in units in which folds can be put together.
  void set_responses(std::size_t fold, std::size_t target, std::span<double const> y);
  /// After the responses. NaN: the target has no score.
  void set_predictions(std::size_t layer, std::size_t fold, std::size_t target, std::span<double const> f);
  void run();
  /// (draws), NaN where a draw has no score: its responses do not vary in a fold.
  [[nodiscard]] std::span<float const> drawn(std::size_t layer, std::size_t score, std::size_t target) const;
  /// The score from which draws deviate. R² (not concat) has the offset of a fold's predictions without what the test
  /// mean adds to it by chance: the chance of a draw comes on top, once.
  [[nodiscard]] double centre(std::size_t layer, std::size_t score, std::size_t target) const;

 private:
  /// Sums over the rows of a draw of deviations from the fold's means.
  struct Sums {
    double n, y, yy, f, ff, yf;
  };
  struct Means {
    double y = 0, f = 0, offset = 0;  ///< offset: of predictions, as R² of a draw takes it
  };
  [[nodiscard]] double of_fold(Score s, Sums const& sums, Means const& means) const;
  void add_fold(std::size_t layer, std::size_t fold, std::size_t count, std::span<float const> by_y,
                std::span<float const> by_f, std::size_t stride);
  void pack(std::size_t first, std::size_t count);
  void centres();
  [[nodiscard]] std::size_t at(std::size_t layer, std::size_t fold, std::size_t target) const {
    return (layer * shape_.tests.size() + fold) * targets_ + target;
  }

  BootstrapShape const& shape_;
  Resampler const& resampler_;
  std::size_t targets_ = 0, width_ = 0, draws_ = 0;
  std::vector<Buffer<float>> y_;                 ///< [fold]: rows × 2 width: y | y²
  std::vector<Buffer<float>> f_;                 ///< [layer × fold]: rows × 3 width: f | f² | y f
  std::vector<Means> means_;                     ///< [layer][fold][target]
  std::vector<Buffer<float>> packed_;            ///< [fold]
  std::vector<std::vector<double>> drawn_rows_;  ///< [fold]: rows of each draw of the block
  Buffer<float> by_y_, by_f_, scratch_;
  std::vector<float> weights_;
  std::vector<double> sums_;    ///< [layer][score][target][draw of the block]; concat: [layer][moment][target][draw]
  std::vector<double> total_;   ///< [draw of the block]: weights of the folds
  std::vector<float> scores_;   ///< [layer][score][target][draw]
  std::vector<double> centre_;  ///< [layer][score][target]
};

}  // namespace striate
