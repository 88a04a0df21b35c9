#include "striate/models/banded_ridge.hpp"

#include <cmath>

#include "fold.hpp"
#include "striate/base/error.hpp"
#include "striate/models/ridge.hpp"

namespace striate {
namespace {

class BandedRidge final : public EncodingModel {
 public:
  explicit BandedRidge(ModelOptions options) : options_(std::move(options)) {
    if (options_.bands.empty()) {
      options_.bands.emplace_back("all");
    }
  }

  std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                      double memory_budget) const override {
    check_pca(design.pca);
    std::vector<Band> bands = design.bands;
    if (bands.empty()) {
      bands.push_back({options_.bands[0], 0, design.X.cols(), design.standardize});
    }
    check_bands(bands, design.X.cols());
    return detail::make_fitted(detail::prepare_banded(design, plan, options_, bands,
                                                      band_weights(bands.size(), options_.n_iter, options_.seed), team,
                                                      memory_budget));
  }

  ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan, bool standardize, double pca,
                 double memory_budget) const override {
    check_pca(pca);
    auto shape = detail::shape_of(p, t, standardize, 0, options_, detail::Fit::ridge, options_.alphas.size());
    shape.bands = options_.bands.size();
    shape.candidates = shape.bands == 1 ? 1 : options_.n_iter;
    auto const rows = detail::make_rows(plan, n, candidates() > 1 || plan.outer.test.empty());
    return detail::cost_of(rows, shape, detail::choose_form(rows, shape), shape.alphas, memory_budget);
  }

  [[nodiscard]] std::size_t candidates() const override {
    std::size_t const tried = options_.alphas.size() * (options_.bands.size() == 1 ? 1 : options_.n_iter);
    return tried == 1 && options_.refine && options_.bands.size() > 1 ? 2 : tried;  // inner folds are climbed by
  }

  [[nodiscard]] std::vector<std::string> extras() const override {
    std::vector<std::string> names;
    for (char const* of : {"gamma/", "split/r2/", "split/pearson/"}) {
      for (auto const& band : options_.bands) {
        if (options_.split || names.size() < options_.bands.size()) {
          names.push_back(of + band);
        }
      }
    }
    return names;
  }
  [[nodiscard]] bool averages_extras() const override { return true; }
  [[nodiscard]] bool takes_engine() const override { return true; }

 private:
  static void check_pca(double pca) {
    if (pca != 0) {
      fail(Exit::config,
           "features.transform.pca is {} of all bands together; banded_ridge reduces each band by itself, give it there",
           pca);
    }
  }
  void check_bands(std::vector<Band> const& bands, std::size_t p) const {
    std::size_t next = 0;
    for (auto const& band : bands) {
      if (band.first != next || band.count == 0) {
        fail(Exit::data, "band {} has {} features from column {} where column {} is next; mend the bands", band.name,
             band.count, band.first, next);
      }
      next += band.count;
    }
    if (next != p || bands.size() != options_.bands.size()) {
      fail(Exit::data, "{} bands cover {} features where {} bands cover {}; mend the bands", bands.size(), next,
           options_.bands.size(), p);
    }
  }

  ModelOptions options_;
};

}  // namespace

std::unique_ptr<EncodingModel> make_banded_ridge(ModelOptions const& options) {
  (void)make_ridge(options);  // says what is wrong with the alphas
  for (double pca : options.band_pca) {
    detail::check_pca(pca);
  }
  if (!options.band_pca.empty() && options.band_pca.size() != options.bands.size()) {
    fail(Exit::internal, "{} settings of pca for {} bands", options.band_pca.size(), options.bands.size());
  }
  if (options.n_iter == 0) {
    fail(Exit::config, "model.n_iter is 0 (band weights that are tried); give 1 or more");
  }
  return std::make_unique<BandedRidge>(options);
}

}  // namespace striate
