#pragma once
/// Which taps a set of requests needs, found by running the network once on one image of zeros.
#include <torch/script.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "request.hpp"
#include "taps.hpp"

namespace striate::net {

/// A network with its taps in place, and who wants what each of them hands out.
struct Plan {
  struct Want {
    int call;
    std::size_t layer;  ///< index into requests
  };
  std::vector<Request> requests;  ///< `call` is known for all of them
  std::vector<TapKey> keys;
  std::vector<std::vector<Want>> wants;  ///< by key
  torch::jit::Code code;
  std::vector<c10::IValue> defaults;  ///< of forward's arguments behind the pixels
};

/// Throws Error(Exit::data): a layer that is unknown (nearest named), never executed, called several times, no tensor.
/// `zeros`: one image. `file`: for messages.
[[nodiscard]] Plan make_plan(torch::jit::Module const& module, std::vector<LayerRequest> const& layers,
                             at::Tensor const& zeros, std::string const& file);

}  // namespace striate::net
