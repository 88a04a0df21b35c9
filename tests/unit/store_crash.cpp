/// Killing a job with -9 at any moment, and running out of disk: what is there stays sound, and rerunning finishes it.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <thread>

#include "../store_temp.hpp"

namespace {

struct Outcome {
  int code = -1;
  std::string text;
};

Outcome run(std::string const& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  Outcome o;
  std::array<char, 4096> block;
  while (std::size_t n = fread(block.data(), 1, block.size(), pipe)) o.text.append(block.data(), n);
  int const status = pclose(pipe);
  o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return o;
}

std::string const child = STORE_CHILD;

std::string on_ranks(int ranks, std::string const& arguments) {
  return std::string(MPIEXEC) + " --oversubscribe -n " + std::to_string(ranks) + " " + child + " " + arguments;
}

/// Starts the job in a session of its own and kills one rank, or everything, after a while: counted from its start, or
/// from when `file` is there, which a busy machine may take seconds for.
void run_and_kill(std::string const& command, int milliseconds, bool everything, std::string const& file = "") {
  pid_t const leader = fork();
  if (leader == 0) {
    setsid();
    freopen("/dev/null", "w", stdout);
    freopen("/dev/null", "w", stderr);
    execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    _exit(127);
  }
  for (int waited = 0; !file.empty() && !std::filesystem::exists(file) && waited < 30000; waited += 5)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  // The ranks are children of mpiexec, each with its own process group: found by their parent.
  Outcome const ranks = run("pgrep -P " + std::to_string(leader));
  std::vector<pid_t> pids;
  for (std::size_t at = 0; at < ranks.text.size(); at = ranks.text.find('\n', at) + 1)
    if (int const pid = std::atoi(ranks.text.c_str() + at); pid > 0) pids.push_back(pid);
  if (everything) {
    kill(leader, SIGKILL);
    for (pid_t p : pids) kill(p, SIGKILL);
  } else if (!pids.empty()) {
    kill(pids[std::size_t(milliseconds) % pids.size()], SIGKILL);
  }
  int status = 0;
  waitpid(leader, &status, 0);
}

/// Kills `command` at random moments, checks between, finishes, and compares with an undisturbed run.
void chaos(std::string const& mode, std::string const& file, std::string const& whole, std::string const& tail,
           std::string const& check) {
  ASSERT_EQ(run(on_ranks(2, mode + " " + whole + " 0 " + tail)).code, 0);
  std::mt19937 random(11);
  int resumed = 0;
  // On a busy machine the first flags come late: go on, ever later, until a kill came after them.
  for (int turn = 0; turn < 8 || (!check.empty() && resumed == 0 && turn < 24); ++turn) {
    int const ranks = 1 + turn % 3, late = turn < 8 ? 0 : 500 * (turn - 7);
    run_and_kill(on_ranks(ranks, mode + " " + file + " 60 " + tail), 150 + late + int(random() % 900), turn % 2 == 0,
                 turn % 3 == 0 ? "" : file);
    if (check.empty() || !std::filesystem::exists(file)) continue;
    Outcome const o = run(check);
    ASSERT_EQ(o.code, 0) << "after kill " << turn << ": " << o.text;
    resumed += o.text.find("0 verified") != 0;
  }
  if (!check.empty()) {
    EXPECT_GT(resumed, 0) << "no kill came after the first flags: the test proved nothing";
  }
  Outcome const last = run(on_ranks(3, mode + " " + file + " 0 " + tail));
  ASSERT_EQ(last.code, 0) << last.text;
  EXPECT_EQ(run(child + " digest " + file).text, run(child + " digest " + whole).text);
}

}  // namespace

TEST(Crash, StoreSurvivesKills) {
  TempFolder dir("crash_" + std::to_string(getpid()));
  std::string const file = (dir / "a.act.h5").string();
  chaos("act", file, (dir / "whole.act.h5").string(), "61 4", child + " check " + file + " 61 4");
}

TEST(Crash, ResultSurvivesKills) {
  TempFolder dir("crashr_" + std::to_string(getpid()));
  chaos("result", (dir / "result.h5").string(), (dir / "whole.h5").string(), "", "");
}

/// What an output that does not fit says: one error, that the disk is full.
void expect_full(Outcome const& o) {
  EXPECT_EQ(o.code, 74) << o.text;
  EXPECT_NE(o.text.find("disk full"), std::string::npos) << o.text;
  std::size_t errors = 0;
  for (std::size_t at = o.text.find("error: "); at != std::string::npos; at = o.text.find("error: ", at + 1)) ++errors;
  EXPECT_EQ(errors, 1u) << o.text;
}

TEST(Crash, FullDiskStopsWithAMessageAndResumes) {
  TempFolder dir("full_" + std::to_string(getpid())), whole("begun_" + std::to_string(getpid()));
  if (mount("tmpfs", dir.path.c_str(), "tmpfs", 0, "size=24m") != 0)
    GTEST_SKIP() << "SKIPPED: mounting a small tmpfs needs root, so a full disk is not tested";
  for (int ranks : {1, 2, 3}) {  // seen before the work begins; nothing is left
    Outcome const o = run(on_ranks(ranks, "act " + (dir / "a.act.h5").string() + " 0 61 4"));  // needs about 60 MB
    expect_full(o);
    EXPECT_NE(o.text.find("GB are free"), std::string::npos) << o.text;
    EXPECT_TRUE(std::filesystem::is_empty(dir.path));
  }
  // A store whose room was not reserved: begun elsewhere, copied with holes.
  std::string const begun = (whole / "a.act.h5").string();
  run_and_kill(on_ranks(1, "act " + begun + " 100 61 4"), 500, true, begun);
  for (int ranks : {1, 2, 3}) {
    std::string const file = (dir / ("a" + std::to_string(ranks) + ".act.h5")).string();
    ASSERT_EQ(run("cp --sparse=always " + begun + " " + file).code, 0);
    expect_full(run(on_ranks(ranks, "act " + file + " 0 61 4")));
    EXPECT_EQ(run(child + " check " + file + " 61 4").code, 0);
    if (ranks == 3) {  // space appears: the same command goes on
      ASSERT_EQ(mount("tmpfs", dir.path.c_str(), "tmpfs", MS_REMOUNT, "size=200m"), 0);
      EXPECT_EQ(run(on_ranks(2, "act " + file + " 0 61 4")).code, 0);
      EXPECT_NE(run(child + " check " + file + " 61 4").text.find("complete"), std::string::npos);
    }
    std::filesystem::remove(file);
  }
  umount(dir.path.c_str());
}
