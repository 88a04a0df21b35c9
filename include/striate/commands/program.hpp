#pragma once
/// The program: command line → exit code.
#include <string>
#include <vector>

namespace striate {

/// Everything main does. Returns the exit code; never throws.
int run_program(int argc, char** argv) noexcept;

/// What is said after a command's name.
struct CommandLine {
  std::string config;
  std::vector<std::string> sets;  ///< KEY=VALUE
  bool dry_run = false, fresh = false, quiet = false, verbose = false, count = false;
  int threads = 0;  ///< of a rank; 0: what the machine allows
};

}  // namespace striate
