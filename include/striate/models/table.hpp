#pragma once
/// The table of encoding models. To add one: one file, one row in models(), one in model_keys().
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "striate/models/model.hpp"

namespace striate {

/// Alphas where none are given: powers of ten from, to, and how many.
struct DefaultAlphas {
  std::vector<double> logspace{-1, 8, 20};
  bool relative = false;
};

struct ModelRow {
  char const* name;
  char const* doc;  ///< one line
  char const* chooses;  ///< name of TileResult::alpha in results: "alpha", "components" …
  std::unique_ptr<EncodingModel> (*make)(ModelOptions const&);
  bool joint = false;  ///< all layers make one model, as its bands
  DefaultAlphas alphas = {};
  bool nominal = false;  ///< choices are names without an order (units): what folds chose most often counts, no median
  bool pools = false;    ///< pools maps of rows × columns (ModelOptions::maps)
};

[[nodiscard]] std::vector<ModelRow> const& models();
[[nodiscard]] std::vector<std::string> model_names();
[[nodiscard]] ModelRow const* find_model(std::string_view name);
/// Settings below `model` that a model looks at, beside `type`; null where the table has no such model.
[[nodiscard]] std::vector<std::string> const* model_keys(std::string_view name);

}  // namespace striate
