#include "striate/models/lasso.hpp"

#include <cmath>

#include "sparse_components.hpp"
#include "sparse_fold.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

class Sparse final : public EncodingModel {
 public:
  explicit Sparse(ModelOptions options) : options_(std::move(options)) {}

  std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                      double memory_budget) const override {
    detail::check_pca(design.pca);
    if (design.pca > 0) {
      bool const select = options_.alphas.size() > 1;
      return detail::make_sparse_components(
          detail::prepare_fold(design, plan, options_, detail::Fit::ols, team, memory_budget, select), options_);
    }
    return std::make_unique<detail::SparseFold>(detail::prepare_sparse(design, plan, options_, team, memory_budget));
  }

  ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan, bool standardize, double pca,
                 double memory_budget) const override {
    detail::check_pca(pca);
    auto const rows = detail::make_rows(plan, n, options_.alphas.size() > 1 || plan.outer.test.empty());
    if (pca > 0) {
      auto const shape = detail::shape_of(p, t, standardize, pca, options_, detail::Fit::ols, 1);
      ModelCost c = detail::cost_of(rows, shape, detail::choose_form(rows, shape), 1, memory_budget);
      auto const alphas = static_cast<double>(options_.alphas.size());
      c.flops_per_target *= alphas;  // a product with the hats for each
      c.work_per_target = detail::shrinking_work(rows, shape, alphas);
      return c;
    }
    auto const of = detail::sparse_cost(rows, p, options_);
    ModelCost c;
    c.form = "coordinate descent";
    c.prepare_flops = of.prepare_flops;
    c.flops_per_target = of.flops_per_target;
    c.prepare_work = 5 * of.prepare_flops;
    c.work_per_target = of.work_per_target;
    c.shared_bytes = of.peak;
    c.shared_kept_bytes = of.kept;
    c.private_bytes = std::min(2.0 * static_cast<double>(p * n) * 4, 512e6);
    c.thread_bytes = of.thread;
    c.read_bytes = static_cast<double>(p * n) * 4;
    return c;
  }

  [[nodiscard]] std::size_t candidates() const override { return options_.alphas.size(); }
  [[nodiscard]] std::vector<std::string> extras() const override { return {"nonzero"}; }

 private:
  ModelOptions options_;
};

std::unique_ptr<EncodingModel> make(ModelOptions const& options, char const* name) {
  if (options.inner_score != Score::r2 && options.inner_score != Score::pearson) {
    fail(Exit::config, "cv.inner.score is {} (alpha is chosen by r2 or pearson); use one of those",
         name_of(options.inner_score));
  }
  if (options.alphas.empty()) {
    fail(Exit::config, "model.alphas is empty ({} needs at least one); give {{relative: {{logspace: [-3, 0, 20]}}}}",
         name);
  }
  for (double a : options.alphas) {
    if (!(a > 0) || !std::isfinite(a)) {
      fail(Exit::config, "model.alphas holds {} ({} needs positive, finite alphas; 0 is type: ols); mend it", a, name);
    }
  }
  if (!(options.l1_ratio > 0) || options.l1_ratio > 1) {
    fail(Exit::config,
         "model.l1_ratio is {} (above 0, up to 1; 0 would be type: ridge, whose alphas count differently); mend it",
         options.l1_ratio);
  }
  return std::make_unique<Sparse>(options);
}

}  // namespace

std::unique_ptr<EncodingModel> make_lasso(ModelOptions const& options) {
  ModelOptions own = options;
  own.l1_ratio = 1;
  return make(own, "lasso");
}

std::unique_ptr<EncodingModel> make_elastic_net(ModelOptions const& options) { return make(options, "elastic_net"); }

}  // namespace striate
