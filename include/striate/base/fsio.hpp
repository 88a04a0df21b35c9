#pragma once
/// Small files, whole or not at all; the lock and the failure note beside an output. Not collective.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "striate/base/error.hpp"

namespace striate {

/// The whole file. Throws Error(Exit::no_input).
[[nodiscard]] std::string read_text(std::filesystem::path const& path);
/// Written beside, synced, renamed. Throws Error(Exit::io | Exit::cant_create).
void write_atomically(std::filesystem::path const& path, std::string const& text);
/// The entry of a file is on disk only after its folder is.
void sync_folder(std::filesystem::path const& folder);
/// Throws Error(Exit::cant_create).
void make_folder(std::filesystem::path const& path);

/// A lock on an output, held while the object lives and released by the death of the process, kill -9 included (an
/// open-file-description lock on `.NAME.lock` beside the output, which also works on NFS). The first rank takes the
/// whole file and then keeps byte 0; every other rank joins with the byte of its rank, so that a job counts as alive
/// until its last process is gone.
class OutputLock {
 public:
  /// First rank. Waits up to `patience` seconds for processes that are dying. Throws Error(Exit::cant_create), naming
  /// who holds it. Where the file system has no locks: a warning, and no protection.
  static OutputLock take(std::filesystem::path const& output, std::string const& who, double patience = 3);
  /// The others, after `take` returned on the first rank.
  static OutputLock join(std::filesystem::path const& output, int rank);
  OutputLock() = default;
  OutputLock(OutputLock&& o) noexcept;
  OutputLock& operator=(OutputLock&& o) noexcept;
  ~OutputLock();
  void remove_file();  ///< first rank, at the end of a finished job: takes the lock file away

 private:
  int fd_ = -1;
  std::filesystem::path path_;
};

/// `.NAME.failed` beside an output: the error that ended the last attempt, for `striate status`.
struct Failure {
  int code = 0;
  std::string message;
};
void note_failure(std::filesystem::path const& output, Failure const& failure) noexcept;
void clear_failure(std::filesystem::path const& output) noexcept;
[[nodiscard]] std::optional<Failure> read_failure(std::filesystem::path const& output);

}  // namespace striate
