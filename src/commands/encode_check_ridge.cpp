// Settings of `encode` that belong to ridge alone.
#include "encode_config.hpp"
#include "striate/base/error.hpp"

namespace striate::encode {
namespace {

/// Without inner folds, nothing that says how they are made.
void check_selection(Config const& c) {
  Model const& m = c.model;
  if (c.inner_folds()) return;
  InnerCv const& inner = c.cv.inner;
  if (inner.folds.number || inner.folds.leave_one_out)
    fail(Exit::config, "cv.inner.folds: is given, but model.selection: {} makes no inner folds; remove one",
         m.selection);
  if (inner.shuffle)
    fail(Exit::config, "cv.inner.shuffle: is true, but model.selection: {} makes no inner folds; remove one",
         m.selection);
  if (m.selection == "gcv" && inner.score != "r2")
    fail(Exit::config,
         "cv.inner.score: {} is of predictions, which model.selection: gcv does not make; use selection: loo, or "
         "remove it",
         inner.score);
}

void check_shared(Config const& c) {
  if (c.model.alpha_per_target) return;
  if (c.permutation.n > 0 && c.permutation.scheme == "refit")
    fail(Exit::config,
         "permutation.scheme: refit would choose an alpha for each permutation of all targets together, which "
         "model.alpha_per_target: false does not do; use {}alpha_per_target: true",
         c.outer() ? "fixed_alpha or fixed_model, or " : "");
}

/// A prior speaks of the features as the store has them.
void check_prior(Config const& c) {
  if (!c.model.prior) return;
  if (c.partition) fail(Exit::config, "model.prior: is of one layer, and partition joins them; remove it");
  for (std::size_t i = 0; i < c.features.size(); ++i) {
    std::string const key = c.features.size() == 1 ? "features" : fmt::format("features[{}]", i);
    if (c.features[i].transform.standardize)
      fail(Exit::config,
           "{}.transform.standardize: is true, but model.prior is of the features as they are; set transform: "
           "{{standardize: false}}",
           key);
    if (c.features[i].transform.pca != 0)
      fail(Exit::config, "{}.transform.pca: model.prior is of features, which components are not; remove one", key);
  }
}

}  // namespace

void check_ridge(Config const& c) {
  check_selection(c);
  check_shared(c);
  check_prior(c);
}

}  // namespace striate::encode
