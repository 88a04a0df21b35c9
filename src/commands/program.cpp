#include "striate/commands/program.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/commands/info.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

std::vector<std::string> command_names() {
  std::vector<std::string> names{"info", "status", "doctor", "help"};
  for (auto const& c : commands()) names.emplace_back(c.name);
  return names;
}

bool asks_help(std::vector<std::string> const& args) {
  return std::ranges::any_of(args, [](auto const& a) { return a == "--help" || a == "-h"; });
}

int run_help(std::vector<std::string> const& args) {
  if (args.empty()) {
    print_help(std::cout);
  } else if (args[0] == "--markdown") {
    print_reference_markdown(std::cout);
  } else if (args[0] == "--yaml") {
    print_reference_yaml(std::cout);
  } else if (auto const* command = find_command(args[0])) {
    print_command_help(*command, std::cout);
  } else {
    fail(Exit::usage, "help: {} is no command with a config; see striate --help", args[0]);
  }
  return 0;
}

int dispatch(int argc, char** argv) {
  std::vector<std::string> args(argv + std::min(argc, 2), argv + argc);
  std::string const word = argc > 1 ? argv[1] : "--help";
  if (word == "--help" || word == "-h") return run_help({});
  if (word == "help") return run_help(args);
  if (word == "--version" || word == "-V") {
    print_version(std::cout);
    return 0;
  }
  if (word == "info") return run_info(args);
  if (word == "status") return run_status(args);
  if (word == "doctor") return run_doctor(args, argc, argv);
  Command const* command = find_command(word);
  if (command == nullptr) {
    std::string const near = nearest(word, command_names());
    fail(Exit::usage, "{} is no command; {}", word,
         near.empty() ? "striate --help lists them" : "did you mean `" + near + "`?");
  }
  if (asks_help(args)) {
    print_command_help(*command, std::cout);
    return 0;
  }
  return run_job(*command, parse_command_line(word, args, false), argc, argv);
}

/// Of a process that a launcher started as one of many; what they all would say is said by the first.
bool is_a_further_rank() {
  for (auto const* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (char const* rank = std::getenv(name)) return std::atoi(rank) > 0;
  return false;
}

}  // namespace

CommandLine parse_command_line(std::string const& command, std::vector<std::string> const& args, bool status) {
  CommandLine line;
  CLI::App app;
  app.set_help_flag();
  app.add_option("config", line.config)->required();
  app.add_option("--set", line.sets)->take_all()->expected(1)->allow_extra_args(false);
  if (status) {
    app.add_flag("--count", line.count);
  } else {
    app.add_flag("--dry-run", line.dry_run);
    app.add_flag("--fresh", line.fresh);
    app.add_option("--threads", line.threads)->check(CLI::PositiveNumber);
    auto* quiet = app.add_flag("--quiet,-q", line.quiet);
    app.add_flag("--verbose,-v", line.verbose)->excludes(quiet);
  }
  std::vector<std::string> reversed(args.rbegin(), args.rend());  // as CLI11 wants them
  try {
    app.parse(reversed);
  } catch (CLI::ParseError const& error) {
    std::string text = error.what();
    if (line.config.empty() && text.find("config") != std::string::npos) text = "no config is named (a YAML file)";
    std::replace(text.begin(), text.end(), '\n', ' ');
    fail(Exit::usage, "{}: {}; see striate {} --help", command, text, status ? "status" : command);
  }
  return line;
}

int run_program(int argc, char** argv) noexcept {
  try {
    return dispatch(argc, argv);
  } catch (...) {  // run_job ends its own errors
    Error const error = as_error(std::current_exception());
    if (is_a_further_rank())
      // A launcher kills all ranks once one has failed; the first must have spoken by then.
      std::this_thread::sleep_for(std::chrono::seconds(5));
    else
      log::error(error.what());
    return static_cast<int>(error.code());
  }
}

}  // namespace striate
