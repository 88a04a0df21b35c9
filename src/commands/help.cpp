/// Help and the reference pages, all from the declarations of the commands.
#include "frame.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

char const* const options =
    "  --set KEY=VALUE   override any key by its dotted path (value as YAML), as often as wanted;\n"
    "                    elements of lists by their number from 0: regions.0.snr=5; KEY= clears a key\n"
    "  --dry-run         check everything that can be checked without computing, print the plan, exit\n"
    "  --fresh           discard what is in the output place (default: resume it)\n"
    "  --threads N       threads of each rank (default: what SLURM or the CPU mask allows)\n"
    "  --quiet | --verbose\n";

struct Line {
  char const *usage, *doc;
};
Line const others[] = {
    {"info FILE...", "what any file that striate reads or writes holds"},
    {"info --join RESULT...", "tables of several results (summary.tsv, best-layers.tsv) as one"},
    {"info --compare A B [--tolerance T]", "exit 0 where every dataset of two files or folders agrees"},
    {"status COMMAND CONFIG [--count]", "how much of a job is done: exit 0 complete, 75 unfinished, 76 failed"},
    {"doctor", "is this machine fit for work: MPI, HDF5, GPU, threads, memory, file system"},
    {"help [COMMAND | --markdown | --yaml]", "this text, a command's keys, or the whole reference"},
};

Schema schema_of(Command const& command, std::unique_ptr<Job>& job) {
  job = command.make();
  Schema schema;
  job->describe(schema);
  return schema;
}

}  // namespace

void print_help(std::ostream& out) {
  out << "striate relates deep neural networks to brains: stimuli → activations → encoding models → brain maps.\n\n"
         "  striate COMMAND CONFIG.yaml [OPTION...]      alone, or under mpiexec -n R, or under srun\n\n";
  for (auto const& c : commands()) out << fmt::format("  {:<36} {}\n", fmt::format("{} CONFIG", c.name), c.doc);
  for (auto const& line : others) out << fmt::format("  {:<36} {}\n", line.usage, line.doc);
  out << "\nOptions of the commands with a config:\n"
      << options
      << "\n  striate COMMAND --help   all keys of the config      striate --version   versions of every library\n\n"
         "Exit codes: 0 done, 64 command line, 65 bad data, 66 input missing, 70 a bug, 71 out of memory, 73 output\n"
         "exists or cannot be written, 74 I/O error or full disk, 75 interrupted (run again), 78 bad config.\n";
}

void print_command_help(Command const& command, std::ostream& out) {
  std::unique_ptr<Job> job;
  auto const schema = schema_of(command, job);
  out << "striate " << command.name << " CONFIG.yaml [OPTION...]: " << command.doc << "\n\n"
      << options << "\nKeys of the config (paths are relative to it; ${NAME} is taken from the environment):\n"
      << help_text(schema) << "\nExample:\n";
  std::string line;
  for (char c : std::string(command.example)) {
    line += c;
    if (c == '\n') out << "  " << line, line.clear();
  }
}

void print_reference_markdown(std::ostream& out) {
  out << "# Commands\n\nMade by `striate help --markdown` from the declarations in the source; do not edit.\n\n"
         "```\nstriate COMMAND CONFIG.yaml [OPTION...]\n"
      << options << "```\n";
  for (auto const& command : commands()) {
    std::unique_ptr<Job> job;
    auto const schema = schema_of(command, job);
    out << "\n## striate " << command.name << "\n"
        << command.doc << "\n\n"
        << help_markdown(schema) << "\n```yaml\n"
        << command.example << "```\n";
  }
  out << "\n## Without a config\n| | |\n| --- | --- |\n";
  for (auto const& line : others) {
    std::string usage;
    for (char c : std::string(line.usage)) usage += c == '|' ? std::string("\\|") : std::string(1, c);
    out << "| `striate " << usage << "` | " << line.doc << " |\n";
  }
}

void print_reference_yaml(std::ostream& out) {
  out << "# Every key of every command with its default, to copy from: a section a command, so no config as it stands.\n"
         "# Made by `striate help --yaml`; do not edit.\n";
  for (auto const& command : commands()) {
    std::unique_ptr<Job> job;
    auto const schema = schema_of(command, job);
    out << "\n# --- striate " << command.name << ": " << command.doc << "\n" << reference_yaml(schema);
  }
}

}  // namespace striate
