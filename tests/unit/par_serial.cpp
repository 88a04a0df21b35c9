/// Everything works on a Comm without MPI: serial tools and unit tests rely on it.
#include <gtest/gtest.h>

#include <signal.h>

#include <numeric>

#include "striate/par/shared.hpp"
#include "striate/par/stop.hpp"
#include "striate/par/team.hpp"
#include "striate/par/threads.hpp"
#include "striate/par/tiles.hpp"
#include "striate/par/together.hpp"

using namespace striate;

TEST(Serial, CommOfOne) {
  Comm const c = Comm::world();  // MPI was not initialised
  EXPECT_FALSE(c.has_mpi());
  EXPECT_EQ(c.size(), 1);
  std::string text = "same";
  c.broadcast(text, 0);
  EXPECT_EQ(text, "same");
  EXPECT_EQ(c.sum(std::int64_t{3}), 3);
  EXPECT_EQ(c.gather_strings("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(c.node().size(), 1);
  EXPECT_EQ(c.leaders().size(), 1);
  EXPECT_EQ(c.split(3).size(), 1);
  c.barrier();
}

TEST(Serial, TogetherThrowsTheSame) {
  EXPECT_THROW(together(Comm(), [] { fail(Exit::data, "no"); }), Error);
}

TEST(Serial, TeamAndShared) {
  auto const team = mpi_team(Comm(), 2);
  auto const buffer = team->shared(100);
  std::vector<Slot> slots(100);
  for (std::size_t u = 0; u < 100; ++u) slots[u] = {u, 1};
  team->run(buffer.get(), slots, [&](std::size_t u) { buffer.get()[u] = std::byte(u); });
  for (std::size_t u = 0; u < 100; ++u) EXPECT_EQ(buffer.get()[u], std::byte(u));
  EXPECT_EQ(team->threads(), 2);
}

TEST(Serial, StopFlagHearsSignals) {
  StopFlag flag;
  EXPECT_FALSE(flag.requested());
  ::raise(SIGUSR1);
  EXPECT_TRUE(flag.requested());
  EXPECT_THROW(StopFlag second, std::logic_error);
}

TEST(Serial, SetThreadsIsRemembered) {
  set_threads(3);
  EXPECT_EQ(current_threads(), 3);
  set_threads(0);
  EXPECT_EQ(current_threads(), 1);
  EXPECT_GE(allowed_threads(Comm()), 1);
}
