// Permuted responses through the whole procedure: the fits' hat matrices do not depend on responses, so that a trial
// costs what a tile costs.
#include "encode_rescore.hpp"
#include "encode_scores.hpp"

namespace striate::encode {
namespace {

class Refitting final : public Rescorer {
 public:
  Refitting(Shared const& shared, Observed const& observed, Folds const& folds, std::size_t first_layer)
      : s_(shared),
        observed_(observed),
        folds_(folds),
        first_layer_(first_layer),
        rows_(used_rows(shared.inputs)),
        permuter_(make_permuter(shared.config, shared.inputs, rows_, 0)),
        weights_(fold_weights(shared.config, shared.inputs)),
        scores_(scores_of(shared.config)),
        fixed_(shared.config.permutation.scheme == "fixed_alpha") {}

  void begin(TrialTile const& tile) override {
    tile_ = tile;
    y_.resize(tile.y.rows * tile.y.cols);
  }

  void trial(std::uint64_t index, std::vector<double>& scores) override {
    rearrange(index);
    std::size_t const T = tile_.y.cols, S = scores_.size();
    MatrixView<float const> const y(y_.data(), tile_.y.rows, T);
    scores.resize(folds_.size() * S * T);
    for (std::size_t l = 0; l < folds_.size(); ++l) layer(l, y, std::span(scores).subspan(l * S * T, S * T));
  }

  /// The fits' scores, but where they depend on the tile in the last digits.
  std::vector<double> identity() override {
    std::vector<double> scores;
    if (s_.config.engine == "blas") return scores;
    std::size_t const T = tile_.y.cols, size = scores_.size() * T;
    scores.resize(folds_.size() * size);
    for (std::size_t l = 0; l < folds_.size(); ++l) layer(l, tile_.y, std::span(scores).subspan(l * size, size));
    return scores;
  }

 private:
  void rearrange(std::uint64_t index) {
    permuter_.make(index, source_, sign_);
    std::size_t const n = tile_.y.rows, used = rows_.size();
    for (std::size_t c = 0; c < tile_.y.cols; ++c) {
      float const* const from = tile_.y.col(c);
      float* const to = y_.data() + c * n;
      if (used < n) std::copy_n(from, n, to);
      if (!permuter_.flips()) {
        for (std::size_t i = 0; i < used; ++i) to[rows_[i]] = from[rows_[source_[i]]];
        continue;
      }
      double mean = 0;  // signs of deviations: those of raw responses would test their mean
      for (auto row : rows_) mean += from[row];
      mean /= static_cast<double>(used);
      for (std::size_t i = 0; i < used; ++i)
        to[rows_[i]] = static_cast<float>(mean + sign_[i] * (from[rows_[i]] - mean));
    }
  }

  void layer(std::size_t l, MatrixView<float const> y, std::span<double> out) {
    bool const concat = s_.config.aggregate == "concat", outer = s_.config.outer();
    std::size_t const T = y.cols, S = scores_.size();
    by_fold_.assign(S, {});
    moments_.clear();
    for (std::size_t f = 0; f < folds_[l].size(); ++f) {
      if (fixed_) {
        auto const alpha = alphas_of(observed_, first_layer_ + l, f, s_.layout.t, tile_);
        folds_[l][f]->tile_at(y, alpha, result_, work_);
      } else {
        folds_[l][f]->tile(y, result_, work_);
      }
      if (concat) {
        fold_moments(s_.config, s_.inputs.passes[f], y, result_, one_);
        moments_.insert(moments_.end(), one_.begin(), one_.end());
        continue;
      }
      if (outer) add_spearman(s_.config, s_.inputs.passes[f], y, result_);
      std::size_t const rows = outer ? 1 : inner_rows(s_.inputs.passes[f]);
      for (std::size_t s = 0; s < S; ++s)
        for (std::size_t r = 0; r < rows; ++r) {
          double const* const from = outer ? &result_.score[s * T] : &result_.inner_score[(r * S + s) * T];
          by_fold_[s].insert(by_fold_[s].end(), from, from + T);
        }
    }
    for (std::size_t s = 0; s < S; ++s) {
      auto const values = concat ? concatenated(s_.inputs, scores_[s], moments_, T) : averaged(weights_, by_fold_[s]);
      std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(s * T));
    }
  }

  Shared const& s_;
  Observed const& observed_;
  Folds const& folds_;
  std::size_t first_layer_;
  std::vector<std::uint32_t> rows_;
  Permuter permuter_;
  std::vector<double> weights_;
  std::vector<Score> scores_;
  bool fixed_;
  TrialTile tile_;
  std::vector<std::uint32_t> source_;
  std::vector<float> sign_, y_;
  TileResult result_;
  Workspace work_;
  std::vector<std::vector<double>> by_fold_;
  std::vector<double> moments_, one_;
};

}  // namespace

std::unique_ptr<Rescorer> make_refitting(Shared const& shared, Observed const& observed, Folds const& folds,
                                         std::size_t first_layer) {
  return std::make_unique<Refitting>(shared, observed, folds, first_layer);
}

}  // namespace striate::encode
