#include "bytes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "striate/base/error.hpp"

namespace striate {
namespace {

constexpr std::size_t window_size = 16384;  // holds the headers of most pictures: one read a file

[[noreturn]] void cannot_read(std::filesystem::path const& path, int trouble) {
  if (trouble == ENOENT || trouble == ENOTDIR)
    fail(Exit::no_input, "{} does not exist; check the stimulus id and `path=` of the table", path.string());
  if (trouble == EMFILE || trouble == ENFILE || trouble == ENOMEM)
    fail(Exit::limit, "{} cannot be opened ({}); raise the limit (ulimit -n) or use fewer threads", path.string(),
         std::strerror(trouble));
  bool const mendable = trouble == EACCES || trouble == EPERM || trouble == ELOOP || trouble == ENAMETOOLONG;
  fail(mendable ? Exit::no_input : Exit::io, "{} cannot be read ({})", path.string(), std::strerror(trouble));
}

}  // namespace

FileBytes::FileBytes(std::filesystem::path path) : path_(std::move(path)) {
  // O_NONBLOCK: a named pipe must not hang the job before it is told to be no file.
  do fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (fd_ < 0 && errno == EINTR);
  if (fd_ < 0) cannot_read(path_, errno);
  struct stat status {};
  bool const known = ::fstat(fd_, &status) == 0;
  if (known && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::size_t>(status.st_size);
    return;
  }
  int const trouble = errno;
  ::close(fd_);
  if (!known) cannot_read(path_, trouble);
  fail(Exit::no_input, "{} is {}, not a picture", path_.string(),
       S_ISDIR(status.st_mode) ? "a folder" : "no regular file");
}

FileBytes::~FileBytes() { ::close(fd_); }

std::size_t FileBytes::read_file(std::size_t offset, std::uint8_t* to, std::size_t count) const {
  std::size_t done = 0;
  while (done < count) {
    ssize_t const got = ::pread(fd_, to + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(path_, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::size_t FileBytes::read(std::size_t offset, std::uint8_t* to, std::size_t count) const {
  if (count > window_size) return read_file(offset, to, count);
  if (offset < window_start_ || offset + count > window_start_ + window_.size()) {
    window_.resize(window_size);
    window_start_ = offset;
    window_.resize(read_file(offset, window_.data(), window_size));
  }
  if (offset >= window_start_ + window_.size()) return 0;
  count = std::min(count, window_start_ + window_.size() - offset);
  std::memcpy(to, window_.data() + (offset - window_start_), count);
  return count;
}

}  // namespace striate
