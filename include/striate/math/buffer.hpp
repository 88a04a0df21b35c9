#pragma once
/// Uninitialised, 64-byte aligned memory that only ever grows: a worker reuses it from tile to tile, so that the
/// kernel does not hand out (and zero) fresh pages for every tile.
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace striate {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n) { grow(n); }
  Buffer(Buffer const&) = delete;
  Buffer& operator=(Buffer const&) = delete;
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  /// At least n elements; contents are lost where it grows. Throws std::bad_alloc.
  T* grow(std::size_t n) {
    if (n > size_) {
      std::free(std::exchange(data_, nullptr));
      size_ = 0;
      constexpr std::size_t huge = std::size_t{1}
                                   << 21;  // large buffers on huge pages: first touches are dear otherwise
      std::size_t const align = n * sizeof(T) >= 2 * huge ? huge : 64;
      std::size_t const bytes = (n * sizeof(T) + align - 1) / align * align;
      data_ = static_cast<T*>(std::aligned_alloc(align, bytes));
#ifdef MADV_HUGEPAGE
      if (align == huge && data_ != nullptr) {
        (void)madvise(data_, bytes, MADV_HUGEPAGE);
      }
#endif
      if (data_ == nullptr) {
        throw std::bad_alloc();
      }
      size_ = n;
    }
    return data_;
  }
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace striate
