#pragma once
/// A file that appears under its name only when it is whole: written beside it, synced, renamed.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "striate/base/error.hpp"

namespace striate {

class TempFile {
 public:
  explicit TempFile(std::filesystem::path target) : target_(std::move(target)) {
    auto folder = target_.parent_path().empty() ? std::filesystem::path(".") : target_.parent_path();
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    // The ending is kept: nifti_clib chooses compression by it.
    temp_ = folder / fmt::format(".tmp-{}-{}", ::getpid(), target_.filename().string());
    int fd = ::open(temp_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
      Exit exit = errno == ENOSPC || errno == EDQUOT ? Exit::io : Exit::cant_create;
      fail(exit, "{} cannot be written ({}); check the folder and the free space", target_.string(),
           std::strerror(errno));
    }
    ::close(fd);
  }
  ~TempFile() {
    if (!done_) ::unlink(temp_.c_str());
  }
  TempFile(TempFile const&) = delete;
  TempFile& operator=(TempFile const&) = delete;

  [[nodiscard]] std::filesystem::path const& path() const { return temp_; }
  [[nodiscard]] std::filesystem::path const& target() const { return target_; }

  /// A short write: almost always a full disk, which stdio and zlib do not say.
  [[noreturn]] void broken() const {
    fail(Exit::io, "{} could not be written whole ({}); free space and run again", target_.string(),
         errno != 0 ? std::strerror(errno) : "disk full");
  }
  void commit() {
    int fd = ::open(temp_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) broken();
    int synced = ::fsync(fd);
    int error = errno;
    ::close(fd);
    errno = error;
    if (synced != 0 && error != EINVAL) broken();
    if (std::rename(temp_.c_str(), target_.c_str()) != 0)
      fail(Exit::cant_create, "{} cannot be written ({})", target_.string(), std::strerror(errno));
    done_ = true;
  }

 private:
  std::filesystem::path target_, temp_;
  bool done_ = false;
};

}  // namespace striate
