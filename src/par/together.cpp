#include "striate/par/together.hpp"

#include <new>

#include "striate/par/mpi.hpp"

namespace striate {

Error as_error(std::exception_ptr const& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (Error const& e) {
    return e;
  } catch (std::bad_alloc const&) {
    return Error(Exit::limit, "out of memory; give each rank more memory, or use fewer ranks a node");
  } catch (std::exception const& e) {
    return Error(Exit::internal, e.what());
  } catch (...) {
    return Error(Exit::internal, "an exception of unknown type");
  }
}

void agree_on_failure(Comm const& comm, std::exception_ptr const& mine, double patience) {
  // The lowest failing rank wins: the greatest of (size - rank) over the failing ones.
  std::int64_t greatest = mine ? comm.size() - comm.rank() : 0;
  Error error = mine ? as_error(mine) : Error(Exit::ok, "");
  if (!comm.agree(std::span(&greatest, 1), mine ? patience : 0)) end_all(error);
  if (greatest == 0) return;
  int const first = comm.size() - static_cast<int>(greatest);
  std::string text = error.what();
  int code = static_cast<int>(error.code());
  comm.broadcast(code, first);
  comm.broadcast(text, first);
  throw Error(static_cast<Exit>(code), text);
}

void together(Comm const& comm, std::function<void()> const& work, double patience) {
  std::exception_ptr mine;
  try {
    work();
  } catch (...) {
    mine = std::current_exception();
  }
  agree_on_failure(comm, mine, patience);
}

}  // namespace striate
