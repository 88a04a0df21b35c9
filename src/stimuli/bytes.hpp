#pragma once
/// Bytes read piecewise, so that a header can be parsed without reading the whole file.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <vector>

namespace striate {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// Copies up to `count` bytes from `offset`; returns how many there were.
  virtual std::size_t read(std::size_t offset, std::uint8_t* to, std::size_t count) const = 0;
};

class MemoryBytes : public ByteSource {
 public:
  MemoryBytes(std::uint8_t const* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const override { return bytes_; }
  std::size_t read(std::size_t offset, std::uint8_t* to, std::size_t count) const override {
    if (offset >= bytes_) return 0;
    count = std::min(count, bytes_ - offset);
    std::memcpy(to, data_ + offset, count);
    return count;
  }

 private:
  std::uint8_t const* data_;
  std::size_t bytes_;
};

/// An open regular file. Throws Error naming it: Exit::no_input where it is missing or may not be read, Exit::limit
/// where the process has too many files open, Exit::io where the file system fails.
class FileBytes : public ByteSource {
 public:
  explicit FileBytes(std::filesystem::path path);
  ~FileBytes() override;
  FileBytes(FileBytes const&) = delete;
  FileBytes& operator=(FileBytes const&) = delete;
  [[nodiscard]] std::size_t size() const override { return size_; }
  /// Small reads come from a window around the last one.
  std::size_t read(std::size_t offset, std::uint8_t* to, std::size_t count) const override;

 private:
  std::size_t read_file(std::size_t offset, std::uint8_t* to, std::size_t count) const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::size_t size_ = 0;
  mutable std::size_t window_start_ = 0;
  mutable std::vector<std::uint8_t> window_;
};

}  // namespace striate
