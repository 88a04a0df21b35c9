// Permuted responses through the whole procedure: the fits' hat matrices do not depend on responses, so that a trial
// costs what a tile costs.
#include "encode_rescore.hpp"

namespace striate::encode {
namespace {

class Refitting final : public Rescorer {
 public:
  Refitting(Shared const& shared, Observed const& observed, Folds const& folds, std::size_t first_layer)
      : s_(shared),
        observed_(observed),
        folds_(folds),
        first_layer_(first_layer),
        rearranger_(shared.config, shared.inputs),
        values_(shared.config, shared.inputs),
        fixed_(shared.config.permutation.scheme == "fixed_alpha") {}

  void begin(TrialTile const& tile) override {
    tile_ = tile;
    y_.resize(tile.y.rows * tile.y.cols);
  }

  void trial(std::uint64_t index, std::vector<double>& scores) override {
    rearranger_.make(index);
    for (std::size_t c = 0; c < tile_.y.cols; ++c) rearranger_.column(tile_.y.col(c), y_.data() + c * tile_.y.rows);
    std::size_t const T = tile_.y.cols, S = s_.config.scores.size();
    MatrixView<float const> const y(y_.data(), tile_.y.rows, T);
    scores.resize(folds_.size() * S * T);
    for (std::size_t l = 0; l < folds_.size(); ++l) layer(l, y, std::span(scores).subspan(l * S * T, S * T));
  }

  /// The fits' scores, but where they depend on the tile in the last digits.
  std::vector<double> identity() override {
    std::vector<double> scores;
    if (s_.config.engine == "blas") return scores;
    std::size_t const T = tile_.y.cols, size = s_.config.scores.size() * T;
    scores.resize(folds_.size() * size);
    for (std::size_t l = 0; l < folds_.size(); ++l) layer(l, tile_.y, std::span(scores).subspan(l * size, size));
    return scores;
  }

 private:
  void layer(std::size_t l, MatrixView<float const> y, std::span<double> out) {
    all_.clear();
    for (std::size_t f = 0; f < folds_[l].size(); ++f) {
      if (fixed_) {
        auto const alpha = alphas_of(observed_, first_layer_ + l, f, s_.layout.t, tile_);
        folds_[l][f]->tile_at(y, alpha, result_, work_);
      } else {
        folds_[l][f]->tile(y, result_, work_);
      }
      values_.add(f, y, result_, all_);
    }
    values_.average(all_, y.cols, out);
  }

  Shared const& s_;
  Observed const& observed_;
  Folds const& folds_;
  std::size_t first_layer_;
  Rearranger rearranger_;
  FoldValues values_;
  bool fixed_;
  TrialTile tile_;
  std::vector<float> y_;
  TileResult result_;
  Workspace work_;
  std::vector<double> all_;
};

}  // namespace

std::unique_ptr<Rescorer> make_refitting(Shared const& shared, Observed const& observed, Folds const& folds,
                                         std::size_t first_layer) {
  return std::make_unique<Refitting>(shared, observed, folds, first_layer);
}

}  // namespace striate::encode
