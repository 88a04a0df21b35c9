#pragma once
/// The parts of the program around the commands.
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/commands/command.hpp"
#include "striate/commands/program.hpp"

namespace striate {

/// A job with its config read. Throws Error.
struct ReadyJob {
  std::unique_ptr<Job> job;
  Schema schema;
};
/// `text`: the config's text where it was read already (rank 0 reads and broadcasts), else it is read here.
[[nodiscard]] ReadyJob read_job(Command const& command, CommandLine const& line, std::string const& text);

/// The whole life of a job under MPI; the exit code. Errors end the process.
int run_job(Command const& command, CommandLine const& line, int argc, char** argv);

/// Prints what would be done with estimates of time from a calibration of two seconds. Collective; rank 0 prints.
void print_plan(Command const& command, Context const& context, Plan const& plan, std::filesystem::path const& output,
                std::ostream& out);

int run_status(std::vector<std::string> const& args);
int run_doctor(std::vector<std::string> const& args, int argc, char** argv);

/// `striate --help`, `striate COMMAND --help`, the reference pages.
void print_help(std::ostream& out);
void print_command_help(Command const& command, std::ostream& out);
void print_reference_markdown(std::ostream& out);
void print_reference_yaml(std::ostream& out);

void print_version(std::ostream& out);
/// Library → version, as recorded in provenance.
[[nodiscard]] std::map<std::string, std::string> library_versions();

/// Reads the words after a command's name. Throws Error(Exit::usage).
[[nodiscard]] CommandLine parse_command_line(std::string const& command, std::vector<std::string> const& args,
                                             bool status);

/// "3.2 GiB", "12 min 04 s".
[[nodiscard]] std::string bytes_text(double bytes);
[[nodiscard]] std::string seconds_text(double seconds);

}  // namespace striate
