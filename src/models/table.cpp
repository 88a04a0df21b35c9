#include "striate/models/table.hpp"

#include "striate/models/lasso.hpp"
#include "striate/models/ridge.hpp"

namespace striate {

std::vector<ModelRow> const& models() {
  DefaultAlphas const sparse{{-3, 0, 20}, true};
  static std::vector<ModelRow> const rows{
      {"ridge", "ridge regression, alpha chosen per target by inner cross-validation", "alpha", make_ridge},
      {"ols", "ordinary least squares; of minimum norm where features outnumber stimuli", "alpha", make_ols},
      {"lasso", "linear regression with an L1 penalty: few coefficients that are not zero", "alpha", make_lasso,
       sparse},
      {"elastic_net", "linear regression with an L1 and an L2 penalty, mixed by l1_ratio", "alpha", make_elastic_net,
       sparse},
  };
  return rows;
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
