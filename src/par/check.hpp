#pragma once
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1  // the C++ bindings are dead, and need a library of their own
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include "striate/par/comm.hpp"

namespace striate {

/// Throws std::runtime_error with MPI's own text where `error` is one: MPI trouble is never the user's doing.
void check_mpi(int error, char const* call);

/// Waits for a request, yielding the core. False where `patience` seconds (0: no limit) passed first.
bool wait_politely(MPI_Request& request, double patience);

inline MPI_Comm native(Comm const& comm) { return *static_cast<MPI_Comm const*>(comm.native()); }

}  // namespace striate
