/// Files written whole, locks that die with their process, failure notes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "striate/base/fsio.hpp"

using namespace striate;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path;
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "striate-fsio-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
};

}  // namespace

TEST(Files, WriteAndRead) {
  Folder folder;
  write_atomically(folder.path / "a.txt", "one");
  write_atomically(folder.path / "a.txt", "two\n");
  EXPECT_EQ(read_text(folder.path / "a.txt"), "two\n");
  std::size_t files = 0;
  for ([[maybe_unused]] auto const& entry : fs::directory_iterator(folder.path)) ++files;
  EXPECT_EQ(files, 1u);  // nothing temporary stays
  EXPECT_THROW((void)read_text(folder.path / "none"), Error);
  EXPECT_THROW((void)read_text(folder.path), Error);
  EXPECT_THROW(write_atomically(folder.path / "none" / "a", "x"), Error);
}

TEST(Files, AnUnwritableFolderIsNamed) {
  try {
    write_atomically("/proc/self/nothing", "x");
    FAIL() << "written";
  } catch (Error const& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(Exit::cant_create));
    EXPECT_NE(std::string(e.what()).find("/proc/self/nothing"), std::string::npos);
  }
}

TEST(Lock, ASecondJobIsRefusedUntilTheFirstIsGone) {
  Folder folder;
  fs::path const output = folder.path / "out";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  pid_t const child = fork();
  if (child == 0) {
    auto const lock = OutputLock::take(output, "job 17 on host", 0);
    (void)!write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  try {
    (void)OutputLock::take(output, "second", 0.2);
    ADD_FAILURE() << "a second lock was given";
  } catch (Error const& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(Exit::cant_create));
    EXPECT_NE(std::string(e.what()).find("job 17 on host"), std::string::npos) << e.what();
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  auto lock = OutputLock::take(output, "third", 0.2);
  lock.remove_file();
  EXPECT_FALSE(fs::exists(folder.path / ".out.lock"));
}

TEST(Lock, AJobLivesUntilItsLastRankIsGone) {
  Folder folder;
  fs::path const output = folder.path / "store.h5";
  auto first = std::make_unique<OutputLock>(OutputLock::take(output, "job", 0));
  auto other = std::make_unique<OutputLock>(OutputLock::join(output, 3));
  first.reset();
  EXPECT_THROW((void)OutputLock::take(output, "next", 0.1), Error);
  other.reset();
  EXPECT_NO_THROW((void)OutputLock::take(output, "next", 0.1));
}

TEST(Failure, IsFoundAgainAndCleared) {
  Folder folder;
  fs::path const output = folder.path / "out" / "";  // a trailing slash names the same output
  EXPECT_FALSE(read_failure(output));
  note_failure(output, {65, "bad \"data\"\nof two lines"});
  auto const note = read_failure(folder.path / "out");
  ASSERT_TRUE(note);
  EXPECT_EQ(note->code, 65);
  EXPECT_EQ(note->message, "bad \"data\"\nof two lines");
  clear_failure(output);
  EXPECT_FALSE(read_failure(output));
}
