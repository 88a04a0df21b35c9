/// Whole processes: starting without mpiexec, failing while others are busy, stopping by a signal.
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

struct Outcome {
  int code = -1;
  std::string text;
  double seconds = 0;
};

/// Runs a shell command; its output and exit code.
Outcome run(std::string const& command) {
  auto const start = std::chrono::steady_clock::now();
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  Outcome o;
  std::array<char, 4096> block;
  while (std::size_t n = fread(block.data(), 1, block.size(), pipe)) o.text.append(block.data(), n);
  int const status = pclose(pipe);
  o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  o.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return o;
}

std::string const child = CHILD;
std::string mpiexec(int ranks) { return std::string(MPIEXEC) + " --oversubscribe -n " + std::to_string(ranks) + " " + child; }

}  // namespace

TEST(Process, StartsWithoutMpiexec) {
  Outcome const o = run(child + " hello");
  EXPECT_EQ(o.code, 0) << o.text;
  EXPECT_NE(o.text.find("1 ranks, io=^ompio (chosen by striate)"), std::string::npos) << o.text;
}

TEST(Process, StartsUnderMpiexec) {
  Outcome const o = run(mpiexec(3) + " hello");
  EXPECT_EQ(o.code, 0) << o.text;
  EXPECT_NE(o.text.find("3 ranks, io=^ompio"), std::string::npos) << o.text;
}

TEST(Process, UsersChoiceOfIoStands) {
  Outcome const o = run("OMPI_MCA_fcoll=individual " + child + " hello");
  EXPECT_EQ(o.code, 0);
  EXPECT_NE(o.text.find("fcoll=individual (user's)"), std::string::npos) << o.text;
}

TEST(Process, FailureEndsBusyRanksWithinSeconds) {
  Outcome const o = run(mpiexec(3) + " busy");
  EXPECT_EQ(o.code, 66) << o.text;
  EXPECT_NE(o.text.find("error: nothing there\n"), std::string::npos) << o.text;
  EXPECT_LT(o.seconds, 10);  // three of patience; the machine may be loaded
}

TEST(Process, EscapedExceptionEndsAll) {
  Outcome const o = run(mpiexec(2) + " throw");
  EXPECT_EQ(o.code, 65) << o.text;
  EXPECT_LT(o.seconds, 10);
}

TEST(Process, Usr1StopsAllRanksAndExits75) {
  // mpiexec forwards SIGUSR1 to the ranks.
  std::string const script = mpiexec(2) +
                             " tiles > par_usr1.txt & p=$!; for i in $(seq 100); do grep -q running par_usr1.txt && "
                             "break; sleep 0.1; done; kill -USR1 $p; wait $p; c=$?; cat par_usr1.txt; exit $c";
  Outcome const o = run("bash -c '" + script + "'");
  EXPECT_EQ(o.code, 75) << o.text;
  EXPECT_NE(o.text.find("stopped"), std::string::npos) << o.text;
  std::remove("par_usr1.txt");
}
