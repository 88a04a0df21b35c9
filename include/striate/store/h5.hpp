#pragma once
/// HDF5 with owners, checked calls and one-line errors. Only the main thread may call it.
///
/// Every failing call throws Error "FILE: DATASET: what failed (HDF5's innermost message)": Exit::io for reading and
/// writing ("… disk full …" on ENOSPC), Exit::cant_create where a file cannot be made, Exit::no_input where it is missing
/// or unreadable, Exit::data where it is not an HDF5 file or has another shape or type. HDF5 prints nothing itself.
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1  // the C++ bindings are dead, and need a library of their own
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "striate/base/error.hpp"
#include "striate/par/comm.hpp"

namespace striate::h5 {

/// Library set-up: silence, no file locks (striate holds its own lock; HDF5's fail on NFS and Lustre), no exit handler.
/// Called by every File; harmless to repeat.
void init();

/// "1.10.8", and whether it is a parallel build.
[[nodiscard]] std::string version();
[[nodiscard]] bool is_parallel();

/// Owner of one HDF5 identifier.
class Id {
 public:
  Id() = default;
  explicit Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Id(Id&& o) noexcept : id_(std::exchange(o.id_, -1)), close_(o.close_) {}
  Id& operator=(Id&& o) noexcept {
    std::swap(id_, o.id_), std::swap(close_, o.close_);
    return *this;
  }
  ~Id() { reset(); }
  void reset() {
    if (id_ >= 0) close_(std::exchange(id_, -1));
  }
  void leak() { id_ = -1; }  ///< never closed: see File
  [[nodiscard]] hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// Throws the Error of the call that just failed, read from HDF5's error stack. `what` as "cannot write".
[[noreturn]] void raise(Exit code, std::filesystem::path const& file, std::string const& object, std::string const& what);

/// Element types of datasets.
enum class Dtype { f16, f32, f64, u8, u32, u64, i32, i64 };
[[nodiscard]] std::size_t size_of(Dtype type);
[[nodiscard]] char const* name_of(Dtype type);      ///< "float32" …
[[nodiscard]] Dtype dtype_of_name(std::string const& name);  ///< of "float32" or "f32"; Error(Exit::config) otherwise
/// The type on disk and in memory (little endian); f16 as h5py's float16. Not owned.
[[nodiscard]] hid_t type_id(Dtype type);

template <class T>
constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, float>) return Dtype::f32;
  else if constexpr (std::is_same_v<T, double>) return Dtype::f64;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return Dtype::u8;
  else if constexpr (std::is_same_v<T, std::uint32_t>) return Dtype::u32;
  else if constexpr (std::is_same_v<T, std::int32_t>) return Dtype::i32;
  else if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T> && sizeof(T) == 8) return Dtype::u64;
  else if constexpr (std::is_integral_v<T> && sizeof(T) == 8) return Dtype::i64;
  else static_assert(!sizeof(T), "no HDF5 type");
}

using Shape = std::vector<std::size_t>;
[[nodiscard]] std::size_t volume(Shape const& shape);
[[nodiscard]] std::string text_of(Shape const& shape);  ///< "5 × 3 × 2"

/// How a dataset is laid out. Fixed extents, space allocated at creation, no fill, no filters.
struct Layout {
  Shape chunk = {};     ///< empty: contiguous
  /// Chunks lie one after the other, without an index to read first (HDF5's implicit index; readers need HDF5 1.10).
  bool dense = false;
  int gzip = 0;  ///< level of shuffle and deflate, which every HDF5 reads; space is then taken as chunks are written
};

class Dataset {
 public:
  Dataset() = default;
  [[nodiscard]] Shape const& shape() const { return shape_; }
  [[nodiscard]] Shape chunk() const;              ///< empty where contiguous
  [[nodiscard]] bool filtered() const;            ///< compressed
  /// Where the first chunk begins in the file, where all chunks follow each other in row-major order; else nothing.
  [[nodiscard]] std::optional<std::uint64_t> dense_address() const;
  [[nodiscard]] bool numeric() const;             ///< integer or float
  [[nodiscard]] bool is_float16() const;
  [[nodiscard]] std::string type_name() const;    ///< "float32", "string" …
  [[nodiscard]] hid_t id() const { return id_.get(); }
  [[nodiscard]] std::string const& name() const { return name_; }

  /// Reads / writes the box [first, first + count) from / to dense C-order memory, converting numbers. On a parallel
  /// file these are independent transfers (not collective), cut below 1 GiB by the first axis that allows it.
  void read(Shape const& first, Shape const& count, hid_t memory_type, void* out) const;
  void write(Shape const& first, Shape const& count, hid_t memory_type, void const* in);
  /// Puts a chunk that has gone through the filters already into the file as it is. Serial.
  void write_filtered_chunk(Shape const& first, void const* bytes, std::size_t count);
  /// Writes the box from the corner of a larger array of shape `memory`.
  void write_corner(Shape const& first, Shape const& count, Shape const& memory, hid_t memory_type, void const* in);
  /// The same with memory that is a two-dimensional array of `memory_columns` columns, of which the box fills
  /// columns [column, column + box volume / count[0]); its rows are the box's first axis.
  void read_columns(Shape const& first, Shape const& count, hid_t memory_type, void* out, std::size_t memory_columns,
                    std::size_t column) const;

  template <class T>
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> values(volume(shape_));
    if (!values.empty()) read(Shape(shape_.size(), 0), shape_, type_id(dtype_of<T>()), values.data());
    return values;
  }
  template <class T>
  void write(std::span<T const> values) {
    check_volume(values.size());
    if (!values.empty()) write(Shape(shape_.size(), 0), shape_, type_id(dtype_of<T>()), values.data());
  }
  [[nodiscard]] std::vector<std::string> read_strings() const;  ///< fixed or variable length

 private:
  friend class File;
  void check_volume(std::size_t values) const;
  Id id_;
  std::string name_;
  std::filesystem::path file_;
  Shape shape_;
};

/// An open file: serial, or by all ranks of a Comm (MPI-IO; a Comm of one rank uses the serial driver).
/// Creating and opening a parallel file, its objects and attributes, flush and close are collective.
/// A destructor during unwinding leaves a parallel file open: closing is collective, and the others may not come.
class File {
 public:
  File() = default;
  File(File&&) noexcept = default;
  File& operator=(File&&) noexcept;
  ~File();
  [[nodiscard]] static File create(Comm const& comm, std::filesystem::path const& path);  ///< truncates
  [[nodiscard]] static File open_for_writing(Comm const& comm, std::filesystem::path const& path);
  [[nodiscard]] static File open(std::filesystem::path const& path);  ///< read only, serial, this rank alone

  void flush();   ///< everything is on disk (fsync) on return
  void close();   ///< flush + close; throws where that fails
  explicit operator bool() const { return static_cast<bool>(id_); }
  [[nodiscard]] std::filesystem::path const& path() const { return path_; }
  [[nodiscard]] hid_t id() const { return id_.get(); }

  [[nodiscard]] bool has(std::string const& name) const;             ///< link exists (any depth)
  [[nodiscard]] bool is_dataset(std::string const& name) const;
  [[nodiscard]] std::vector<std::string> names(std::string const& group = "/") const;  ///< links, alphabetical
  /// Intermediate groups are made.
  Dataset create_dataset(std::string const& name, Dtype type, Shape const& shape, Layout const& layout = {});
  [[nodiscard]] Dataset dataset(std::string const& name) const;
  /// Fixed-length UTF-8. A single text is a scalar dataset. On a parallel file rank 0 writes the bytes.
  void write_strings(std::string const& name, std::vector<std::string> const& texts);
  void write_text(std::string const& name, std::string const& text);
  [[nodiscard]] std::string read_text(std::string const& name) const;

  /// Attributes of `object` ("/" = root). Setting replaces the value in place where the type and size agree.
  void set_attribute(std::string const& object, std::string const& name, std::string const& text);
  void set_attribute(std::string const& object, std::string const& name, std::vector<std::string> const& texts);
  void set_attribute(std::string const& object, std::string const& name, std::int64_t value);
  void set_attribute(std::string const& object, std::string const& name, double value);
  [[nodiscard]] bool has_attribute(std::string const& object, std::string const& name) const;
  [[nodiscard]] std::vector<std::string> attribute_names(std::string const& object) const;
  /// A text, or a number as text; several values are joined by ", ". Error(Exit::data) where there is none.
  [[nodiscard]] std::string attribute(std::string const& object, std::string const& name) const;
  [[nodiscard]] std::vector<std::string> attribute_strings(std::string const& object, std::string const& name) const;

 private:
  Comm comm_;
  bool parallel_ = false;
  int uncaught_ = 0;
  bool writable_ = false;
  std::filesystem::path path_;
  Id id_;
};

}  // namespace striate::h5
