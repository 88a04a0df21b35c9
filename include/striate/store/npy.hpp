#pragma once
/// NumPy's .npy files, versions 1 to 3: read through mmap, write atomically.
/// Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace striate {

/// A file opened for reading. Types: bool, i1 … i8, u1 … u8, f2, f4, f8; either byte order; C or Fortran order.
class NpyFile {
 public:
  /// Throws Error(Exit::no_input) where missing, Exit::data where not .npy, of an unsupported type (complex, text,
  /// objects) or shorter than its header says.
  explicit NpyFile(std::filesystem::path path);
  /// One that lies within a file (bytes [first, first + bytes): of a .npz), or in memory; `name` for messages.
  NpyFile(std::filesystem::path path, std::string const& name, std::size_t first, std::size_t bytes);
  NpyFile(std::string const& name, std::shared_ptr<std::byte const> memory, std::size_t bytes);

  [[nodiscard]] std::filesystem::path const& path() const { return path_; }
  [[nodiscard]] std::vector<std::uint64_t> const& shape() const { return shape_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::string const& dtype() const { return dtype_; }  ///< as in the header: "<f4"
  [[nodiscard]] bool fortran_order() const { return fortran_; }
  /// Elements [first, first + out.size()) in the order of the file, as double or float.
  void read(std::uint64_t first, std::span<double> out) const;
  void read(std::uint64_t first, std::span<float> out) const;
  void read(std::uint64_t first, std::span<std::uint8_t> out) const;  ///< of type u1
  /// The bytes as they lie (native or not), for exact comparison.
  [[nodiscard]] std::span<std::byte const> bytes() const;

 private:
  void map();
  void read_header(std::string const& name, std::size_t bytes);
  void parse(std::string const& header);
  template <class T>
  void read_as(std::uint64_t first, std::span<T> out) const;
  std::filesystem::path path_;
  std::shared_ptr<std::byte const> map_;
  std::shared_ptr<std::atomic<std::size_t>> touched_;  ///< bytes since pages were last given back
  std::size_t map_bytes_ = 0, offset_ = 0;
  std::vector<std::uint64_t> shape_;
  std::uint64_t size_ = 1;
  std::string dtype_;
  char kind_ = 'f';
  int width_ = 4;
  bool swapped_ = false, fortran_ = false;
};

/// The arrays of a .npz by name, in the order of the archive: stored ones are mapped, compressed ones held in memory.
/// Throws Error(Exit::no_input | Exit::data).
struct NpzArray {
  std::string name;
  NpyFile array;
  bool in_memory = false;
};
[[nodiscard]] std::vector<NpzArray> read_npz(std::filesystem::path const& path);

class TempFile;
/// Writes an array of any size piece by piece; it appears under its name when it is whole.
class NpyWriter {
 public:
  /// `dtype`: "<f4". Throws Error(Exit::io | Exit::cant_create).
  NpyWriter(std::filesystem::path const& path, std::string const& dtype, std::vector<std::uint64_t> const& shape);
  ~NpyWriter();
  void write(void const* values, std::size_t bytes);
  void close();

 private:
  std::unique_ptr<TempFile> temp_;
  std::FILE* file_ = nullptr;
};

/// C order, little-endian, atomically (tmp + rename). Throws Error(Exit::io | Exit::cant_create).
void write_npy(std::filesystem::path const& path, std::span<float const> values,
               std::vector<std::uint64_t> const& shape);
void write_npy(std::filesystem::path const& path, std::span<double const> values,
               std::vector<std::uint64_t> const& shape);
void write_npy(std::filesystem::path const& path, std::span<std::int32_t const> values,
               std::vector<std::uint64_t> const& shape);

}  // namespace striate
