#pragma once
/// Plans, bands and options for the tests of banded ridge.
#include "models_common.hpp"
#include "striate/models/banded_ridge.hpp"

namespace striate::testing {

inline FoldPlan plan_of(std::size_t n, std::size_t folds, std::size_t which) {
  CvSpec outer, inner;
  outer.folds = folds;
  inner.folds = 3;
  outer.kind = folds == 0 ? CvSpec::Kind::none : CvSpec::Kind::kfold;
  CvColumns columns;
  columns.rows = n;
  return fold_plans(outer, inner, columns)[which];
}

inline std::vector<Band> bands_of(std::vector<std::size_t> const& widths, std::vector<double> const& standardize = {}) {
  std::vector<Band> bands;
  std::size_t first = 0;
  for (std::size_t b = 0; b < widths.size(); ++b) {
    bands.push_back({"b" + std::to_string(b), first, widths[b], standardize.empty() || standardize[b] != 0});
    first += widths[b];
  }
  return bands;
}

inline ModelOptions options_of(std::vector<Band> const& bands, std::vector<double> alphas, std::size_t n_iter) {
  ModelOptions o;
  o.alphas = std::move(alphas);
  o.n_iter = n_iter;
  o.scores = {Score::pearson, Score::r2, Score::mse};
  o.predictions = o.coefficients = true;
  for (auto const& band : bands) {
    o.bands.push_back(band.name);
  }
  return o;
}

}  // namespace striate::testing
