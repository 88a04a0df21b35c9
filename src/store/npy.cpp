#include "striate/store/npy.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <regex>
#include <utility>

#include "numbers.hpp"
#include "striate/base/error.hpp"
#include "striate/base/temp_file.hpp"

namespace striate {
namespace {

struct Unmap {
  std::size_t bytes;
  void operator()(std::byte const* p) const { ::munmap(const_cast<std::byte*>(p), bytes); }
};

/// Bytes of a file that may stay mapped in, and those that the system maps around a byte that is asked for.
constexpr std::size_t most_resident = std::size_t{16} << 20, mapped_around = std::size_t{64} << 10;

}  // namespace

/// The whole file.
void NpyFile::map() {
  int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(Exit::no_input, "{} cannot be read ({}); check the path", path_.string(), std::strerror(errno));
  struct stat status {};
  bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  map_bytes_ = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* map = map_bytes_ > 0 ? ::mmap(nullptr, map_bytes_, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  int error = errno;
  ::close(fd);
  if (!regular) fail(Exit::no_input, "{} is not a file; check the path", path_.string());
  if (map_bytes_ < 10) fail(Exit::data, "{} is not a .npy file ({} bytes)", path_.filename().string(), map_bytes_);
  if (map == MAP_FAILED) fail(Exit::io, "{} cannot be mapped ({})", path_.string(), std::strerror(error));
  map_ = {static_cast<std::byte const*>(map), Unmap{map_bytes_}};
  touched_ = std::make_shared<std::atomic<std::size_t>>(0);
}

NpyFile::NpyFile(std::filesystem::path path) : path_(std::move(path)) {
  map();
  read_header(path_.filename().string(), map_bytes_);
}

NpyFile::NpyFile(std::filesystem::path path, std::string const& name, std::size_t first, std::size_t bytes)
    : path_(std::move(path)) {
  map();
  if (first > map_bytes_ || bytes > map_bytes_ - first) fail(Exit::data, "{} is truncated; copy or save it again", name);
  offset_ = first;
  read_header(name, bytes);
}

NpyFile::NpyFile(std::string const& name, std::shared_ptr<std::byte const> memory, std::size_t bytes)
    : path_(name), map_(std::move(memory)), map_bytes_(bytes) {
  read_header(name, bytes);
}

/// Of the array that begins at offset_ and has `bytes` bytes.
void NpyFile::read_header(std::string const& name, std::size_t bytes) {
  std::size_t const begin = offset_, end = begin + bytes;
  auto const* head = reinterpret_cast<unsigned char const*>(map_.get()) + begin;
  if (bytes < 10 || std::memcmp(head, "\x93NUMPY", 6) != 0)
    fail(Exit::data, "{} is not a .npy file (it does not begin as one){}", name,
         bytes > 1 && std::memcmp(head, "PK", 2) == 0 ? "; it looks like .npz: save the array alone with numpy.save" : "");
  int version = head[6];
  if (version < 1 || version > 3) fail(Exit::data, "{} is .npy version {} (1 to 3 are read)", name, version);
  std::size_t length = head[8] | static_cast<std::size_t>(head[9]) << 8;
  offset_ = begin + 10;
  if (version > 1 && bytes >= 12) {
    length |= static_cast<std::size_t>(head[10]) << 16 | static_cast<std::size_t>(head[11]) << 24;
    offset_ = begin + 12;
  }
  constexpr std::size_t longest = 16384;  // NumPy itself warns of more than 10,000; regular expressions recurse
  if (length > longest) fail(Exit::data, "{} has a broken .npy header ({} bytes long)", name, length);
  if (offset_ + length > end) fail(Exit::data, "{} is truncated (inside its header)", name);
  parse({reinterpret_cast<char const*>(map_.get()) + offset_, length});
  offset_ += length;
  std::size_t need = size_ * static_cast<std::size_t>(width_);
  if (end - offset_ < need)
    fail(Exit::data, "{} is truncated ({} bytes of data where its header promises {}); copy or save it again", name,
         end - offset_, need);
}

void NpyFile::parse(std::string const& header) {
  std::string name = path_.filename().string();
  std::smatch found;
  static std::regex const descr("'descr'\\s*:\\s*'([<>|=]?)([a-zA-Z])(\\d+)'"),
      order("'fortran_order'\\s*:\\s*(True|False)"), shape("'shape'\\s*:\\s*\\(([^)]*)\\)"), number("\\d+");
  static std::regex const other("'descr'\\s*:\\s*(.*?),\\s*'");
  if (!std::regex_search(header, found, descr)) {
    std::string type = std::regex_search(header, found, other) ? found[1].str() : "unknown";
    fail(Exit::data, "{} holds values of type {}; save it as float32", name, type);
  }
  dtype_ = found[1].str() + found[2].str() + found[3].str();
  kind_ = found[2].str()[0], width_ = found[3].length() > 3 ? 0 : std::stoi(found[3].str());
  char byte_order = found[1].str().empty() ? '=' : found[1].str()[0];
  bool little = std::endian::native == std::endian::little;
  swapped_ = width_ > 1 && byte_order == (little ? '>' : '<');
  bool whole = (kind_ == 'i' || kind_ == 'u') && (width_ == 1 || width_ == 2 || width_ == 4 || width_ == 8);
  bool real = kind_ == 'f' && (width_ == 2 || width_ == 4 || width_ == 8);
  if (!whole && !real && !(kind_ == 'b' && width_ == 1))
    fail(Exit::data, "{} holds values of type {} (only real numbers are read); save it as float32", name, dtype_);
  if (!std::regex_search(header, found, order)) fail(Exit::data, "{} has a broken .npy header (fortran_order)", name);
  fortran_ = found[1].str() == "True";
  if (!std::regex_search(header, found, shape)) fail(Exit::data, "{} has a broken .npy header (shape)", name);
  std::string dims = found[1].str();
  for (std::sregex_iterator it(dims.begin(), dims.end(), number), end; it != end; ++it) {
    if (it->length() > 18) fail(Exit::data, "{} has a broken .npy header (shape too large)", name);
    shape_.push_back(std::stoull(it->str()));
    if (shape_.back() != 0 && size_ > (std::uint64_t{1} << 60) / shape_.back())
      fail(Exit::data, "{} has a broken .npy header (shape too large)", name);
    size_ *= shape_.back();
  }
}

template <class T>
void NpyFile::read_as(std::uint64_t first, std::span<T> out) const {
  auto const width = static_cast<std::size_t>(width_);
  convert_numbers(kind_, width_, map_.get() + offset_ + first * width, swapped_, out);
  if (!touched_) return;  // in memory
  std::size_t const touched = std::max(mapped_around, out.size() * width);
  if (touched_->fetch_add(touched, std::memory_order_relaxed) + touched < most_resident) return;
  // Pages of a map count as this process's memory, to which a batch system may hold it; they stay in the system's cache.
  touched_->store(0, std::memory_order_relaxed);
  (void)::madvise(const_cast<std::byte*>(map_.get()), map_bytes_, MADV_DONTNEED);
}
void NpyFile::read(std::uint64_t first, std::span<double> out) const { read_as(first, out); }
void NpyFile::read(std::uint64_t first, std::span<float> out) const { read_as(first, out); }
void NpyFile::read(std::uint64_t first, std::span<std::uint8_t> out) const { read_as(first, out); }
std::span<std::byte const> NpyFile::bytes() const {
  return {map_.get() + offset_, static_cast<std::size_t>(size_) * static_cast<std::size_t>(width_)};
}

namespace {

std::string npy_head(std::string const& dtype, std::vector<std::uint64_t> const& shape) {
  static_assert(std::endian::native == std::endian::little, "striate writes little-endian files");
  std::string dims;
  for (std::uint64_t d : shape) dims += std::to_string(d) + ", ";
  if (shape.size() > 1) dims.resize(dims.size() - 2);
  if (shape.size() == 1) dims.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", dtype, dims);
  header.append(63 - (10 + header.size()) % 64, ' ');  // data aligned to 64, as NumPy does
  header.push_back('\n');
  std::string head("\x93NUMPY\x01\x00", 8);
  head.push_back(static_cast<char>(header.size() & 255));
  head.push_back(static_cast<char>(header.size() >> 8));
  return head + header;
}

void write_any(std::filesystem::path const& path, void const* data, std::size_t bytes, char const* dtype,
               std::vector<std::uint64_t> const& shape) {
  NpyWriter file(path, dtype, shape);
  file.write(data, bytes);
  file.close();
}

}  // namespace

NpyWriter::NpyWriter(std::filesystem::path const& path, std::string const& dtype,
                     std::vector<std::uint64_t> const& shape)
    : temp_(std::make_unique<TempFile>(path)), file_(std::fopen(temp_->path().c_str(), "wb")) {
  if (file_ == nullptr) temp_->broken();
  std::string const head = npy_head(dtype, shape);
  write(head.data(), head.size());
}
NpyWriter::~NpyWriter() {
  if (file_ != nullptr) std::fclose(file_);
}
void NpyWriter::write(void const* values, std::size_t bytes) {
  errno = 0;
  if (bytes > 0 && std::fwrite(values, 1, bytes, file_) != bytes) temp_->broken();
}
void NpyWriter::close() {
  errno = 0;
  if (std::fclose(std::exchange(file_, nullptr)) != 0) temp_->broken();
  temp_->commit();
}

void write_npy(std::filesystem::path const& path, std::span<float const> values,
               std::vector<std::uint64_t> const& shape) {
  write_any(path, values.data(), values.size_bytes(), "<f4", shape);
}
void write_npy(std::filesystem::path const& path, std::span<double const> values,
               std::vector<std::uint64_t> const& shape) {
  write_any(path, values.data(), values.size_bytes(), "<f8", shape);
}
void write_npy(std::filesystem::path const& path, std::span<std::int32_t const> values,
               std::vector<std::uint64_t> const& shape) {
  write_any(path, values.data(), values.size_bytes(), "<i4", shape);
}

}  // namespace striate
