#pragma once
/// The Engine of LibTorch, for any of its devices: products and sums over test rows in tensors, without TF32.
#include <memory>
#include <optional>
#include <string>

#include "striate/math/engine.hpp"

namespace striate {

struct TorchEngineOptions {
  std::string device = "auto";  ///< auto | cpu | cuda
  int local_rank = 0;           ///< of this rank on its node: picks the GPU
  int node_ranks = 1;           ///< that share the node's GPUs
  /// Bytes of factors kept on the device; what does not fit is brought for each product. Nothing: 60 % of what is free
  /// for this rank on a GPU; on the CPU factors are used where they are.
  std::optional<double> resident = std::nullopt;
};

/// Throws Error(Exit::config) where cuda is asked for and there is none. Its functions throw Error(Exit::limit) where
/// the device's memory does not suffice.
[[nodiscard]] std::unique_ptr<Engine> torch_engine(TorchEngineOptions const& options);

}  // namespace striate
