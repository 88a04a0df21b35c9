#include "encode_fold_draws.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "encode_scores.hpp"
#include "striate/base/philox.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t draws = 200, most_pieces = 20;
constexpr std::uint64_t purpose = 0x666f6c6464726177;  // "folddraw"

std::size_t pieces_of(Config const& config, Inputs const& in) {
  return config.outer() ? std::min(in.folds, most_pieces) : 0;
}

/// What folds contribute to a layer's first score: numbers that add up over the drawn folds.
class Pieces {
 public:
  Pieces(Config const& config, Inputs const& in, ResultFile const& result, std::size_t layer,
         std::vector<std::size_t> const& targets)
      : concat_(config.aggregate == "concat"),
        rows_(concat_ ? moment_rows : 1),
        score_(scores_of(config)[0]),
        m_(targets.size()) {
    std::size_t const k = in.folds, t = in.t(), K = pieces_of(config, in);
    std::string const& name = in.layers[layer].name;
    auto const all =
        result.read<double>(concat_ ? moments_name(name) : "/" + name + "/score/" + config.scores[0] + "_fold");
    auto const weights = fold_weights(config, in);
    values_.assign(K, std::vector<double>(rows_ * m_, 0));
    weight_.assign(K, 0);
    for (std::size_t f = 0; f < k; ++f) {
      double const w = concat_ ? 1 : weights[f];
      std::size_t const piece = f * K / k;
      weight_[piece] += concat_ ? static_cast<double>(in.passes[f].outer.test.size()) : w;
      for (std::size_t r = 0; r < rows_; ++r)
        for (std::size_t i = 0; i < m_; ++i) values_[piece][r * m_ + i] += w * all[(f * rows_ + r) * t + targets[i]];
    }
  }

  /// Each piece so often.
  void draw(std::vector<std::size_t> const& times, std::vector<double>& out) {
    sum_.assign(rows_ * m_, 0);
    double weight = 0;
    for (std::size_t p = 0; p < values_.size(); ++p) {
      if (times[p] == 0) continue;
      auto const c = static_cast<double>(times[p]);
      weight += c * weight_[p];
      for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += c * values_[p][i];
    }
    out.resize(m_);
    for (std::size_t i = 0; i < m_; ++i)
      out[i] =
          concat_ ? score(score_, {weight, sum_[i], sum_[m_ + i], sum_[2 * m_ + i], sum_[3 * m_ + i], sum_[4 * m_ + i]})
                  : sum_[i] / weight;
  }

 private:
  bool concat_;
  std::size_t rows_;
  Score score_;
  std::size_t m_;
  std::vector<std::vector<double>> values_;  ///< [piece] → (rows, m)
  std::vector<double> weight_, sum_;         ///< of a piece: its weight; for concat its test rows
};

}  // namespace

std::vector<std::vector<std::int32_t>> best_over_fold_draws(Config const& config, Inputs const& in,
                                                            ResultFile const& result, std::size_t first,
                                                            std::size_t count,
                                                            std::vector<std::size_t> const& targets) {
  std::size_t const K = pieces_of(config, in), m = targets.size();
  if (K < 2 || m == 0) return {};
  std::vector<std::vector<std::size_t>> times(draws, std::vector<std::size_t>(K, 0));
  for (std::size_t d = 0; d < draws; ++d) {
    Philox random(static_cast<std::uint64_t>(config.seed), purpose, d);
    for (std::size_t i = 0; i < K; ++i) ++times[d][random.below(K)];
  }
  double const sign = better(scores_of(config)[0]);
  std::vector<std::vector<double>> best(draws, std::vector<double>(m, nan));
  std::vector<std::vector<std::int32_t>> layer(draws, std::vector<std::int32_t>(in.t(), 0));
  std::vector<double> values;
  for (std::size_t l = 0; l < count; ++l) {
    Pieces pieces(config, in, result, first + l, targets);
    for (std::size_t d = 0; d < draws; ++d) {
      pieces.draw(times[d], values);
      for (std::size_t i = 0; i < m; ++i)
        if (sign * values[i] > best[d][i] || (std::isnan(best[d][i]) && !std::isnan(values[i])))
          best[d][i] = sign * values[i], layer[d][targets[i]] = static_cast<std::int32_t>(l);
    }
  }
  return layer;
}

std::vector<double> fold_draw_errors(Config const& config, Inputs const& in,
                                     std::vector<std::vector<double>> const& drawn, std::size_t values) {
  std::vector<double> se(values, nan);
  auto const k = static_cast<double>(pieces_of(config, in)), n = static_cast<double>(drawn.size());
  if (drawn.empty()) return se;
  for (std::size_t v = 0; v < values; ++v) {
    double sum = 0, square = 0;
    for (auto const& one : drawn) sum += one[v];
    for (auto const& one : drawn) square += (one[v] - sum / n) * (one[v] - sum / n);
    se[v] = std::sqrt(square / (n - 1) * k / (k - 1));
  }
  return se;
}

}  // namespace striate::encode
