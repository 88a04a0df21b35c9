#pragma once
/// A command is one file: a config struct with its declaration, a plan, a run; and one row in src/commands/table.cpp.
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/math/team.hpp"
#include "striate/par/comm.hpp"
#include "striate/par/stop.hpp"

namespace striate {

class Engine;

/// What a command says it would do, printed by --dry-run and logged at the start of every run.
struct Plan {
  std::vector<std::pair<std::string, std::string>> lines;  ///< what, how much (free text with units)
  double flops = 0;                                        ///< of all ranks together
  double work = 0;  ///< the same as time: flops of a float32 matrix product that take as long; 0: flops
  double bytes_read = 0, bytes_written = 0;                ///< of all ranks together
  double memory_per_rank = 0;                              ///< bytes, peak, private
  double memory_per_node = 0;                              ///< bytes, peak, shared by the ranks of a node
  double core_seconds = 0;  ///< of one core, for work that is not counted in flops (a forward pass that was timed)
  std::size_t units = 0;    ///< independent work units (tiles, batches)
};

/// What a job sees of the world.
struct Context {
  Comm comm;                 ///< all ranks
  Team& team;                ///< threads × ranks
  StopFlag const& stop;      ///< set by SIGTERM / SIGUSR1
  int threads = 1;           ///< of this rank
  double memory_budget = 0;  ///< bytes of this rank: `memory` of the config, else its share of the job's
  bool fresh = false;
  std::filesystem::path config_file;
  nlohmann::ordered_json resolved;  ///< config with defaults, for provenance
  nlohmann::ordered_json identity;  ///< the part that must agree on resume
  /// For provenance.json, added to by the job (equal on all ranks or on the first alone).
  std::vector<std::filesystem::path> inputs = {};  ///< files whose sha256 is recorded
  nlohmann::ordered_json details = {};
  /// Collective: writes provenance.json of a directory output. A job calls it when all else is on disk, just before it
  /// marks its output complete.
  std::function<void()> write_provenance = [] {};
  /// Makes the torch engine on auto, cpu or cuda for this rank (net/torch_engine.hpp); none where nothing knows LibTorch.
  std::function<std::unique_ptr<Engine>(std::string const& device, Comm const& comm)> torch_engine = {};
};

/// Bytes of a rank: what the config's `memory` says in GiB, else `share`.
[[nodiscard]] inline double memory_of(nlohmann::ordered_json const& resolved, double share) {
  auto const key = resolved.find("memory");
  return key != resolved.end() && key->is_number() ? key->get<double>() * (1 << 30) : share;
}

/// How much of an output is there, for `striate status`.
struct Progress {
  std::size_t done = 0, total = 0;  ///< work units; total 0 where nothing has begun
  bool complete = false;
};

class Job {
 public:
  virtual ~Job() = default;
  virtual void describe(Schema& schema) = 0;                       ///< declares the settings (bound to members)
  [[nodiscard]] virtual std::filesystem::path output() const = 0;  ///< file or directory
  [[nodiscard]] virtual bool output_is_directory() const = 0;
  /// Validates everything that can be validated without computing, and says what would be done.
  /// Collective; throws Error. Runs before every run.
  virtual void plan(Context& context, Plan& plan) = 0;
  /// Does the work that the output lacks. Returns false where a stop signal came first (exit 75). Collective.
  virtual bool run(Context& context) = 0;
  /// Not collective; reads only the output.
  [[nodiscard]] virtual Progress progress() const = 0;
};

struct Command {
  char const* name;
  char const* doc;      ///< one line
  char const* example;  ///< a complete small YAML
  std::unique_ptr<Job> (*make)();
};

/// Every command that takes a config, in the order of the documentation (src/commands/table.cpp).
[[nodiscard]] std::vector<Command> const& commands();
[[nodiscard]] Command const* find_command(std::string const& name);

}  // namespace striate
