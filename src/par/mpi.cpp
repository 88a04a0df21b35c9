#include "striate/par/mpi.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "check.hpp"

namespace striate {
namespace {

std::string io_rule;

void choose_io() {
  // Parallel HDF5 metadata is written collectively; OMPIO's default collective component corrupts (ompi#12718).
  for (char const* name : {"OMPI_MCA_io", "OMPI_MCA_fcoll"})
    if (char const* value = std::getenv(name)) {
      io_rule = fmt::format("{}={} (user's)", name + 9, value);
      return;
    }
  setenv("OMPI_MCA_io", "^ompio", 1);
  io_rule = "io=^ompio (chosen by striate)";
}

void choose_single_copy() {
  // Containers often forbid process_vm_readv; Open MPI 4 then fails in the middle of a large message.
  char const* name = "OMPI_MCA_btl_vader_single_copy_mechanism";
  if (std::getenv(name)) return;
  char from = 1, to = 0;
  iovec local{&to, 1}, remote{&from, 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1) setenv(name, "none", 1);
}

std::function<void(Error const&)>& last_words() {
  static std::function<void(Error const&)> say;
  return say;
}

/// Of this process alone or of a launcher's; MPI_Init sets the same variables, so ask before.
bool launched = true;

bool was_launched() {
  for (char const* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

}  // namespace

Mpi::Mpi(int& argc, char**& argv) : uncaught_(std::uncaught_exceptions()) {
  choose_io();
  choose_single_copy();
  launched = was_launched();
  int provided = 0;
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  if (provided < MPI_THREAD_FUNNELED)
    fail(Exit::limit, "this MPI ({}) allows no threads beside the main one; use one built with thread support", library());
}

Mpi::~Mpi() {
  if (std::uncaught_exceptions() > uncaught_ || !active()) return;
  MPI_Finalize();
}

bool Mpi::active() noexcept {
  int begun = 0, over = 0;
  MPI_Initialized(&begun);
  MPI_Finalized(&over);
  return begun && !over;
}

std::string Mpi::library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string all(text);
  return all.substr(0, all.find_first_of("\n,"));
}

std::string Mpi::io_choice() { return io_rule; }

void abort_all(Exit code) {
  std::fflush(nullptr);
  // Alone and without a launcher there is nobody else to end, and MPI_Abort would add its own eight lines.
  int ranks = 2;
  if (Mpi::active()) MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (Mpi::active() && (ranks > 1 || launched)) MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));
}

void set_last_words(std::function<void(Error const&)> say) { last_words() = std::move(say); }

void end_all(Error const& error) {
  if (last_words())
    last_words()(error);
  else
    std::fprintf(stderr, "error: %s\n", error.what());
  abort_all(error.code());
}

}  // namespace striate
