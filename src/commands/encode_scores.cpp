#include "encode_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "striate/stats/ranks.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double better(Score score) { return score == Score::mse ? -1 : 1; }

std::vector<double> fold_weights(Config const& config, Inputs const& inputs) {
  std::vector<double> weight(score_rows(config, inputs), 1);
  for (std::size_t i = 0; i < weight.size() && config.aggregate == "weighted"; ++i)
    weight[i] = static_cast<double>(inputs.passes[i].outer.test.size());
  return weight;
}

std::vector<double> averaged(std::span<double const> weights, std::span<double const> fold) {
  std::size_t const k = weights.size(), t = fold.size() / k;
  std::vector<double> out(t, 0);
  double const total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j < t; ++j) out[j] += weights[i] * fold[i * t + j];
  for (double& value : out) value /= total;
  return out;
}

Units units_of(Config const& config, FoldPlan const& plan, MatrixView<float const> y, std::size_t target) {
  if (!config.responses.standardize) {
    double const shift = std::isfinite(y(0, target)) ? y(0, target) : 0;  // row 0 may be in no fold
    return {shift, 1, shift};
  }
  auto const& train = plan.outer.train;
  double mean = 0, square = 0;
  for (auto r : train) mean += y(r, target);
  mean /= static_cast<double>(train.size());
  for (auto r : train) square += (y(r, target) - mean) * (y(r, target) - mean);
  return {mean, std::sqrt(square / static_cast<double>(train.size())), 0};
}

void fold_moments(Config const& config, FoldPlan const& plan, MatrixView<float const> y, TileResult const& result,
                  std::vector<double>& out) {
  auto const& test = plan.outer.test;
  out.assign(moment_rows * y.cols, nan);
  for (std::size_t c = 0; c < y.cols; ++c) {
    if (result.flag[c] != TargetFlag::ok) continue;
    Units const units = units_of(config, plan, y, c);
    Moments m;
    for (std::size_t i = 0; i < test.size(); ++i) {
      double const predicted = result.prediction[c * test.size() + i];
      m.add((y(test[i], c) - units.shift) / units.sd, predicted - units.predicted_shift);
    }
    double const sums[moment_rows] = {m.y, m.yy, m.f, m.ff, m.yf};
    for (std::size_t k = 0; k < moment_rows; ++k) out[k * y.cols + c] = sums[k];
  }
}

void add_spearman(Config const& config, FoldPlan const& plan, MatrixView<float const> y, TileResult& r) {
  auto const place = std::ranges::find(config.scores, "spearman") - config.scores.begin();
  if (place == static_cast<std::ptrdiff_t>(config.scores.size())) return;
  auto const& test = plan.outer.test;
  std::vector<double> truth(test.size()), predicted(test.size()), values(y.cols, nan);
  for (std::size_t c = 0; c < y.cols; ++c) {
    if (r.flag[c] != TargetFlag::ok) continue;
    double mean = 0;  // from which predictions deviate
    for (std::size_t i = 0; !config.responses.standardize && i < plan.outer.train.size(); ++i)
      mean += y(plan.outer.train[i], c) / static_cast<double>(plan.outer.train.size());
    for (std::size_t i = 0; i < test.size(); ++i) {
      truth[i] = y(test[i], c);
      predicted[i] = r.prediction[c * test.size() + i] - mean;
    }
    values[c] = spearman(truth, predicted);
  }
  r.score.insert(r.score.begin() + place * static_cast<std::ptrdiff_t>(y.cols), values.begin(), values.end());
}

void response_scales(FoldPlan const& plan, MatrixView<float const> y, TileResult const& result, std::vector<double>& mean,
                     std::vector<double>& sd) {
  auto const& train = plan.outer.train;
  mean.assign(y.cols, nan), sd.assign(y.cols, nan);
  for (std::size_t c = 0; c < y.cols; ++c) {
    if (result.flag[c] != TargetFlag::ok) continue;
    double sum = 0, square = 0;
    for (auto r : train) sum += y(r, c);
    mean[c] = sum / static_cast<double>(train.size());
    for (auto r : train) square += (y(r, c) - mean[c]) * (y(r, c) - mean[c]);
    sd[c] = std::sqrt(square / static_cast<double>(train.size()));
  }
}

std::vector<double> concatenated(Inputs const& inputs, Score which, std::span<double const> moments, std::size_t t) {
  std::vector<double> out(t, nan);
  for (std::size_t j = 0; j < t; ++j) {
    Moments sum;
    for (std::size_t i = 0; i < inputs.folds; ++i) {
      auto const at = [&](std::size_t k) { return moments[(i * moment_rows + k) * t + j]; };
      Moments m;
      m.n = static_cast<double>(inputs.passes[i].outer.test.size());
      m.y = at(0), m.yy = at(1), m.f = at(2), m.ff = at(3), m.yf = at(4);
      sum.add(m);
    }
    if (std::isfinite(sum.yy)) out[j] = score(which, sum);
  }
  return out;
}

std::vector<double> layer_scores(Config const& config, Inputs const& inputs, ResultFile const& result,
                                 std::size_t layer, std::size_t score) {
  std::string const& name = inputs.layers[layer].name;
  if (config.aggregate == "concat")
    return concatenated(inputs, scores_of(config)[score], result.read<double>(moments_name(name)), inputs.t());
  return averaged(fold_weights(config, inputs),
                  result.read<double>("/" + name + "/score/" + config.scores[score] + "_fold"));
}

}  // namespace striate::encode
