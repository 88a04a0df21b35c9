// Held-out responses permuted against the predictions of the fitted models: of a score's moments only Σ y f changes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "encode_rescore.hpp"
#include "encode_scores.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/stats/cross.hpp"
#include "striate/stats/ranks.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t most_paired = 64;  ///< blocks: 8 MiB of pairs for 512 targets
constexpr std::size_t most_batch = 32;  ///< trials whose products are made together, a strip of targets after the other
constexpr std::size_t batch_values = std::size_t{1} << 20;  ///< products that a batch holds, at most

/// Strips of targets as stats/cross.hpp takes them, and the moments of each target.
struct Side {
  Buffer<float> values;
  std::size_t rows = 0;
  std::vector<double> sum, square;

  void make(std::size_t count, std::size_t width) {
    rows = count;
    std::fill_n(values.grow(rows * width), rows * width, 0.0F);
    sum.assign(width, 0);
    square.assign(width, 0);
  }
  [[nodiscard]] float const* strip(std::size_t first) const { return values.data() + first * rows; }
  [[nodiscard]] float& at(std::size_t row, std::size_t t) const {
    return values.data()[t / cross_lanes * cross_lanes * rows + row * cross_lanes + t % cross_lanes];
  }
  void set(std::size_t row, std::size_t t, double value) {
    auto const v = static_cast<float>(value);
    at(row, t) = v;
    sum[t] += v;
    square[t] += static_cast<double>(v) * v;
  }
};

/// How one trial rearranges the rows of one fold, and the whole blocks where these move; signs empty: none.
struct Trial {
  std::vector<std::uint32_t> source, order;
  std::vector<float> sign;
  [[nodiscard]] float const* signs() const { return sign.empty() ? nullptr : sign.data(); }
};

/// Σ y f over pairs of blocks of neighbouring rows, where whole blocks change places: then a trial only adds.
struct BlockPairs {
  std::size_t blocks = 0, length = 0;
  std::vector<float> pairs;  ///< a strip after the other: blocks × blocks
  std::vector<double> rest;  ///< of the rows after the last whole block
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
    end_ = tile.end;
    batch_.clear();
    flag_.assign(folds_.size() * s_.inputs.folds * targets_, TargetFlag::ok);
    for (std::size_t f = 0; f < s_.inputs.folds; ++f) load_responses(f, tile.y);
    for (std::size_t l = 0; l < folds_.size(); ++l)
      for (std::size_t f = 0; f < s_.inputs.folds; ++f) {
        fit(l, f, tile);
        load_predictions(l, f);
        if (by_blocks(f)) pair_blocks(l, f);
      }
    line_start_.assign(folds_.size() * scores_.size() * targets_, 0);
    line_slope_.resize(line_start_.size() * s_.inputs.folds);
    for (std::size_t l = 0; on_lines() && l < folds_.size(); ++l) find_lines(l);
  }

  std::vector<double> identity() override {
    std::vector<double> scores;
    batch_.assign(1, std::vector<Trial>(s_.inputs.folds));
    for (std::size_t f = 0; f < s_.inputs.folds; ++f) {
      auto& source = batch_[0][f].source;
      source.resize(test(f).size());
      std::iota(source.begin(), source.end(), 0U);
    }
    products();
    all_scores(0, scores);
    batch_.clear();
    return scores;
  }

  void trial(std::uint64_t index, std::vector<double>& scores) override {
    if (batch_.empty() || index < batch_first_ || index - batch_first_ >= batch_.size()) make_batch(index);
    all_scores(index - batch_first_, scores);
  }

 private:
  void fit(std::size_t l, std::size_t f, TrialTile const& tile) {
    if (s_.config.model.alpha_per_target) return folds_[l][f]->tile(tile.y, result_, work_);
    auto const alpha = alphas_of(observed_, first_layer_ + l, f, s_.layout.t, tile);
    folds_[l][f]->tile_at(tile.y, alpha, result_, work_);
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
    std::vector<std::uint32_t> same(test(f).size() - whole);
    std::iota(same.begin(), same.end(), 0U);
    b.pairs.resize(b.blocks * b.blocks * width_);
    b.rest.resize(width_);
    for (std::size_t first = 0; first < width_; first += cross_lanes) {
      float const *y = y_[f].strip(first), *p = predicted_[l][f].strip(first);
      block_cross(y, p, b.blocks, b.length, b.pairs.data() + b.blocks * b.blocks * first);
      permuted_cross(y + whole * cross_lanes, p + whole * cross_lanes, same.data(), nullptr, same.size(),
                     b.rest.data() + first);
    }
  }

  void make_batch(std::uint64_t index) {
    std::size_t const k = s_.inputs.folds,
                      fits = std::clamp(batch_values / (folds_.size() * k * width_), std::size_t{1}, most_batch);
    batch_first_ = index;
    batch_.resize(std::min<std::uint64_t>(fits, end_ - index));
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      batch_[i].resize(k);
      for (std::size_t f = 0; f < k; ++f) {
        Trial& trial = batch_[i][f];
        permuters_[f].make(index + i, trial.source, trial.sign);
        if (!permuters_[f].flips()) trial.sign.clear();
      }
    }
    products();
  }

  /// Σ y f of each trial, layer, fold and target.
  void products() {
    std::size_t const k = s_.inputs.folds, L = folds_.size();
    cross_.resize(batch_.size() * L * k * width_);
    rank_cross_.resize(ranks_ ? cross_.size() : 0);
    for (std::size_t f = 0; f < k; ++f) {
      if (by_blocks(f)) order_blocks(f);
      for (std::size_t l = 0; l < L; ++l)
        for (std::size_t first = 0; first < width_; first += cross_lanes)
          for (std::size_t i = 0; i < batch_.size(); ++i) {
            std::size_t const to = ((i * L + l) * k + f) * width_ + first;
            cross(l, f, first, batch_[i][f], cross_.data() + to);
            if (ranks_)
              permuted_cross(rank_y_[f].strip(first), rank_predicted_[l][f].strip(first), batch_[i][f].source.data(),
                             nullptr, test(f).size(), rank_cross_.data() + to);
          }
    }
  }

  void order_blocks(std::size_t f) {
    auto const length = static_cast<std::uint32_t>(s_.config.permutation.block);
    for (auto& trial : batch_) {
      trial[f].order.resize(test(f).size() / length);
      for (std::size_t i = 0; i < trial[f].order.size(); ++i) trial[f].order[i] = trial[f].source[i * length] / length;
    }
  }

  /// Of the targets of a strip, responses rearranged.
  void cross(std::size_t l, std::size_t f, std::size_t first, Trial const& trial, double* out) const {
    if (!by_blocks(f)) {
      permuted_cross(y_[f].strip(first), predicted_[l][f].strip(first), trial.source.data(), trial.signs(),
                     test(f).size(), out);
      return;
    }
    BlockPairs const& b = pairs_[l][f];
    std::copy_n(b.rest.data() + first, cross_lanes, out);
    add_blocks(b.pairs.data() + b.blocks * b.blocks * first, trial.order.data(), b.blocks, out);
  }

  /// In the units of the model's predictions: see fold_moments.
  void load_responses(std::size_t f, MatrixView<float const> y) {
    y_[f].make(test(f).size(), width_);
    predicted_shift_.resize(targets_);
    for (std::size_t t = 0; t < targets_; ++t) {
      Units const units = units_of(s_.config, s_.inputs.passes[f], y, t);
      predicted_shift_[t] = units.predicted_shift;  // the same in all folds
      for (std::size_t i = 0; i < test(f).size(); ++i) y_[f].set(i, t, (y(test(f)[i], t) - units.shift) / units.sd);
    }
    if (ranks_) rank_side(y_[f], test(f).size(), rank_y_[f]);
  }

  /// Ranks less their mean; none where nothing varies, as score() has it.
  void rank_side(Side const& from, std::size_t rows, Side& to) {
    to.make(rows, width_);
    std::vector<double> values(rows), ranks(rows);
    for (std::size_t t = 0; t < targets_; ++t) {
      Moments m;
      for (std::size_t i = 0; i < rows; ++i) values[i] = from.at(i, t), m.add(0, values[i]);
      if (!std::isfinite(m.ff) || constant_prediction(m)) continue;
      striate::rank(values, ranks);
      for (std::size_t i = 0; i < rows; ++i) to.set(i, t, ranks[i] - 0.5 * static_cast<double>(rows + 1));
    }
  }

  void load_predictions(std::size_t l, std::size_t f) {
    std::size_t const e = test(f).size();
    Side& side = predicted_[l][f];
    side.make(e, width_);
    for (std::size_t t = 0; t < targets_; ++t) {
      flag_[(l * s_.inputs.folds + f) * targets_ + t] = result_.flag[t];
      if (result_.flag[t] != TargetFlag::ok) continue;
      for (std::size_t i = 0; i < e; ++i) side.set(i, t, result_.prediction[t * e + i] - predicted_shift_[t]);
    }
    if (ranks_) rank_side(side, e, rank_predicted_[l][f]);
  }

  /// A score of moments is a + b Σ y f: b of each score, fold and target as it goes into the mean over folds, and the
  /// sum of a over folds (NaN where a fold has no score). Only while nothing but Σ y f changes.
  void find_lines(std::size_t l) {
    std::size_t const S = scores_.size(), T = targets_, k = s_.inputs.folds;
    double const total = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    for (std::size_t s = 0; s < S; ++s)
      for (std::size_t f = 0; f < k; ++f)
        for (std::size_t t = 0; t < T; ++t) {
          double& start = line_start_[(l * S + s) * T + t];
          Side const &a = y_[f], &b = predicted_[l][f];
          Moments const m{static_cast<double>(test(f).size()), a.sum[t], a.square[t], b.sum[t], b.square[t], 0};
          bool const ok = flag_[(l * k + f) * T + t] == TargetFlag::ok;
          double const at_none = ok ? score(scores_[s], m) : nan, weight = weights_[f] / total;
          start += weight * at_none;
          line_slope_[((l * S + s) * k + f) * T + t] = weight * slope(scores_[s], m);
        }
  }

  /// Of a score in Σ y f.
  static double slope(Score which, Moments const& m) {
    double const total = m.yy - m.y * m.y / m.n, spread = m.ff - m.f * m.f / m.n;
    if (which == Score::mse) return -2 / m.n;
    if (which != Score::pearson) return 2 / total;
    return constant_prediction(m) ? 0 : 1 / std::sqrt(total * spread);
  }

  /// Whether find_lines holds for every trial.
  [[nodiscard]] bool on_lines() const {
    return !ranks_ && s_.config.aggregate != "concat" && !permuters_[0].flips();
  }

  void along_lines(std::size_t trial, std::size_t l, std::span<double> out) const {
    std::size_t const S = scores_.size(), T = targets_, k = s_.inputs.folds;
    std::copy_n(line_start_.begin() + static_cast<std::ptrdiff_t>(l * S * T), S * T, out.begin());
    for (std::size_t f = 0; f < k; ++f) {
      double const* const cross = cross_.data() + ((trial * folds_.size() + l) * k + f) * width_;
      for (std::size_t s = 0; s < S; ++s) {
        double const* const slope = line_slope_.data() + ((l * S + s) * k + f) * T;
        double* const to = out.data() + s * T;
        for (std::size_t t = 0; t < T; ++t) to[t] += slope[t] * cross[t];
      }
    }
  }

  /// Of trial i of the batch.
  void all_scores(std::size_t i, std::vector<double>& out) {
    std::size_t const S = scores_.size(), T = targets_;
    out.resize(folds_.size() * S * T);
    for (std::size_t l = 0; l < folds_.size(); ++l) {
      auto const of_layer = std::span(out).subspan(l * S * T, S * T);
      on_lines() ? along_lines(i, l, of_layer) : layer(i, l, of_layer);
    }
  }

  void layer(std::size_t trial, std::size_t l, std::span<double> out) {
    bool const concat = s_.config.aggregate == "concat";
    std::size_t const S = scores_.size(), T = targets_, k = s_.inputs.folds;
    by_fold_.assign(S, std::vector<double>(concat ? 0 : k * T, nan));
    moments_.assign(concat ? k * moment_rows * T : 0, nan);
    for (std::size_t f = 0; f < k; ++f) {
      Side const& a = y_[f];
      Side const& b = predicted_[l][f];
      std::size_t const e = test(f).size();
      Trial const& how = batch_[trial][f];
      float const* const sign = how.signs();
      std::size_t const at = ((trial * folds_.size() + l) * k + f) * width_;
      for (std::size_t t = 0; t < T; ++t) {
        if (flag_[(l * k + f) * T + t] != TargetFlag::ok) continue;
        double sum = a.sum[t];
        if (sign != nullptr) {
          sum = 0;
          for (std::size_t i = 0; i < e; ++i) sum += static_cast<double>(sign[i]) * a.at(how.source[i], t);
        }
        Moments const m{static_cast<double>(e), sum, a.square[t], b.sum[t], b.square[t], cross_[at + t]};
        double const all[moment_rows] = {m.y, m.yy, m.f, m.ff, m.yf};
        for (std::size_t r = 0; concat && r < moment_rows; ++r) moments_[(f * moment_rows + r) * T + t] = all[r];
        for (std::size_t s = 0; !concat && s < S; ++s)
          by_fold_[s][f * T + t] =
              scores_[s] == Score::spearman ? rank_score(l, f, t, rank_cross_[at + t]) : score(scores_[s], m);
      }
    }
    for (std::size_t s = 0; s < S; ++s) {
      auto const values = concat ? concatenated(s_.inputs, scores_[s], moments_, T) : averaged(weights_, by_fold_[s]);
      std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(s * T));
    }
  }

  [[nodiscard]] double rank_score(std::size_t l, std::size_t f, std::size_t t, double cross) const {
    Side const& a = rank_y_[f];
    Side const& b = rank_predicted_[l][f];
    auto const e = static_cast<double>(test(f).size());
    return score(Score::pearson, {e, a.sum[t], a.square[t], b.sum[t], b.square[t], cross});
  }

  Shared const& s_;
  Observed const& observed_;
  Folds const& folds_;
  std::size_t first_layer_;
  std::vector<double> weights_;
  std::vector<Score> scores_;
  bool ranks_;
  std::vector<Permuter> permuters_;  ///< per fold, of its test rows
  std::size_t targets_ = 0, width_ = 0;
  std::vector<Side> y_, rank_y_;                               ///< per fold
  std::vector<std::vector<Side>> predicted_, rank_predicted_;  ///< per layer and fold
  std::vector<std::vector<BlockPairs>> pairs_;                 ///< per layer and fold
  std::vector<TargetFlag> flag_;         ///< [layer][fold][target]
  std::vector<double> predicted_shift_;  ///< of each target
  std::uint64_t end_ = 0, batch_first_ = 0;
  std::vector<std::vector<Trial>> batch_;   ///< [trial from batch_first_][fold]
  std::vector<double> cross_, rank_cross_;  ///< [trial][layer][fold][width]
  std::vector<double> line_start_, line_slope_;  ///< [layer][score][target], [layer][score][fold][target]
  std::vector<double> moments_;
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
