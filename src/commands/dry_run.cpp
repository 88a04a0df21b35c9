/// --dry-run: the plan with estimates. The calibration feeds printed numbers only, never a decision.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <vector>

#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Flops per CPU second of one core's sgemm, the median of a second's products: what the job will have, where others use
/// the machine as they do now; the best would be a lucky moment.
double gemm_rate() {
  std::size_t const n = 768;
  Buffer<float> a(n * n), b(n * n), c(n * n);
  std::fill_n(a.data(), n * n, 0.5F), std::fill_n(b.data(), n * n, 0.25F), std::fill_n(c.data(), n * n, 0.0F);
  std::vector<double> rates;
  auto const start = Clock::now();
  while (seconds_since(start) < 1 || rates.size() < 5) {
    double const once = cpu_seconds();
    blas::gemm('N', 'N', n, n, n, 1.0F, a.data(), n, b.data(), n, 0.0F, c.data(), n);
    rates.push_back(2.0 * std::pow(static_cast<double>(n), 3) / (cpu_seconds() - once));
  }
  auto const middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
  std::ranges::nth_element(rates, middle);
  return *middle;
}

/// Bytes per second written and synced where the output will stand; 0 where that cannot be tried.
double disk_rate(fs::path folder) {
  while (!folder.empty() && !fs::exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
  std::string pattern = (folder / ".striate-calibration-XXXXXX").string();
  int const fd = ::mkstemp(pattern.data());
  if (fd < 0) return 0;
  ::unlink(pattern.c_str());
  std::string const block(std::size_t{4} << 20, 'x');
  double bytes = 0;
  auto const start = Clock::now();
  while (seconds_since(start) < 0.6 && bytes < 512e6) {
    if (::write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size())) break;
    bytes += static_cast<double>(block.size());
  }
  ::fsync(fd);
  double const rate = bytes / seconds_since(start);
  ::close(fd);
  return rate;
}

void print_geometry(Plan const& plan, double core_seconds, std::ostream& out) {
  // Enough cores to be done in about half an hour, in ranks of at most 16, two units each at least.
  double const units = std::max<double>(1, static_cast<double>(plan.units));
  double const cores = std::clamp(std::ceil(core_seconds / 1800), 1.0, std::max(1.0, units / 2));
  int const per_task = static_cast<int>(std::min(16.0, cores));
  int const tasks = static_cast<int>(std::ceil(cores / per_task));
  double const memory = 1.25 * (plan.memory_per_rank + plan.memory_per_node) + (1 << 29);
  double const hours = 2 * core_seconds / (tasks * per_task) / 3600 + 0.17;
  out << fmt::format(
      "suggested geometry\n  #SBATCH --ntasks={} --cpus-per-task={} --mem-per-cpu={}M --time={:02d}:{:02d}:00\n", tasks,
      per_task, static_cast<long>(std::ceil(memory / per_task / 1048576 / 100)) * 100, static_cast<int>(hours),
      static_cast<int>(std::fmod(hours, 1) * 60));
}

}  // namespace

std::string bytes_text(double bytes) {
  char const* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 5) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} bytes", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string seconds_text(double seconds) {
  if (seconds < 10) return fmt::format("{:.2g} s", seconds);
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  auto const s = static_cast<long>(seconds + 0.5);
  if (s < 3600) return fmt::format("{} min {:02d} s", s / 60, s % 60);
  return fmt::format("{} h {:02d} min", s / 3600, s / 60 % 60);
}

void print_plan(Command const& command, Context const& context, Plan const& plan, fs::path const& output,
                std::ostream& out) {
  Comm const& comm = context.comm;
  double const rate = gemm_rate();  // on every rank: cores that are shared slow each other down
  double const disk = comm.root() ? disk_rate(fs::absolute(output).parent_path()) : 0;
  auto const rates = comm.gather(static_cast<std::int64_t>(rate));
  auto const threads = comm.gather(std::int64_t{context.threads});
  if (!comm.root()) return;
  double all = 0, cores = 0;
  for (std::size_t r = 0; r < rates.size(); ++r)
    all += static_cast<double>(rates[r] * threads[r]), cores += static_cast<double>(threads[r]);
  double const work = plan.work > 0 ? plan.work : plan.flops;
  double const core_seconds = plan.core_seconds + work / rate;
  double seconds = plan.core_seconds / cores + work / all;
  if (disk > 0) seconds = std::max(seconds, (plan.bytes_written + 0.2 * plan.bytes_read) / disk);
  auto const row = [&](std::string const& what, std::string const& text) {
    out << fmt::format("  {:<24} {}\n", what, text);
  };
  out << "striate " << command.name << ": everything that can be checked without computing is in order\n";
  for (auto const& [what, text] : plan.lines) row(what, text);
  row("output", output.string());
  row("work units", std::to_string(plan.units));
  row("flops", fmt::format("{:.3g}", plan.flops));
  row("read / written", bytes_text(plan.bytes_read) + " / " + bytes_text(plan.bytes_written));
  row("memory", fmt::format("{} a rank, {} a node in common (budget {} a rank)", bytes_text(plan.memory_per_rank),
                            bytes_text(plan.memory_per_node), bytes_text(context.memory_budget)));
  row("calibration", fmt::format("{:.3g} GFLOP/s a core, disk {}", rate * 1e-9,
                                 disk > 0 ? bytes_text(disk) + "/s" : "not writable here"));
  row("estimated time", fmt::format("{} here ({} ranks, {} cores)", seconds_text(seconds), comm.size(), cores));
  print_geometry(plan, core_seconds, out);
  out.flush();
}

}  // namespace striate
