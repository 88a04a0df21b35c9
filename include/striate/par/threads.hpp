#pragma once
/// The one place that decides about threads.
#include "striate/par/comm.hpp"

namespace striate {

/// Threads this rank may use: SLURM_CPUS_PER_TASK where set, else its share of the CPUs of its affinity mask (a CPU in
/// the masks of k ranks of the node counts 1/k for each), never more than its share of a cgroup CPU quota; at least 1.
/// Collective.
[[nodiscard]] int allowed_threads(Comm const& comm);

/// Sets oneTBB's limit and OpenMP's default to `n`, and OpenBLAS to one thread (a unit is computed by one thread).
void set_threads(int n);

/// What set_threads was last told; 1 before.
[[nodiscard]] int current_threads() noexcept;

}  // namespace striate
