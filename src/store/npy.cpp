#include "striate/store/npy.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <regex>

#include "numbers.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

struct Unmap {
  std::size_t bytes;
  void operator()(std::byte const* p) const { ::munmap(const_cast<std::byte*>(p), bytes); }
};

/// Bytes of a file that may stay mapped in, and those that the system maps around a byte that is asked for.
constexpr std::size_t most_resident = std::size_t{16} << 20, mapped_around = std::size_t{64} << 10;

}  // namespace

NpyFile::NpyFile(std::filesystem::path path) : path_(std::move(path)) {
  std::string name = path_.filename().string();
  int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(Exit::no_input, "{} cannot be read ({}); check the path", path_.string(), std::strerror(errno));
  struct stat status {};
  bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  map_bytes_ = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* map = map_bytes_ > 0 ? ::mmap(nullptr, map_bytes_, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  int error = errno;
  ::close(fd);
  if (!regular) fail(Exit::no_input, "{} is not a file; check the path", path_.string());
  if (map_bytes_ < 10) fail(Exit::data, "{} is not a .npy file ({} bytes)", name, map_bytes_);
  if (map == MAP_FAILED) fail(Exit::io, "{} cannot be mapped ({})", path_.string(), std::strerror(error));
  map_ = {static_cast<std::byte const*>(map), Unmap{map_bytes_}};
  touched_ = std::make_shared<std::atomic<std::size_t>>(0);

  auto const* head = reinterpret_cast<unsigned char const*>(map_.get());
  if (std::memcmp(head, "\x93NUMPY", 6) != 0)
    fail(Exit::data, "{} is not a .npy file (it does not begin as one){}", name,
         std::memcmp(head, "PK", 2) == 0 ? "; it looks like .npz: save the array alone with numpy.save" : "");
  int version = head[6];
  if (version < 1 || version > 3) fail(Exit::data, "{} is .npy version {} (1 to 3 are read)", name, version);
  std::size_t length = head[8] | static_cast<std::size_t>(head[9]) << 8;
  offset_ = 10;
  if (version > 1 && map_bytes_ >= 12) {
    length |= static_cast<std::size_t>(head[10]) << 16 | static_cast<std::size_t>(head[11]) << 24;
    offset_ = 12;
  }
  if (offset_ + length > map_bytes_) fail(Exit::data, "{} is truncated (inside its header)", name);
  parse({reinterpret_cast<char const*>(head) + offset_, length});
  offset_ += length;
  std::size_t need = size_ * static_cast<std::size_t>(width_);
  if (map_bytes_ - offset_ < need)
    fail(Exit::data, "{} is truncated ({} bytes of data where its header promises {}); copy or save it again", name,
         map_bytes_ - offset_, need);
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
  kind_ = found[2].str()[0], width_ = std::stoi(found[3].str());
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

}  // namespace striate
