#pragma once
/// What `striate reduce` reads, looked at once and the same on all ranks.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reduce_config.hpp"
#include "striate/math/layer_stage.hpp"
#include "striate/par/comm.hpp"

namespace striate::reduce {

struct InputLayer {
  std::string name;
  LayerShape shape;
  std::vector<std::size_t> skipped;  ///< rows of NaN
};

struct Inputs {
  std::vector<std::string> ids;  ///< of the store's rows
  std::vector<InputLayer> layers;
  std::vector<std::size_t> fit;               ///< rows to fit on, ascending
  nlohmann::ordered_json identity;            ///< of what is read
  std::map<std::string, std::string> origin;  ///< attributes of the store that go on
  std::string ids_sha256;
  /// Rows to fit a layer on: those of `fit` that were not skipped.
  [[nodiscard]] std::vector<std::size_t> rows_of(InputLayer const& layer) const;
};

/// Collective. Error(Exit::data | Exit::no_input | Exit::config).
[[nodiscard]] Inputs read_inputs(Comm const& comm, Config const& config);

}  // namespace striate::reduce
