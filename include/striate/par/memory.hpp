#pragma once
/// How much memory a rank may use.
#include "striate/par/comm.hpp"

namespace striate {

/// Bytes a rank may use: its share of what SLURM granted (SLURM_MEM_PER_CPU, SLURM_MEM_PER_NODE), of the cgroup's limit
/// and of nine tenths of the memory that is free on the node now, whichever is least. Collective.
[[nodiscard]] double allowed_memory(Comm const& comm);

}  // namespace striate
