#include "striate/models/table.hpp"

#include "striate/models/components.hpp"
#include "striate/models/ridge.hpp"

namespace striate {

std::vector<ModelRow> const& models() {
  static std::vector<ModelRow> const rows{
      {"ridge", "ridge regression, alpha chosen per target by inner cross-validation", "alpha", make_ridge},
      {"ols", "ordinary least squares; of minimum norm where features outnumber stimuli", "alpha", make_ols},
      {"pls", "partial least squares of all targets together, number of components chosen per target", "components",
       make_pls},
      {"pcr", "least squares on principal components, their number chosen per target", "components", make_pcr},
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
