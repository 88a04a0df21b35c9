#pragma once
/// The Team (math/team.hpp) of a job: TBB threads of each rank × the ranks of a communicator.
#include <memory>

#include "striate/math/team.hpp"
#include "striate/par/comm.hpp"

namespace striate {

/// Units are dealt to nodes by index in proportion to their threads, and taken dynamically by the threads of a node;
/// slots computed on one node are broadcast to the others among node leaders. Buffers are SharedBytes; one whose last
/// shared_ptr went is freed at the next `shared` (so that releasing it needs no agreement). Collective.
/// `threads`: of this rank (>= 1). An exception of a unit is thrown on every rank as the Error of the lowest failing
/// rank; the remaining units are not begun.
[[nodiscard]] std::unique_ptr<Team> mpi_team(Comm const& comm, int threads);

}  // namespace striate
