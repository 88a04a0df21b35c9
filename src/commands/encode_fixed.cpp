// Held-out responses permuted against the predictions of the fitted models: of a score's moments only Σ y f changes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "encode_rescore.hpp"
#include "encode_scores.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/stats/cross.hpp"
#include "striate/stats/ranks.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t most_paired = 64;  ///< blocks: 16 MiB of pairs for 512 targets

/// Rows × width, row-major, and the moments of each column.
struct Side {
  Buffer<float> values;
  std::vector<double> sum, square;

  void make(std::size_t rows, std::size_t width) {
    std::fill_n(values.grow(rows * width), rows * width, 0.0F);
    sum.assign(width, 0);
    square.assign(width, 0);
  }
  void set(std::size_t row, std::size_t width, std::size_t t, double value) {
    auto const v = static_cast<float>(value);
    values.data()[row * width + t] = v;
    sum[t] += v;
    square[t] += static_cast<double>(v) * v;
  }
};

/// Σ y f over pairs of blocks of neighbouring rows, where whole blocks change places: then a trial only adds.
struct BlockPairs {
  std::size_t blocks = 0, length = 0;
  std::vector<double> pairs, rest;  ///< blocks × blocks × width; of the rows after the last whole block
};

class FixedModel final : public Rescorer {
 public:
  FixedModel(Shared const& shared, Observed const& observed, Folds const& folds, std::size_t first_layer)
      : s_(shared),
        observed_(observed),
        folds_(folds),
        first_layer_(first_layer),
        weights_(fold_weights(shared.config, shared.inputs)),
        scores_(scores_of(shared.config)),
        ranks_(std::ranges::find(scores_, Score::spearman) != scores_.end()),
        y_(shared.inputs.folds),
        rank_y_(ranks_ ? shared.inputs.folds : 0) {
    for (std::size_t f = 0; f < shared.inputs.folds; ++f)
      permuters_.push_back(make_permuter(shared.config, shared.inputs, test(f), f + 1));
    for (std::size_t l = 0; l < folds.size(); ++l) {
      predicted_.emplace_back(shared.inputs.folds);
      rank_predicted_.emplace_back(rank_y_.size());
      pairs_.emplace_back(shared.inputs.folds);
    }
  }

  void begin(TrialTile const& tile) override {
    targets_ = tile.y.cols;
    width_ = round_up(targets_, cross_lanes);
    flag_.assign(folds_.size() * s_.inputs.folds * targets_, TargetFlag::ok);
    for (std::size_t f = 0; f < s_.inputs.folds; ++f) load_responses(f, tile.y);
    for (std::size_t l = 0; l < folds_.size(); ++l)
      for (std::size_t f = 0; f < s_.inputs.folds; ++f) {
        fit(l, f, tile);
        load_predictions(l, f, tile.y);
        if (by_blocks(f)) pair_blocks(l, f);
      }
  }

  std::vector<double> identity() override {
    std::vector<double> scores;
    sources_.assign(s_.inputs.folds, {});
    signs_.assign(s_.inputs.folds, {});
    for (std::size_t f = 0; f < s_.inputs.folds; ++f)
      for (std::uint32_t i = 0; i < test(f).size(); ++i) sources_[f].push_back(i);
    all_scores(scores);
    return scores;
  }

  void trial(std::uint64_t index, std::vector<double>& scores) override {
    sources_.resize(s_.inputs.folds);
    signs_.resize(s_.inputs.folds);
    for (std::size_t f = 0; f < s_.inputs.folds; ++f) {
      permuters_[f].make(index, sources_[f], signs_[f]);
      if (!permuters_[f].flips()) signs_[f].clear();
    }
    all_scores(scores);
  }

 private:
  void fit(std::size_t l, std::size_t f, TrialTile const& tile) {
    if (s_.config.model.alpha_per_target) return folds_[l][f]->tile(tile.y, result_, work_);
    auto const& alpha = observed_.alpha[first_layer_ + l];
    folds_[l][f]->tile_at(tile.y, std::span(alpha).subspan(f * s_.layout.t + tile.first, targets_), result_, work_);
  }

  [[nodiscard]] std::vector<std::uint32_t> const& test(std::size_t f) const { return s_.inputs.passes[f].outer.test; }

  /// Neighbouring rows make a block, so that an order of blocks says everything; few enough for all their pairs.
  [[nodiscard]] bool by_blocks(std::size_t f) const {
    auto const length = static_cast<std::size_t>(s_.config.permutation.block);
    return length > 1 && !s_.config.permutation.exchange && test(f).size() / length <= most_paired;
  }

  void pair_blocks(std::size_t l, std::size_t f) {
    BlockPairs& b = pairs_[l][f];
    b.length = static_cast<std::size_t>(s_.config.permutation.block);
    b.blocks = test(f).size() / b.length;
    std::size_t const whole = b.blocks * b.length;
    float const* const y = y_[f].values.data();
    float const* const p = predicted_[l][f].values.data();
    b.pairs.resize(b.blocks * b.blocks * width_);
    block_cross(y, p, b.blocks, b.length, width_, b.pairs.data());
    std::vector<std::uint32_t> same(test(f).size() - whole);
    for (std::uint32_t i = 0; i < same.size(); ++i) same[i] = i;
    b.rest.resize(width_);
    permuted_cross(y + whole * width_, p + whole * width_, same.data(), nullptr, same.size(), width_, b.rest.data());
  }

  /// Σ y f of each target, responses rearranged.
  void cross(std::size_t l, std::size_t f, float const* sign) {
    if (!by_blocks(f)) {
      permuted_cross(y_[f].values.data(), predicted_[l][f].values.data(), sources_[f].data(), sign, test(f).size(),
                     width_, cross_.data());
      return;
    }
    BlockPairs const& b = pairs_[l][f];
    order_.resize(b.blocks);
    for (std::size_t i = 0; i < b.blocks; ++i)
      order_[i] = sources_[f][i * b.length] / static_cast<std::uint32_t>(b.length);
    cross_ = b.rest;
    add_blocks(b.pairs.data(), order_.data(), b.blocks, width_, cross_.data());
  }

  /// In the units of the model's predictions: see fold_moments.
  void load_responses(std::size_t f, MatrixView<float const> y) {
    auto const& train = s_.inputs.passes[f].outer.train;
    bool const scaled = s_.config.responses.standardize;
    y_[f].make(test(f).size(), width_);
    for (std::size_t t = 0; t < targets_; ++t) {
      double mean = 0, square = 0;
      for (auto r : train) mean += y(r, t);
      mean /= static_cast<double>(train.size());
      for (auto r : train) square += (y(r, t) - mean) * (y(r, t) - mean);
      double const sd = scaled ? std::sqrt(square / static_cast<double>(train.size())) : 1;
      if (!scaled) mean = std::isfinite(y(0, t)) ? y(0, t) : 0;  // one constant for all folds
      for (std::size_t i = 0; i < test(f).size(); ++i) y_[f].set(i, width_, t, (y(test(f)[i], t) - mean) / sd);
    }
    if (ranks_) rank_side(y_[f], test(f).size(), rank_y_[f]);
  }

  /// Ranks less their mean; none where nothing varies, as score() has it.
  void rank_side(Side const& from, std::size_t rows, Side& to) {
    to.make(rows, width_);
    std::vector<double> values(rows), ranks(rows);
    for (std::size_t t = 0; t < targets_; ++t) {
      Moments m;
      for (std::size_t i = 0; i < rows; ++i) values[i] = from.values.data()[i * width_ + t], m.add(0, values[i]);
      if (!std::isfinite(m.ff) || constant_prediction(m)) continue;
      striate::rank(values, ranks);
      for (std::size_t i = 0; i < rows; ++i) to.set(i, width_, t, ranks[i] - 0.5 * static_cast<double>(rows + 1));
    }
  }

  void load_predictions(std::size_t l, std::size_t f, MatrixView<float const> y) {
    std::size_t const e = test(f).size();
    Side& side = predicted_[l][f];
    side.make(e, width_);
    bool const scaled = s_.config.responses.standardize;
    for (std::size_t t = 0; t < targets_; ++t) {
      flag_[(l * s_.inputs.folds + f) * targets_ + t] = result_.flag[t];
      if (result_.flag[t] != TargetFlag::ok) continue;
      double const shift = scaled ? 0 : std::isfinite(y(0, t)) ? y(0, t) : 0;
      for (std::size_t i = 0; i < e; ++i) side.set(i, width_, t, result_.prediction[t * e + i] - shift);
    }
    if (ranks_) rank_side(side, e, rank_predicted_[l][f]);
  }

  void all_scores(std::vector<double>& out) {
    std::size_t const S = scores_.size(), T = targets_;
    out.resize(folds_.size() * S * T);
    for (std::size_t l = 0; l < folds_.size(); ++l) layer(l, std::span(out).subspan(l * S * T, S * T));
  }

  void layer(std::size_t l, std::span<double> out) {
    bool const concat = s_.config.aggregate == "concat";
    std::size_t const S = scores_.size(), T = targets_, k = s_.inputs.folds;
    by_fold_.assign(S, std::vector<double>(concat ? 0 : k * T, nan));
    moments_.assign(concat ? k * moment_rows * T : 0, nan);
    for (std::size_t f = 0; f < k; ++f) {
      Side const& a = y_[f];
      Side const& b = predicted_[l][f];
      std::size_t const e = test(f).size();
      cross_.resize(width_);
      rank_cross_.resize(width_);
      float const* const sign = signs_[f].empty() ? nullptr : signs_[f].data();
      cross(l, f, sign);
      if (ranks_)
        permuted_cross(rank_y_[f].values.data(), rank_predicted_[l][f].values.data(), sources_[f].data(), nullptr, e,
                       width_, rank_cross_.data());
      for (std::size_t t = 0; t < T; ++t) {
        if (flag_[(l * k + f) * T + t] != TargetFlag::ok) continue;
        double sum = a.sum[t];
        if (sign != nullptr) {
          sum = 0;
          for (std::size_t i = 0; i < e; ++i) sum += static_cast<double>(sign[i]) * a.values.data()[sources_[f][i] * width_ + t];
        }
        Moments const m{static_cast<double>(e), sum, a.square[t], b.sum[t], b.square[t], cross_[t]};
        double const all[moment_rows] = {m.y, m.yy, m.f, m.ff, m.yf};
        for (std::size_t r = 0; concat && r < moment_rows; ++r) moments_[(f * moment_rows + r) * T + t] = all[r];
        for (std::size_t s = 0; !concat && s < S; ++s)
          by_fold_[s][f * T + t] =
              scores_[s] == Score::spearman ? rank_score(l, f, t) : score(scores_[s], m);
      }
    }
    for (std::size_t s = 0; s < S; ++s) {
      auto const values = concat ? concatenated(s_.inputs, scores_[s], moments_, T) : averaged(weights_, by_fold_[s]);
      std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(s * T));
    }
  }

  [[nodiscard]] double rank_score(std::size_t l, std::size_t f, std::size_t t) const {
    Side const& a = rank_y_[f];
    Side const& b = rank_predicted_[l][f];
    auto const e = static_cast<double>(test(f).size());
    return score(Score::pearson, {e, a.sum[t], a.square[t], b.sum[t], b.square[t], rank_cross_[t]});
  }

  Shared const& s_;
  Observed const& observed_;
  Folds const& folds_;
  std::size_t first_layer_;
  std::vector<double> weights_;
  std::vector<Score> scores_;
  bool ranks_;
  std::vector<Permuter> permuters_;           ///< per fold, of its test rows
  std::size_t targets_ = 0, width_ = 0;
  std::vector<Side> y_, rank_y_;                               ///< per fold
  std::vector<std::vector<Side>> predicted_, rank_predicted_;  ///< per layer and fold
  std::vector<std::vector<BlockPairs>> pairs_;                 ///< per layer and fold
  std::vector<std::uint32_t> order_;
  std::vector<TargetFlag> flag_;              ///< [layer][fold][target]
  std::vector<std::vector<std::uint32_t>> sources_;
  std::vector<std::vector<float>> signs_;
  std::vector<double> cross_, rank_cross_, moments_;
  std::vector<std::vector<double>> by_fold_;
  TileResult result_;
  Workspace work_;
};

}  // namespace

std::unique_ptr<Rescorer> make_fixed_model(Shared const& shared, Observed const& observed, Folds const& folds,
                                           std::size_t first_layer) {
  return std::make_unique<FixedModel>(shared, observed, folds, first_layer);
}

}  // namespace striate::encode
