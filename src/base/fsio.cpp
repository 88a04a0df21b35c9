#include "striate/base/fsio.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <utility>

#include "striate/base/log.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

fs::path beside(fs::path const& output, char const* ending) {
  fs::path plain = output;
  if (!plain.has_filename()) plain = plain.parent_path();  // "out/" is "out"
  return plain.parent_path() / ("." + plain.filename().string() + ending);
}

[[noreturn]] void cannot_write(fs::path const& path, int trouble) {
  bool const full = trouble == ENOSPC || trouble == EDQUOT;
  fail(full ? Exit::io : Exit::cant_create, "{} cannot be written ({}); {}", path.string(), std::strerror(trouble),
       full ? "free space and run again" : "check the folder and its permissions, or choose another output");
}

/// Tries to lock bytes [first, first + count) (count 0: to the end of the world) for this open file.
bool lock_bytes(int fd, short kind, off_t first, off_t count) {
  struct flock range {};
  range.l_type = kind, range.l_whence = SEEK_SET, range.l_start = first, range.l_len = count;
  return ::fcntl(fd, F_OFD_SETLK, &range) == 0;
}

std::string holder_of(fs::path const& path) {
  std::ifstream in(path);
  std::string text;
  std::getline(in, text);
  return text.empty() ? "another process" : text;
}

bool same_file(int fd, fs::path const& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

}  // namespace

std::string read_text(fs::path const& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code code;
  if (!in || fs::is_directory(path, code))
    fail(Exit::no_input, "{} cannot be read ({})", path.string(), in ? "it is a folder" : std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void make_folder(fs::path const& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) fail(Exit::cant_create, "{} cannot be made ({}); choose another output", path.string(), code.message());
}

void sync_folder(fs::path const& folder) {
  int const fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void write_atomically(fs::path const& path, std::string const& text) {
  fs::path const temp = path.parent_path() / fmt::format(".tmp-{}-{}", ::getpid(), path.filename().string());
  int const fd = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) cannot_write(path, errno);
  std::size_t written = 0;
  int trouble = 0;
  while (written < text.size() && trouble == 0) {
    ssize_t const n = ::write(fd, text.data() + written, text.size() - written);
    if (n > 0)
      written += static_cast<std::size_t>(n);
    else if (errno != EINTR)
      trouble = errno;
  }
  if (trouble == 0 && ::fsync(fd) != 0 && errno != EINVAL) trouble = errno;
  ::close(fd);
  if (trouble == 0 && ::rename(temp.c_str(), path.c_str()) != 0) trouble = errno;
  if (trouble == 0) return sync_folder(path.parent_path());
  ::unlink(temp.c_str());
  cannot_write(path, trouble);
}

OutputLock::OutputLock(OutputLock&& o) noexcept : fd_(std::exchange(o.fd_, -1)), path_(std::move(o.path_)) {}
OutputLock& OutputLock::operator=(OutputLock&& o) noexcept {
  std::swap(fd_, o.fd_), std::swap(path_, o.path_);
  return *this;
}
OutputLock::~OutputLock() {
  if (fd_ >= 0) ::close(fd_);
}

OutputLock OutputLock::take(fs::path const& output, std::string const& who, double patience) {
  OutputLock lock;
  lock.path_ = beside(output, ".lock");
  make_folder(lock.path_.parent_path());
  auto const until = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience);
  while (true) {
    lock.fd_ = ::open(lock.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock.fd_ < 0) cannot_write(output, errno);
    if (lock_bytes(lock.fd_, F_WRLCK, 0, 0)) {
      if (same_file(lock.fd_, lock.path_)) break;  // else its last holder took the file away: take the new one
    } else if (errno != EAGAIN && errno != EACCES) {
      log::warn("{}: no file locks here ({}); nothing keeps a second job off this output", output.string(),
                std::strerror(errno));
      return lock;
    } else if (std::chrono::steady_clock::now() > until) {
      fail(Exit::cant_create, "{} is being written by {}; wait for it, or choose another output", output.string(),
           holder_of(lock.path_));
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    ::close(std::exchange(lock.fd_, -1));
  }
  lock_bytes(lock.fd_, F_UNLCK, 1, 0);
  // Only for the message above; a lock file without it locks as well.
  if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, who.data(), who.size(), 0) < 0) return lock;
  return lock;
}

OutputLock OutputLock::join(fs::path const& output, int rank) {
  OutputLock lock;
  lock.path_ = beside(output, ".lock");
  lock.fd_ = ::open(lock.path_.c_str(), O_RDWR | O_CLOEXEC);
  if (lock.fd_ >= 0) lock_bytes(lock.fd_, F_WRLCK, rank, 1);
  return lock;
}

void OutputLock::remove_file() {
  if (fd_ >= 0) ::unlink(path_.c_str());
}

void note_failure(fs::path const& output, Failure const& failure) noexcept {
  try {
    nlohmann::ordered_json const note{{"code", failure.code}, {"message", failure.message}};
    write_atomically(beside(output, ".failed"), note.dump() + "\n");
  } catch (...) {
    // On a full disk the lock file, which has its block already, takes the note.
    int const fd = ::open(beside(output, ".lock").c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    auto const text = fmt::format(R"({{"code":{}}})", failure.code);
    if (::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
      (void)!::ftruncate(fd, static_cast<off_t>(text.size()));
    ::close(fd);
  }
}

void clear_failure(fs::path const& output) noexcept {
  std::error_code code;
  fs::remove(beside(output, ".failed"), code);
}

std::optional<Failure> read_failure(fs::path const& output) {
  std::ifstream in(beside(output, ".failed"));
  if (!in) {
    std::ifstream lock(beside(output, ".lock"));
    auto const note = nlohmann::json::parse(lock, nullptr, false);
    if (!note.is_object()) return std::nullopt;  // who holds or held it
    return Failure{note.value("code", static_cast<int>(Exit::internal)), "the disk was full"};
  }
  auto const note = nlohmann::json::parse(in, nullptr, false);
  if (!note.is_object()) return Failure{static_cast<int>(Exit::internal), "unknown"};
  return Failure{note.value("code", static_cast<int>(Exit::internal)), note.value("message", std::string("unknown"))};
}

}  // namespace striate
