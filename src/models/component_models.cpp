#include "striate/models/components.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "fold.hpp"
#include "striate/base/error.hpp"
#include "striate/models/ridge.hpp"

namespace striate {
namespace {

constexpr std::size_t default_components = 25;

class Components final : public EncodingModel {
 public:
  Components(ModelOptions options, detail::Fit fit) : options_(std::move(options)), fit_(fit) {
    auto& counts = options_.components;
    if (counts.empty()) {
      counts.resize(default_components);
      std::iota(counts.begin(), counts.end(), std::size_t{1});
    }
    std::sort(counts.begin(), counts.end(), std::greater<>());
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    if (counts.back() == 0) {
      fail(Exit::config, "model.components holds 0 (at least one component is fitted); remove it");
    }
    if (options_.inner_score != Score::r2 && options_.inner_score != Score::pearson) {
      fail(Exit::config, "cv.inner.score is {} (the number of components is chosen by r2 or pearson); use one of those",
           name_of(options_.inner_score));
    }
  }

  std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                      double memory_budget) const override {
    detail::check_pca(design.pca);
    return detail::make_fitted(detail::prepare_fold(design, plan, options_, fit_, team, memory_budget, penalties()));
  }

  std::unique_ptr<PreparedFeatures> prepare_features(Design const& design, FoldPlan const& plan, Team& team,
                                                     double memory_budget) const override {
    if (!prepare_uses_responses()) {
      return EncodingModel::prepare_features(design, plan, team, memory_budget);
    }
    detail::check_pca(design.pca);
    return detail::prepare_features_of(design, plan, options_, fit_, team, memory_budget, penalties());
  }

  ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan, bool standardize, double pca,
                 double memory_budget) const override {
    detail::check_pca(pca);
    auto const shape = detail::shape_of(p, t, standardize, pca, options_, fit_, 1);
    auto const rows = detail::make_rows(plan, n, candidates() > 1 || plan.outer.test.empty());
    return detail::cost_of(rows, shape, detail::choose_form(rows, shape), 1, memory_budget);
  }

  [[nodiscard]] bool fixes_choice() const override { return fit_ == detail::Fit::pcr; }
  [[nodiscard]] std::size_t candidates() const override {
    return options_.components.size() * (is_cca() ? options_.alphas.size() : 1);
  }
  [[nodiscard]] bool prepare_uses_responses() const override { return fit_ != detail::Fit::pcr; }
  [[nodiscard]] std::vector<std::string> extras() const override {
    return is_cca() ? std::vector<std::string>{"alpha"} : std::vector<std::string>();
  }
  [[nodiscard]] std::size_t variates() const override { return is_cca() ? options_.components.front() : 0; }

 private:
  [[nodiscard]] bool is_cca() const { return fit_ == detail::Fit::cca; }
  [[nodiscard]] bool penalties() const { return is_cca() && options_.alphas.size() > 1; }
  ModelOptions options_;
  detail::Fit fit_;
};

}  // namespace

std::unique_ptr<EncodingModel> make_pcr(ModelOptions const& options) {
  return std::make_unique<Components>(options, detail::Fit::pcr);
}

std::unique_ptr<EncodingModel> make_pls(ModelOptions const& options) {
  return std::make_unique<Components>(options, detail::Fit::pls);
}

std::unique_ptr<EncodingModel> make_cca(ModelOptions const& options) {
  (void)make_ridge(options);  // says what is wrong with the alphas
  double const pca = options.response_pca;
  if (!(pca >= 0) || (pca >= 1 && pca != std::floor(pca))) {
    fail(Exit::config,
         "model.response_pca is {} (a number of components of the responses, or a share of variance below 1, or 0 for all); "
         "mend it",
         pca);
  }
  ModelOptions sorted = options;
  std::ranges::sort(sorted.alphas);
  sorted.alphas.erase(std::unique(sorted.alphas.begin(), sorted.alphas.end()), sorted.alphas.end());
  return std::make_unique<Components>(sorted, detail::Fit::cca);
}

}  // namespace striate
