#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <numeric>

#include "striate/par/shared.hpp"
#include "striate/par/team.hpp"
#include "striate/par/threads.hpp"
#include "striate/base/error.hpp"

using namespace striate;

TEST(SharedBytes, OneCopyANode) {
  Comm const c = Comm::world();
  SharedBytes bytes(c, 1000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0u);
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_EQ(bytes.data()[i], std::byte{0});
  c.barrier();
  bytes.data()[c.rank()] = std::byte(c.rank() + 1);
  bytes.synchronise();
  for (int r = 0; r < c.size(); ++r) EXPECT_EQ(bytes.data()[r], std::byte(r + 1));
  bytes.synchronise();
}

TEST(SharedBytes, Nothing) {
  SharedBytes bytes(Comm::world(), 0);
  EXPECT_NE(bytes.data(), nullptr);
  EXPECT_EQ(bytes.size(), 0u);
}

TEST(SharedBytes, MoreThanTwoGiB) {
  Comm const c = Comm::world();
  std::size_t const size = (std::size_t{1} << 31) + 4096 + 3;
  struct statvfs fs = {};
  bool const room = statvfs("/dev/shm", &fs) == 0 && double(fs.f_bavail) * double(fs.f_frsize) > 1.5 * double(size);
  if (c.max(std::int64_t{!room})) GTEST_SKIP() << "SKIPPED: /dev/shm has no room for 2 GiB of shared memory";
  SharedBytes bytes(c, size);
  if (c.root()) bytes.data()[size - 1] = std::byte{42};
  bytes.synchronise();
  EXPECT_EQ(bytes.data()[size - 1], std::byte{42});
  EXPECT_EQ(bytes.data()[size / 2], std::byte{0});
  bytes.synchronise();
}

TEST(SharedBytes, TooMuchIsALimit) {
  Exit code = Exit::ok;
  std::string text;
  try {
    SharedBytes bytes(Comm::world(), std::size_t{1} << 46);
  } catch (Error const& e) {
    code = e.code(), text = e.what();
  }
  EXPECT_EQ(code, Exit::limit);
  if (Comm::world().size() > 1) {
    EXPECT_NE(text.find("/dev/shm"), std::string::npos) << text;
  }
}

namespace {

/// A sum of products whose order matters in float: any mistake in dealing or exchange changes bytes.
void check_team(Team& team, std::size_t units, std::size_t width) {
  auto const buffer = team.shared(units * width * sizeof(float));
  auto* const values = reinterpret_cast<float*>(buffer.get());
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < units; ++u) slots.push_back({u * width * sizeof(float), width * sizeof(float)});
  team.run(buffer.get(), slots, [&](std::size_t u) {
    for (std::size_t j = 0; j < width; ++j) values[u * width + j] = std::sqrt(float(u * 1000 + j));
  });
  for (std::size_t i = 0; i < units * width; ++i)
    if (values[i] != std::sqrt(float(i / width * 1000 + i % width))) {
      ADD_FAILURE() << "unit " << i / width << " is wrong";
      return;
    }
}

void check_several_slots(Team& team) {
  // Unit u owns column u and row 5 + u of a 10 × 5 table of bytes: scattered slots of different lengths.
  auto const buffer = team.shared(50);
  std::vector<std::vector<Slot>> slots(5);
  for (std::size_t u = 0; u < 5; ++u) {
    for (std::size_t i = 0; i < 5; ++i) slots[u].push_back({i * 5 + u, 1});
    slots[u].push_back({(5 + u) * 5, 5});
    slots[u].push_back({0, 0});
  }
  team.run(buffer.get(), std::span<std::vector<Slot> const>(slots), [&](std::size_t u) {
    for (Slot const& s : slots[u]) std::memset(buffer.get() + s.offset, int(u + 1), s.bytes);
  });
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(int(buffer.get()[i]), int(i < 25 ? i % 5 + 1 : i / 5 - 4));
}

void check_failure(Team& team, std::size_t bad) {
  auto const buffer = team.shared(40);
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < 40; ++u) slots.push_back({u, 1});
  Exit code = Exit::ok;
  std::string text;
  try {
    team.run(buffer.get(), slots, [&](std::size_t u) {
      if (u == bad) fail(Exit::data, "unit {} is singular", u);
    });
  } catch (Error const& e) {
    code = e.code(), text = e.what();
  }
  EXPECT_EQ(code, Exit::data);
  EXPECT_EQ(text, "unit " + std::to_string(bad) + " is singular");
}

void check_all(Comm const& c) {
  set_threads(3);
  for (int threads : {1, 2}) {
    auto const team = mpi_team(c, threads + c.rank() % 2);  // ranks need not have equal threads
    for (std::size_t units : {0u, 1u, 2u, 37u}) check_team(*team, units, 11);
    check_team(*team, 3, 400000);  // slots long enough to travel alone
    check_several_slots(*team);
    check_failure(*team, 0);
    check_failure(*team, 39);
    check_team(*team, 8, 3);  // goes on after a failure
    std::vector<std::uint8_t> seen(100, 0);
    team->local(100, [&](std::size_t i) { seen[i] += 1; });
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 100);
  }
}

}  // namespace

TEST(Team, OneNode) { check_all(Comm::world()); }

TEST(Team, TwoNodes) {
  setenv("STRIATE_FAKE_NODES", "2", 1);
  check_all(Comm::world());
  std::size_t const old = Comm::message_limit();
  Comm::set_message_limit(1001);  // the exchange is cut
  check_all(Comm::world());
  Comm::set_message_limit(old);
  unsetenv("STRIATE_FAKE_NODES");
}

namespace {

/// Shared memory that this process has mapped and touched; what other programs do does not count.
double shared_bytes_of_this_process() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;)
    if (double kilobytes = 0; word == "RssShmem:" && in >> kilobytes) return 1024 * kilobytes;
  ADD_FAILURE() << "no RssShmem in /proc/self/status";
  return 0;
}

}  // namespace

TEST(Team, GivesMemoryBack) {
  Comm const c = Comm::world();
  auto const team = mpi_team(c, 1);
  std::size_t const block = std::size_t{64} << 20;
  double const before = shared_bytes_of_this_process();
  for (int i = 0; i < 8; ++i) {
    auto const big = team->shared(block);
    if (c.root()) std::memset(big.get(), 1, block);
    c.barrier();
  }
  // Only the last block may still be held.
  double const lost = shared_bytes_of_this_process() - before;
  EXPECT_LT(lost, 3.0 * double(block));
  auto const kept = team->shared(64);
  auto const other = team->shared(64);
  EXPECT_NE(kept.get(), other.get());
  EXPECT_EQ(kept.get()[0], std::byte{0});
}
