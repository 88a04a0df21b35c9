#include "direct_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "striate/base/error.hpp"

#ifndef O_DIRECT
#define O_DIRECT 0
#endif

namespace striate {

bool DirectFile::suits(std::filesystem::path const& path) {
#ifdef __linux__
  constexpr long ext4 = 0xEF53, xfs = 0x58465342;
  struct statfs info = {};
  if (::statfs(path.c_str(), &info) != 0) return false;
  return static_cast<long>(info.f_type) == ext4 || static_cast<long>(info.f_type) == xfs;
#else
  return false;
#endif
}

bool DirectFile::open(std::filesystem::path const& path) {
  if (O_DIRECT == 0) return false;
  path_ = path;
  direct_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_DIRECT);
  if (direct_ < 0) return false;
  cached_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (cached_ < 0) ::close(std::exchange(direct_, -1));
  return is_open();
}

DirectFile& DirectFile::operator=(DirectFile&& o) noexcept {
  std::swap(path_, o.path_);
  std::swap(direct_, o.direct_);
  std::swap(cached_, o.cached_);
  return *this;
}

DirectFile::~DirectFile() {
  if (direct_ >= 0) ::close(direct_);
  if (cached_ >= 0) ::close(cached_);
}

void DirectFile::put(int file, std::uint64_t offset, std::byte const* data, std::size_t bytes) {
  constexpr std::size_t most = std::size_t{8} << 20;
  while (bytes > 0) {
    ssize_t const done = ::pwrite(file, data, std::min(bytes, most), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno == EINVAL && file == direct_)
      return put(cached_, offset, data, bytes);  // wants more than pages
    if (done <= 0)
      fail(Exit::io, "{}: cannot write ({}{})", path_.string(), done < 0 && errno == ENOSPC ? "disk full: " : "",
           done < 0 ? std::strerror(errno) : "nothing was taken");
    // What is left of a direct write that was cut short may not begin at a page.
    if (static_cast<std::size_t>(done) % page != 0) file = cached_;
    offset += static_cast<std::uint64_t>(done), data += done, bytes -= static_cast<std::size_t>(done);
  }
}

void DirectFile::write(std::uint64_t offset, std::byte const* data, std::size_t bytes) {
  std::uint64_t const begin = (offset + page - 1) / page * page, end = (offset + bytes) / page * page;
  bool const fits = (reinterpret_cast<std::uintptr_t>(data) - offset) % page == 0;
  if (end <= begin || !fits) return put(cached_, offset, data, bytes);
  put(cached_, offset, data, begin - offset);
  put(direct_, begin, data + (begin - offset), end - begin);
  put(cached_, end, data + (end - offset), offset + bytes - end);
}

void reserve(std::filesystem::path const& path, std::uint64_t size, std::filesystem::path const& name) {
  struct statvfs disk = {};
  struct stat there = {};
  bool const known = ::statvfs(path.c_str(), &disk) == 0 && disk.f_blocks > 0 && ::stat(path.c_str(), &there) == 0;
  std::uint64_t const free = known ? std::uint64_t{disk.f_bavail} * disk.f_frsize : 0,
                      held = known ? std::uint64_t{512} * static_cast<std::uint64_t>(there.st_blocks) : 0;
  auto const gigabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; };
  if (known && size > held && size - held > free)
    fail(Exit::io, "{}: disk full: needs {:.3f} GB, {:.3f} GB are free", name.string(), gigabytes(size - held),
         gigabytes(free));
#ifdef __linux__
  int const file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  int const trouble = ::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  ::close(file);
  if (trouble == ENOSPC || trouble == EDQUOT)
    fail(Exit::io, "{}: {}: needs {:.3f} GB, {:.3f} GB are free{}", name.string(),
         trouble == ENOSPC ? "disk full" : "quota exceeded", gigabytes(size), gigabytes(free),
         trouble == EDQUOT ? " on the disk" : "");
#endif
}

}  // namespace striate
