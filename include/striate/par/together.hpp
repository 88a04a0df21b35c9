#pragma once
/// What one rank cannot do, none does.
#include <exception>
#include <functional>

#include "striate/base/error.hpp"
#include "striate/par/comm.hpp"

namespace striate {

/// The Error that an exception means: itself; bad_alloc → Exit::limit; anything else → Exit::internal.
[[nodiscard]] Error as_error(std::exception_ptr const& exception);

/// Runs work() on every rank and then agrees: where it threw on any rank, every rank throws the Error (text and code)
/// of the lowest failing rank. Collective, but work() itself need not communicate; if it does, it must do so on all
/// ranks before anything in it can fail. A failing rank waits at most `patience` seconds for the others to come, then
/// says its error and ends the job.
void together(Comm const& comm, std::function<void()> const& work, double patience = 3.0);

/// The agreement alone: `mine` is this rank's exception or null. Throws on all ranks or on none. Collective.
void agree_on_failure(Comm const& comm, std::exception_ptr const& mine, double patience = 3.0);

}  // namespace striate
