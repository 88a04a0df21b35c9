#pragma once
/// From a captured tensor to the rows × units floats of a store.
#include <torch/script.h>

#include <string>
#include <vector>

#include "striate/net/network.hpp"

namespace striate::net {

/// Shape and axes as stored of a captured tensor (batch × …), after pooling. Throws Error(Exit::data) where the first
/// axis is not the batch or the rank is none that can be stored.
[[nodiscard]] CapturedLayer describe_layer(at::Tensor const& value, std::size_t rows, Pool pool,
                                           std::string const& name, std::string const& path);

/// Pooled, float32, row-major, on the tensor's own device. Shares memory with `value` where nothing had to be done.
[[nodiscard]] at::Tensor as_stored(at::Tensor const& value, Pool pool);

}  // namespace striate::net
