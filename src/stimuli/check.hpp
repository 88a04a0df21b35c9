#pragma once
/// Looking at many stimuli on threads.
#include <functional>
#include <utility>
#include <vector>

#include "striate/base/error.hpp"

namespace striate {

/// Calls look(place) for every place of [first, last); what it throws with Exit::data or Exit::no_input is a stimulus'
/// fault and comes back, in order of places; anything else is thrown.
[[nodiscard]] std::vector<std::pair<std::size_t, Error>> check_places(std::size_t first, std::size_t last, int threads,
                                                                      std::function<void(std::size_t)> const& look);

}  // namespace striate
