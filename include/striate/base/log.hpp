#pragma once
/// Talk: to stderr and, once it is known, to a log file. Rank 0 speaks; other ranks keep their warnings for the sum-up.
/// stdout is left to results.
#include <fmt/core.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

namespace striate::log {

enum class Level { quiet, normal, verbose };

/// `speaks`: this process prints (rank 0). Before set_up everything at normal level is printed.
void set_up(Level level, bool speaks);
/// From here on every line also goes to `path` (appended, with time stamps); only where this process speaks.
/// A file that cannot be opened is a warning.
void to_file(std::filesystem::path const& path);

void say(Level at, std::string const& text);
/// Counted by text; printed at the first occurrence.
void warning(std::string const& text);
/// The line that ends a job: "error: TEXT". Printed at every level and by every rank that calls it.
void error(std::string const& text);

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  say(Level::normal, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void detail(fmt::format_string<Args...> format, Args&&... args) {  ///< --verbose only
  say(Level::verbose, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  warning(fmt::format(format, std::forward<Args>(args)...));
}

/// Warnings of this process so far: text → times.
[[nodiscard]] std::map<std::string, std::uint64_t> const& warnings();

/// Progress of a job in units: a bar with rate and time left on a terminal, else one plain line a minute.
class Progress {
 public:
  /// `what`: "extract"; `unit`: "batches".
  Progress(std::string what, std::string unit, std::size_t total, std::size_t done_before);
  ~Progress();  ///< ends the bar's line
  Progress(Progress const&) = delete;
  Progress& operator=(Progress const&) = delete;
  void update(std::size_t done);

 private:
  struct State;
  State* state_;
};

}  // namespace striate::log
