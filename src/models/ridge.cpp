#include "striate/models/ridge.hpp"

#include <algorithm>
#include <cmath>

#include "fold.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

class Linear final : public EncodingModel {
 public:
  Linear(ModelOptions options, bool ols) : options_(std::move(options)), ols_(ols) {}

  std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                      double memory_budget) const override {
    detail::check_pca(design.pca);
    auto const fit = ols_ ? detail::Fit::ols : detail::Fit::ridge;
    return detail::make_fitted(detail::prepare_fold(design, plan, options_, fit, team, memory_budget));
  }

  ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan, bool standardize, double pca,
                 double memory_budget) const override {
    detail::check_pca(pca);
    auto const fit = ols_ ? detail::Fit::ols : detail::Fit::ridge;
    auto const shape = detail::shape_of(p, t, standardize, pca, options_, fit, candidates());
    bool const folds = shape.selection == Selection::folds;
    auto const rows = detail::make_rows(plan, n, folds && (shape.alphas > 1 || plan.outer.test.empty()));
    return detail::cost_of(rows, shape, detail::choose_form(rows, shape), shape.alphas, memory_budget);
  }

  [[nodiscard]] bool fixes_choice() const override { return true; }
  [[nodiscard]] bool shares_choice() const override { return true; }
  [[nodiscard]] bool takes_engine() const override { return true; }
  [[nodiscard]] std::size_t candidates() const override { return ols_ ? 1 : options_.alphas.size(); }

 private:
  ModelOptions options_;
  bool ols_;
};

void check_scores(ModelOptions const& options) {
  if (options.inner_score != Score::r2 && options.inner_score != Score::pearson) {
    fail(Exit::config, "cv.inner.score is {} (alpha is chosen by r2 or pearson); use one of those",
         name_of(options.inner_score));
  }
}

}  // namespace

std::unique_ptr<EncodingModel> make_ridge(ModelOptions const& options) {
  check_scores(options);
  if (options.alphas.empty()) {
    fail(Exit::config,
         "model.alphas is empty (ridge needs at least one); give a number, a list or {{logspace: [-1, 8, 20]}}");
  }
  for (double a : options.alphas) {
    if (!(a > 0) || !std::isfinite(a)) {
      fail(Exit::config, "model.alphas holds {} (ridge needs positive, finite alphas; 0 is type: ols); mend it", a);
    }
  }
  return std::make_unique<Linear>(options, false);
}

std::unique_ptr<EncodingModel> make_ols(ModelOptions const& options) {
  check_scores(options);
  return std::make_unique<Linear>(options, true);
}

}  // namespace striate
