#include "striate/par/shared.hpp"

#include <sys/mman.h>
#include <sys/statvfs.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>

#include "check.hpp"
#include "striate/base/error.hpp"
#include "striate/par/mpi.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

constexpr std::size_t alignment = 64;
constexpr double gib = 1024.0 * 1024 * 1024;

/// Where Open MPI keeps shared windows; a window that does not fit there ends in SIGBUS at the first touch.
void check_space(std::size_t bytes) {
  char const* chosen = std::getenv("OMPI_MCA_osc_sm_backing_directory");
  char const* place = chosen ? chosen : "/dev/shm";
  struct statvfs fs = {};
  if (statvfs(place, &fs) != 0) return;
  double const free = static_cast<double>(fs.f_bavail) * static_cast<double>(fs.f_frsize);
  if (free < static_cast<double>(bytes) + 16e6)
    fail(Exit::limit,
         "the ranks of a node share {:.3g} GiB but {} has {:.3g} GiB free; enlarge it (containers: --shm-size), or run "
         "one rank a node with more threads",
         static_cast<double>(bytes) / gib, place, free / gib);
}

void* map_private(std::size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    fail(Exit::limit, "cannot get {:.3g} GiB of memory ({}); ask for more memory or use more ranks on more nodes",
         static_cast<double>(bytes) / gib, std::strerror(errno));
  return p;
}

}  // namespace

struct SharedBytes::Window {
  MPI_Win win = MPI_WIN_NULL;
  void* plain = nullptr;
  std::size_t plain_bytes = 0;
};

SharedBytes::SharedBytes(Comm const& comm, std::size_t bytes)
    : node_(comm.node()), window_(std::make_unique<Window>()), size_(bytes), uncaught_(std::uncaught_exceptions()) {
  std::size_t const padded = bytes + alignment;  // never empty, and room to align
  // Nodes may have different numbers of ranks: every rank goes through the same agreements, alone on its node or not.
  bool const alone = node_.size() == 1;
  together(comm, [&] {
    if (alone) {
      window_->plain = map_private(padded);
      window_->plain_bytes = padded;
    } else if (node_.root()) {
      check_space(padded);
    }
  });
  void* base = nullptr;
  // Collective over the node: every rank of it gets the same verdict from MPI.
  int const error = alone ? MPI_SUCCESS
                          : MPI_Win_allocate_shared(node_.root() ? static_cast<MPI_Aint>(padded) : 0, 1, MPI_INFO_NULL,
                                                    native(node_), &base, &window_->win);
  together(comm, [&] {
    if (error != MPI_SUCCESS)
      fail(Exit::limit, "the ranks of a node cannot share {:.3g} GiB (MPI_Win_allocate_shared failed); is /dev/shm, or "
           "the memory that the job was given, large enough?", static_cast<double>(padded) / gib);
  });
  if (alone) {
    data_ = static_cast<std::byte*>(window_->plain);
    return;
  }
  MPI_Aint there = 0;
  int unit = 0;
  check_mpi(MPI_Win_shared_query(window_->win, 0, &there, &unit, &base), "MPI_Win_shared_query");
  check_mpi(MPI_Win_lock_all(MPI_MODE_NOCHECK, window_->win), "MPI_Win_lock_all");
  auto const address = reinterpret_cast<std::uintptr_t>(base);
  data_ = reinterpret_cast<std::byte*>((address + alignment - 1) / alignment * alignment);
  // Every rank clears its share: the pages spread over the memory controllers, and no promise of zeros is needed.
  std::size_t const ranks = static_cast<std::size_t>(node_.size()), me = static_cast<std::size_t>(node_.rank());
  std::size_t const from = bytes / ranks * me, to = me + 1 == ranks ? bytes : bytes / ranks * (me + 1);
  std::memset(data_ + from, 0, to - from);
  synchronise();
}

SharedBytes::~SharedBytes() {
  if (window_->plain) munmap(window_->plain, window_->plain_bytes);
  if (window_->win == MPI_WIN_NULL || std::uncaught_exceptions() > uncaught_ || !Mpi::active()) return;
  MPI_Win_unlock_all(window_->win);
  MPI_Win_free(&window_->win);
}

void SharedBytes::synchronise() const {
  if (window_->win == MPI_WIN_NULL) return;
  check_mpi(MPI_Win_sync(window_->win), "MPI_Win_sync");
  node_.barrier();
  check_mpi(MPI_Win_sync(window_->win), "MPI_Win_sync");
}

}  // namespace striate
