#pragma once
/// `striate encode`: features × responses → cross-validated voxelwise encoding.
#include <memory>

#include "striate/commands/command.hpp"

namespace striate {

[[nodiscard]] std::unique_ptr<Job> make_encode();

}  // namespace striate
