#include "encode_rescore.hpp"

#include "encode_scores.hpp"

namespace striate::encode {

Rearranger::Rearranger(Config const& config, Inputs const& in)
    : n_(in.n()), rows_(used_rows(in)), permuter_(make_permuter(config, in, rows_, 0)) {}

void Rearranger::make(std::uint64_t index) { permuter_.make(index, source_, sign_); }

void Rearranger::column(float const* from, float* to) const {
  std::size_t const used = rows_.size();
  if (used < n_) std::copy_n(from, n_, to);
  if (!permuter_.flips()) {
    for (std::size_t i = 0; i < used; ++i) to[rows_[i]] = from[rows_[source_[i]]];
    return;
  }
  double mean = 0;  // signs of deviations: those of raw responses would test their mean
  for (auto row : rows_) mean += from[row];
  mean /= static_cast<double>(used);
  for (std::size_t i = 0; i < used; ++i) to[rows_[i]] = static_cast<float>(mean + sign_[i] * (from[rows_[i]] - mean));
}

FoldValues::FoldValues(Config const& config, Inputs const& in)
    : config_(config),
      in_(in),
      concat_(config.aggregate == "concat"),
      outer_(config.outer()),
      weights_(fold_weights(config, in)),
      scores_(scores_of(config)) {}

std::size_t FoldValues::rows(std::size_t fold) const {
  return concat_ ? moment_rows : scores_.size() * (outer_ ? 1 : inner_rows(in_.passes[fold]));
}

void FoldValues::add(std::size_t fold, MatrixView<float const> y, TileResult& result, std::vector<double>& out) {
  if (concat_) {
    fold_moments(config_, in_.passes[fold], y, result, one_);
    out.insert(out.end(), one_.begin(), one_.end());
    return;
  }
  if (outer_) add_spearman(config_, in_.passes[fold], y, result);
  double const* const from = outer_ ? result.score.data() : result.inner_score.data();
  out.insert(out.end(), from, from + rows(fold) * y.cols);
}

void FoldValues::average(std::span<double const> all, std::size_t T, std::span<double> out) const {
  std::size_t const S = scores_.size();
  std::vector<double> of_score;
  for (std::size_t s = 0; s < S; ++s) {
    of_score.clear();
    for (std::size_t at = s * T; !concat_ && at < all.size(); at += S * T)
      of_score.insert(of_score.end(), all.data() + at, all.data() + at + T);
    auto const values = concat_ ? concatenated(in_, scores_[s], all, T) : averaged(weights_, of_score);
    std::copy(values.begin(), values.end(), out.begin() + static_cast<std::ptrdiff_t>(s * T));
  }
}

std::unique_ptr<Rescorer> make_rescorer(Shared const& shared, Observed const& observed, Folds const& folds,
                                        std::size_t first_layer) {
  bool const fixed = shared.config.permutation.scheme == "fixed_model";
  return fixed ? make_fixed_model(shared, observed, folds, first_layer)
               : make_refitting(shared, observed, folds, first_layer);
}

}  // namespace striate::encode
