#pragma once
/// Expected trouble: one exception class that carries the exit code (sysexits).
///
/// A message reads `problem (why it is one); what to do` and names the file, key or row.
/// Anything else that escapes (std::logic_error, segfault) is a bug of striate: exit code 70.
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace striate {

/// Process exit codes, as sysexits.h names them.
enum class Exit : int {
  ok = 0,
  usage = 64,          ///< command line
  data = 65,           ///< bad data: shape, content, mismatch
  no_input = 66,       ///< input missing or unreadable
  internal = 70,       ///< a bug
  limit = 71,          ///< out of memory or another limit of the system
  cant_create = 73,    ///< output exists or cannot be written
  io = 74,             ///< I/O error, disk full
  interrupted = 75,    ///< stopped by a signal; run again to resume
  failed_before = 76,  ///< `status` only: the last attempt ended in an error
  config = 78          ///< bad config
};

/// What a user can cause and mend.
class Error : public std::runtime_error {
 public:
  Error(Exit code, std::string const& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] Exit code() const noexcept { return code_; }

 private:
  Exit code_;
};

/// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(Exit code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace striate
