#include "striate/models/table.hpp"

#include "striate/models/banded_ridge.hpp"
#include "striate/models/ridge.hpp"

namespace striate {

std::vector<ModelRow> const& models() {
  static std::vector<ModelRow> const rows{
      {"ridge", "ridge regression, alpha chosen per target by inner cross-validation", "alpha", make_ridge},
      {"ols", "ordinary least squares; of minimum norm where features outnumber stimuli", "alpha", make_ols},
      {"banded_ridge", "one joint ridge of all feature spaces, a penalty for each, chosen per target", "alpha",
       make_banded_ridge, true},
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
