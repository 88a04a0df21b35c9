/// `striate status COMMAND CONFIG [--count]`: how much of an output is there. No MPI: batch scripts call it.
#include <iostream>

#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"

namespace striate {

int run_status(std::vector<std::string> const& args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h") {
    std::ostream& out = args.empty() ? std::cerr : std::cout;
    out << "striate status COMMAND CONFIG [--set KEY=VALUE]... [--count]\n\n"
           "How much of the job's output is done. Exit code 0: complete; 75: unfinished, run the command again; 76: "
           "the\n"
           "last attempt ended in an error. --count prints the number of finished work units alone.\n";
    return args.empty() ? static_cast<int>(Exit::usage) : 0;
  }
  Command const* command = find_command(args[0]);
  if (command == nullptr) fail(Exit::usage, "status: {} is no command with an output; see striate --help", args[0]);
  auto const line = parse_command_line(args[0], {args.begin() + 1, args.end()}, true);
  auto const ready = read_job(*command, line, read_text(line.config));
  auto const progress = ready.job->progress();
  auto const failure = progress.complete ? std::nullopt : read_failure(ready.job->output());
  int const code = static_cast<int>(progress.complete ? Exit::ok : failure ? Exit::failed_before : Exit::interrupted);
  if (line.count) {
    std::cout << progress.done << std::endl;
    return code;
  }
  std::cout << ready.job->output().string() << ": ";
  if (progress.complete)
    std::cout << "complete (" << progress.total << " units)";
  else if (progress.total == 0)
    std::cout << "not begun";
  else
    std::cout << progress.done << " of " << progress.total << " units done";
  if (failure) std::cout << "; the last attempt ended in an error (exit " << failure->code << "): " << failure->message;
  std::cout << std::endl;
  return code;
}

}  // namespace striate
