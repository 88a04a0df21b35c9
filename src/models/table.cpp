#include "striate/models/table.hpp"

#include <map>

#include "striate/base/error.hpp"
#include "striate/models/lasso.hpp"
#include "striate/models/components.hpp"
#include "striate/models/banded_ridge.hpp"
#include "striate/models/fwrf.hpp"
#include "striate/models/ridge.hpp"
#include "striate/models/univariate.hpp"

namespace striate {

std::vector<ModelRow> const& models() {
  DefaultAlphas const sparse{{-3, 0, 20}, true};
  static std::vector<ModelRow> const rows{
      {"ridge", "ridge regression, alpha chosen per target by inner cross-validation", "alpha", make_ridge},
      {"ols", "ordinary least squares; of minimum norm where features outnumber stimuli", "alpha", make_ols},
      {"lasso", "linear regression with an L1 penalty: few coefficients that are not zero", "alpha", make_lasso,
       false, sparse},
      {"elastic_net", "linear regression with an L1 and an L2 penalty, mixed by l1_ratio", "alpha", make_elastic_net,
       false, sparse},
      {"pls", "partial least squares of all targets together, number of components chosen per target", "components",
       make_pls},
      {"cca", "canonical correlation of the features with all targets together, number of variates chosen per target",
       "components", make_cca, false, {{-3, 3, 7}, true}},
      {"pcr", "least squares on principal components, their number chosen per target", "components", make_pcr},
      {"banded_ridge", "one joint ridge of all feature spaces, a penalty for each, chosen per target", "alpha",
       make_banded_ridge, true},
      {.name = "univariate", .doc = "the single unit that correlates most with the target, chosen in the training rows",
       .chooses = "unit", .make = make_univariate, .nominal = true},
      {"fwrf", "feature-weighted receptive field: a Gaussian of the visual field pools all maps, ridge weighs the channels",
       "alpha", make_fwrf, true, {}, false, true},
  };
  return rows;
}

std::unique_ptr<PreparedFeatures> EncodingModel::prepare_features(Design const&, FoldPlan const&, Team&, double) const {
  fail(Exit::internal, "the fits of this model do not depend on the responses of all targets");
}

std::vector<std::string> const* model_keys(std::string_view name) {
  static std::map<std::string, std::vector<std::string>, std::less<>> const rows{
      {"ridge", {"alphas", "selection", "alpha_per_target", "prior"}},
      {"ols", {}},
      {"lasso", {"alphas"}},
      {"elastic_net", {"alphas", "l1_ratio"}},
      {"pls", {"components"}},
      {"cca", {"components", "response_pca", "alphas"}},
      {"pcr", {"components"}},
      {"banded_ridge", {"alphas", "n_iter", "refine"}},
      {"univariate", {"sign"}},
      {"fwrf", {"alphas", "rf"}},
  };
  auto const at = rows.find(name);
  return at == rows.end() ? nullptr : &at->second;
}

void FittedFold::tile_at(MatrixView<float const>, std::span<double const>, TileResult&, Workspace&) const {
  fail(Exit::config, "this model cannot be fitted with a choice made before; use permutation.scheme: refit");
}

void FittedFold::choices(MatrixView<float const>, std::vector<double>&, std::vector<TargetFlag>&, Workspace&) const {
  fail(Exit::config, "this model chooses for each target alone; use model.alpha_per_target: true");
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (auto const& row : models()) {
    names.emplace_back(row.name);
  }
  return names;
}

ModelRow const* find_model(std::string_view name) {
  for (auto const& row : models()) {
    if (name == row.name) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace striate
