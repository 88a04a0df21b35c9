#pragma once
/// What a layer's path says: `layer1.0.relu#1:0` is element 0 of what the second call of a module gives.
#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "striate/net/card.hpp"

namespace striate::net {

struct Request {
  std::string name;                  ///< as asked for
  std::string asked;                 ///< the whole path
  std::string key;                   ///< module path, operator, or empty: the network's output
  std::optional<int> call;           ///< #k; none: the only call
  std::vector<std::string> element;  ///< :e of a tuple, list or dict, outermost first; none: element 0 of a tuple
};

/// `modules`: the network's module paths. What is no module, operator or `output` is taken as a key of the output.
[[nodiscard]] Request parse_request(LayerRequest const& layer, std::vector<std::string> const& modules);

/// The tensor that `element` means in what a module gave; throws Error(Exit::data) saying what there is instead.
[[nodiscard]] at::Tensor pick(c10::IValue const& value, Request const& request);

/// Names of the parts of a dict or of a tuple with named fields; empty for other values.
[[nodiscard]] std::vector<std::string> names_in(c10::IValue const& value);

}  // namespace striate::net
