#pragma once
#include <memory>

#include "striate/commands/command.hpp"

namespace striate {

[[nodiscard]] std::unique_ptr<Job> make_reduce();

}  // namespace striate
