#pragma once
/// Bytes that the ranks of a node hold once (MPI_Win_allocate_shared).
#include <cstddef>
#include <memory>

#include "striate/par/comm.hpp"

namespace striate {

/// Zero-filled bytes in one piece, aligned to 64, the same memory on every rank of comm.node().
/// Construct and free collectively over the node; the destructor leaves the memory to the end of the process while an
/// exception unwinds. Node rank 0 owns the pages; a node of one rank uses plain memory.
/// Throws Error(Exit::limit), on all ranks of `comm`, where the memory cannot be had (it says whether /dev/shm is it).
class SharedBytes {
 public:
  SharedBytes(Comm const& comm, std::size_t bytes);
  ~SharedBytes();
  SharedBytes(SharedBytes const&) = delete;
  SharedBytes& operator=(SharedBytes const&) = delete;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// What one rank wrote before is seen by every rank of the node after. Collective over the node.
  void synchronise() const;

 private:
  struct Window;
  Comm node_;
  std::unique_ptr<Window> window_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int uncaught_ = 0;
};

}  // namespace striate
