#include "memory.hpp"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "striate/base/error.hpp"

namespace striate::net {
namespace {

constexpr std::size_t header = 64;  ///< before each block: its class. Keeps the alignment that vector code wants
constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Eight classes for each power of two. A block serves what wants half of it or more, so that layers of differing sizes
/// share memory.
std::size_t class_size(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes + header, 256);
  std::size_t const step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  void* take(std::size_t bytes) {
    std::size_t const wanted = class_size(bytes);
    keep_within(static_cast<std::int64_t>(wanted));
    {
      std::lock_guard const lock(mutex_);
      free_[wanted].last_taken = ++clock_;
      for (auto it = free_.lower_bound(wanted); it != free_.end() && it->first <= 2 * wanted; ++it) {
        if (it->second.blocks.empty()) continue;
        void* block = it->second.blocks.back();
        it->second.blocks.pop_back();
        it->second.last_taken = clock_;
        kept_ -= static_cast<std::int64_t>(it->first);
        count(it->first);
        return static_cast<char*>(block) + header;
      }
      count(wanted);
    }
    return fresh(wanted);
  }

  void give(void* data) {
    char* block = static_cast<char*>(data) - header;
    std::size_t size = 0;
    std::memcpy(&size, block, sizeof size);
    std::lock_guard const lock(mutex_);
    in_use_ -= static_cast<std::int64_t>(size);
    kept_ += static_cast<std::int64_t>(size);
    free_[size].blocks.push_back(block);
    while (kept_ > limit_) drop_one();
  }

  void set_most(std::int64_t bytes) { most_ = bytes; }

  void release() {
    std::lock_guard const lock(mutex_);
    drop_all();
    limit_ = 2 * in_use_;
  }

  std::int64_t in_use() {
    std::lock_guard const lock(mutex_);
    return in_use_;
  }
  std::int64_t kept() {
    std::lock_guard const lock(mutex_);
    return kept_;
  }
  std::int64_t fresh_blocks() const { return fresh_; }
  std::int64_t take_peak() {
    std::lock_guard const lock(mutex_);
    return std::exchange(peak_, in_use_);
  }

 private:
  void count(std::size_t size) {
    in_use_ += static_cast<std::int64_t>(size);
    peak_ = std::max(peak_, in_use_);
    limit_ = std::max(limit_, 2 * in_use_);
  }

  /// Gives kept blocks back rather than hold more than is allowed; with what is in use alone beyond it, there is no
  /// memory.
  void keep_within(std::int64_t wanted) {
    std::int64_t const most = most_;
    if (most == 0) return;
    std::lock_guard const lock(mutex_);
    if (in_use_ + kept_ + wanted > most) drop_all();
    if (in_use_ + wanted > most)
      fail(Exit::limit, "out of memory: the network wants {} MB for one tensor beside {} MB, and may have {} MB", wanted >> 20,
           in_use_ >> 20, most >> 20);
  }

  void* fresh(std::size_t size) {
    ++fresh_;
    std::size_t const alignment = size >= 2 * huge_page ? huge_page : 64;
    void* block = nullptr;
    if (posix_memalign(&block, alignment, size) != 0) {
      std::lock_guard const lock(mutex_);
      drop_all();  // what is kept may be what is missing
      if (posix_memalign(&block, alignment, size) != 0) {
        in_use_ -= static_cast<std::int64_t>(size);
        fail(Exit::limit, "out of memory: the network wants {} MB for one tensor; take a smaller `batch`", size >> 20);
      }
    }
    if (alignment == huge_page) madvise(block, size, MADV_HUGEPAGE);
    std::memcpy(block, &size, sizeof size);
    return static_cast<char*>(block) + header;
  }

  /// A block of the class that has not been asked for longest: of another batch size, of a network that is gone.
  void drop_one() {
    auto oldest = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it)
      if (!it->second.blocks.empty() && (oldest == free_.end() || it->second.last_taken < oldest->second.last_taken))
        oldest = it;
    std::free(oldest->second.blocks.back());
    oldest->second.blocks.pop_back();
    kept_ -= static_cast<std::int64_t>(oldest->first);
  }

  void drop_all() {
    for (auto& [size, list] : free_) {
      for (void* block : list.blocks) std::free(block);
      list.blocks.clear();
    }
    kept_ = 0;
  }

  struct FreeList {
    std::vector<void*> blocks;
    std::uint64_t last_taken = 0;
  };

  std::mutex mutex_;
  std::atomic<std::int64_t> fresh_ = 0, most_ = 0;  ///< most_: in use at once; 0 without limit
  std::map<std::size_t, FreeList> free_;  ///< by class
  std::uint64_t clock_ = 0;
  std::int64_t in_use_ = 0, kept_ = 0, peak_ = 0, limit_ = 0;
};

Pool& pool() {
  static Pool* const one = new Pool;  // never destroyed: tensors of static objects outlive it
  return *one;
}

void give_back(void* data) {
  if (data != nullptr) pool().give(data);
}

c10::DataPtr take_from_pool(std::size_t bytes) {
  void* data = bytes == 0 ? nullptr : pool().take(bytes);
  return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
}

/// LibTorch 2.3 took the const from allocate and added copy_data: both forms are here, each overrides where it exists.
class KeepingAllocator final : public c10::Allocator {
 public:
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsuggest-override"
#endif
  c10::DataPtr allocate(std::size_t bytes) const { return take_from_pool(bytes); }
  c10::DataPtr allocate(std::size_t bytes) { return take_from_pool(bytes); }
  void copy_data(void* to, void const* from, std::size_t bytes) const { std::memcpy(to, from, bytes); }
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
};

}  // namespace

void keep_tensor_memory() {
  static KeepingAllocator* const allocator = [] {
    auto* made = new KeepingAllocator;
    c10::SetCPUAllocator(made, 255);
    return made;
  }();
  (void)allocator;
}

std::int64_t tensor_bytes_in_use() { return pool().in_use(); }
std::int64_t tensor_bytes_kept() { return pool().kept(); }
std::int64_t fresh_blocks() { return pool().fresh_blocks(); }
std::int64_t take_peak() { return pool().take_peak(); }
void release_kept_memory() { pool().release(); }
void limit_memory(std::int64_t bytes) { pool().set_most(bytes); }

}  // namespace striate::net
