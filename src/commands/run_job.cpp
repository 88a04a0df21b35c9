/// A job's life: MPI, config, lock, plan, run, provenance, exit code.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <regex>
#include <set>
#include <thread>

#include "frame.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/base/provenance.hpp"
#include "striate/math/blas.hpp"
#include "striate/net/torch_engine.hpp"
#include "striate/par/memory.hpp"
#include "striate/par/mpi.hpp"
#include "striate/par/team.hpp"
#include "striate/par/threads.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Where a failure is noted for `striate status`; empty before the output is known and locked.
fs::path& noted_output() {
  static fs::path output;
  return output;
}

void last_words(Error const& error) {
  log::error(error.what());
  if (!noted_output().empty()) note_failure(noted_output(), {static_cast<int>(error.code()), error.what()});
}

/// The environment of rank 0 rules: ${NAME} in a config must mean the same on every node.
void share_variables(Comm const& comm, std::string const& text) {
  static std::regex const variable(R"(\$\{([A-Za-z_][A-Za-z0-9_]*))");
  std::set<std::string> names;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), variable); it != std::sregex_iterator(); ++it)
    names.insert((*it)[1]);
  for (auto const& name : names) {
    char const* const mine = std::getenv(name.c_str());
    std::string value = mine != nullptr ? std::string("=") + mine : "";
    comm.broadcast(value, 0);
    if (comm.root()) continue;
    if (value.empty())
      unsetenv(name.c_str());
    else
      setenv(name.c_str(), value.c_str() + 1, 1);
  }
}

/// Reads the config on rank 0 alone; the same job on every rank.
ReadyJob read_everywhere(Comm const& comm, Command const& command, CommandLine& line) {
  std::string text, path;
  together(comm, [&] {
    if (!comm.root()) return;
    text = read_text(line.config);
    path = fs::absolute(line.config).lexically_normal().string();
  });
  comm.broadcast(text, 0);
  comm.broadcast(path, 0);
  line.config = path;
  std::string all = text;
  for (auto const& set : line.sets) all += "\n" + set;
  share_variables(comm, all);
  ReadyJob ready;
  together(comm, [&] { ready = read_job(command, line, text); });
  return ready;
}

/// What a dry run can know without writing: the folder that is there, or its nearest ancestor, takes new files.
void check_place(fs::path const& output) {
  std::error_code ignored;
  fs::path folder = output.has_filename() ? output.parent_path() : output.parent_path().parent_path();
  while (!folder.empty() && folder != folder.root_path() && !fs::exists(folder, ignored)) folder = folder.parent_path();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) != 0)
    fail(Exit::cant_create, "output: {} cannot be written ({}: {}); choose another output", output.string(),
         folder.string(), std::strerror(errno));
}

OutputLock lock_output(Comm const& comm, fs::path const& output, std::string const& command) {
  OutputLock lock;
  together(comm, [&] {
    if (comm.root())
      lock = OutputLock::take(
          output, fmt::format("striate {} (process {} on {}, since {})", command, ::getpid(), host_name(), utc_now()));
  });
  if (!comm.root()) lock = OutputLock::join(output, comm.rank());
  comm.barrier();
  return lock;
}

std::map<std::string, std::uint64_t> all_warnings(Comm const& comm) {
  std::map<std::string, std::uint64_t> all;
  for (auto const& text : comm.gather_strings(nlohmann::json(log::warnings()).dump())) {
    auto const of_rank = nlohmann::json::parse(text);
    for (auto const& [warning, times] : of_rank.items()) all[warning] += times.get<std::uint64_t>();
  }
  return all;
}

/// Collective.
void write_record(Context const& context, std::string const& command, fs::path const& folder, Clock::time_point start) {
  Comm const& comm = context.comm;
  Provenance p;
  p.command = command;
  p.config = context.resolved;
  p.libraries = library_versions();
  p.hosts = comm.gather_strings(host_name());
  p.ranks = comm.size();
  p.threads = context.threads;
  p.wall_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  p.cpu_seconds = 1e-3 * static_cast<double>(comm.sum(static_cast<std::int64_t>(1e3 * cpu_seconds())));
  p.peak_bytes = comm.max(peak_bytes());
  p.warnings = all_warnings(comm);
  p.details = context.details;
  together(comm, [&] {
    if (!comm.root()) return;
    for (auto const& input : context.inputs)
      if (fs::is_regular_file(input)) p.inputs[input.string()] = sha256_file(input);
    write_provenance(folder / "provenance.json", p);
  });
}

void sum_up(Comm const& comm, bool finished, Clock::time_point start) {
  auto const warnings = all_warnings(comm);
  if (!comm.root()) return;
  std::uint64_t total = 0;
  std::size_t unsaid = 0;
  for (auto const& [text, times] : warnings) {
    total += times;
    if (times > 1)
      log::info("warned {} times: {}", times, text);
    else if (!log::warnings().contains(text) && ++unsaid <= 50)  // another rank's
      log::info("warning: {}", text);
  }
  if (unsaid > 50) log::info("and {} more warnings of other ranks", unsaid - 50);
  if (total > 0) log::info("{} warnings in all", total);
  double const seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (finished)
    log::info("done after {}", seconds_text(seconds));
  else
    log::info("stopped by a signal after {}; run the same command again to go on", seconds_text(seconds));
}

/// Mixed BLAS kernels among ranks make results depend on who computed what.
void warn_of_mixed_kernels(Comm const& comm) {
  auto const kernels = comm.gather_strings(blas::description());
  for (auto const& kernel : kernels)
    if (kernel != kernels[0]) {
      log::warn("ranks run different BLAS kernels ({} and {}); results may differ in the last bits from run to run",
                kernels[0], kernel);
      return;
    }
}

bool execute(Command const& command, CommandLine& line, Comm const& comm, StopFlag const& stop,
             Clock::time_point start) {
  ReadyJob ready = read_everywhere(comm, command, line);
  fs::path const output = ready.job->output();
  int const threads = line.threads > 0 ? line.threads : allowed_threads(comm);
  set_threads(threads);
  auto const team = mpi_team(comm, threads);
  Context context{comm,
                  *team,
                  stop,
                  threads,
                  allowed_memory(comm),
                  line.fresh,
                  line.config,
                  resolved(ready.schema),
                  resolved(ready.schema, true)};
  context.memory_budget = memory_of(context.resolved, context.memory_budget);
  context.torch_engine = [](std::string const& device, Comm const& all) {
    return torch_engine({.device = device, .local_rank = all.node().rank(), .node_ranks = all.node().size()});
  };
  OutputLock lock;
  if (!line.dry_run) {
    lock = lock_output(comm, output, command.name);
    noted_output() = output;
    if (comm.root()) clear_failure(output);
    if (ready.job->output_is_directory()) {
      together(comm, [&] {
        if (comm.root()) make_folder(output);
      });
      log::to_file(output / "log.txt");
      context.write_provenance = [&, output] { write_record(context, command.name, output, start); };
    }
  }
  log::info("striate {}: {} ranks × {} threads, {} a rank", command.name, comm.size(), threads,
            bytes_text(context.memory_budget));
  warn_of_mixed_kernels(comm);
  Plan plan;
  ready.job->plan(context, plan);
  if (line.dry_run) {
    together(comm, [&] {
      if (comm.root()) check_place(output);
    });
    print_plan(command, context, plan, output, std::cout);
    return true;
  }
  if (comm.root())
    for (auto const& [what, text] : plan.lines) log::info("  {}: {}", what, text);
  bool const finished = ready.job->run(context);
  sum_up(comm, finished, start);
  if (finished && comm.root()) lock.remove_file();
  return finished;
}

}  // namespace

ReadyJob read_job(Command const& command, CommandLine const& line, std::string const& text) {
  ReadyJob ready{command.make(), {}};
  ready.job->describe(ready.schema);
  try {
    read_config(ready.schema, {line.config, text, line.sets});
  } catch (Error const& error) {
    fail(error.code(), "{}: {}", command.name, error.what());
  }
  return ready;
}

int run_job(Command const& command, CommandLine const& given, int argc, char** argv) {
  auto const start = Clock::now();
  StopFlag const stop;  // before MPI begins and until it has ended: a signal must never kill
  Mpi const mpi(argc, argv);
  Comm const comm = Comm::world();
  CommandLine line = given;
  log::set_up(line.quiet ? log::Level::quiet : line.verbose ? log::Level::verbose : log::Level::normal, comm.root());
  set_last_words(last_words);
  try {
    bool const finished = execute(command, line, comm, stop, start);
    return static_cast<int>(finished ? Exit::ok : Exit::interrupted);
  } catch (...) {
    Error const error = as_error(std::current_exception());
    // An error that all ranks share is the first rank's to tell; one that it does not share is told by who has it.
    if (!comm.root()) std::this_thread::sleep_for(std::chrono::seconds(2));
    std::string text = error.what();
    if (!text.starts_with(std::string(command.name) + ": ")) text = std::string(command.name) + ": " + text;
    if (!comm.root()) text = fmt::format("rank {} on {}: {}", comm.rank(), host_name(), text);
    last_words(Error(error.code(), text));
    abort_all(error.code());
  }
}

}  // namespace striate
