#include "striate/base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <mutex>

namespace striate::log {
namespace {

using Clock = std::chrono::steady_clock;

struct Voice {
  std::mutex lock;
  Level level = Level::normal;
  bool speaks = true;
  bool bar = false;  // a progress bar stands on the current line of the terminal
  std::shared_ptr<spdlog::logger> terminal, file;
  std::map<std::string, std::uint64_t> warnings;

  Voice() {
    terminal = std::make_shared<spdlog::logger>("striate", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    terminal->set_pattern("%v");
    terminal->flush_on(spdlog::level::trace);
  }
  void print(spdlog::level::level_enum severity, std::string const& text, bool show) {
    if (show) {
      if (bar) std::fputs("\r\033[K", stderr);
      bar = false;
      terminal->log(severity, "{}", text);
    }
    if (file) file->log(severity, "{}", text);
  }
};

Voice& voice() {
  static Voice the_voice;
  return the_voice;
}

std::string duration_text(double seconds) {
  auto const s = static_cast<long>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02d} min", s / 3600, s / 60 % 60);
  return s >= 60 ? fmt::format("{} min {:02d} s", s / 60, s % 60) : fmt::format("{} s", s);
}

}  // namespace

void set_up(Level level, bool speaks) {
  Voice& v = voice();
  std::lock_guard const held(v.lock);
  v.level = level, v.speaks = speaks;
}

void to_file(std::filesystem::path const& path) {
  Voice& v = voice();
  {
    std::lock_guard const held(v.lock);
    if (!v.speaks) return;
    try {
      v.file =
          std::make_shared<spdlog::logger>("file", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string()));
      v.file->set_pattern("%Y-%m-%dT%H:%M:%S%z %v");
      v.file->flush_on(spdlog::level::trace);
      v.file->set_error_handler([](std::string const&) {});  // a full disk is told by what fails on it
      return;
    } catch (spdlog::spdlog_ex const&) {  // said below, outside the lock
    }
  }
  warning(fmt::format("{} cannot be written; the log goes to the terminal alone", path.string()));
}

void say(Level at, std::string const& text) {
  Voice& v = voice();
  std::lock_guard const held(v.lock);
  if (v.speaks && v.level >= at) v.print(spdlog::level::info, text, true);
}

void warning(std::string const& text) {
  Voice& v = voice();
  std::lock_guard const held(v.lock);
  if (v.warnings[text]++ == 0 && v.speaks) v.print(spdlog::level::warn, "warning: " + text, v.level > Level::quiet);
}

void error(std::string const& text) {
  Voice& v = voice();
  std::lock_guard const held(v.lock);
  v.print(spdlog::level::err, "error: " + text, true);
}

std::map<std::string, std::uint64_t> const& warnings() { return voice().warnings; }

struct Progress::State {
  std::string what, unit;
  std::size_t total = 0, before = 0, done = 0;
  bool terminal = false;
  Clock::time_point start = Clock::now(), shown = Clock::now();
};

Progress::Progress(std::string what, std::string unit, std::size_t total, std::size_t done_before)
    : state_(new State{std::move(what), std::move(unit), total, done_before, done_before, ::isatty(2) == 1}) {}

Progress::~Progress() {
  Voice& v = voice();
  std::lock_guard const held(v.lock);
  if (v.bar) std::fputs("\n", stderr);
  v.bar = false;
  delete state_;
}

void Progress::update(std::size_t done) {
  State& s = *state_;
  auto const now = Clock::now();
  double const quiet_for = std::chrono::duration<double>(now - s.shown).count();
  s.done = done;
  if (quiet_for < (s.terminal ? 0.1 : 60) && !(s.terminal && done == s.total)) return;
  s.shown = now;
  double const seconds = std::chrono::duration<double>(now - s.start).count();
  double const rate = static_cast<double>(done - s.before) / std::max(seconds, 1e-9);
  std::string text = fmt::format("{}: {} of {} {}", s.what, done, s.total, s.unit);
  if (rate > 0)
    text +=
        fmt::format(", {:.3g} {}/s, {} left", rate, s.unit, duration_text(static_cast<double>(s.total - done) / rate));
  if (!s.terminal) return say(Level::normal, text);
  Voice& v = voice();
  std::lock_guard const held(v.lock);
  if (!v.speaks || v.level == Level::quiet) return;
  std::size_t const width = 24, filled = s.total == 0 ? width : width * done / s.total;
  std::string bar;
  for (std::size_t i = 0; i < width; ++i) bar += i < filled ? "━" : "─";
  fmt::print(stderr, "\r\033[K{} {}", bar, text);
  std::fflush(stderr);
  v.bar = true;
}

}  // namespace striate::log
