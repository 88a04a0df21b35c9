#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

#include "striate/par/comm.hpp"
#include "striate/par/mpi.hpp"
#include "striate/par/threads.hpp"

using namespace striate;

TEST(Comm, ReducesExactly) {
  Comm const c = Comm::world();
  int const n = c.size();
  EXPECT_EQ(c.min(std::int64_t{c.rank() - 5}), -5);
  EXPECT_EQ(c.max(std::int64_t{c.rank()}), n - 1);
  EXPECT_EQ(c.sum(std::int64_t{c.rank() + 1}), n * (n + 1) / 2);
  EXPECT_EQ(c.max(0.5 * c.rank()), 0.5 * (n - 1));
  std::vector<float> f{float(c.rank()), float(-c.rank())};
  c.max(std::span(f));
  EXPECT_EQ(f, (std::vector<float>{float(n - 1), 0.f}));
  std::vector<std::uint64_t> u{1, std::uint64_t(1) << 40};
  c.sum(std::span(u));
  EXPECT_EQ(u[0], std::uint64_t(n));
  EXPECT_EQ(u[1], std::uint64_t(n) << 40);
}

TEST(Comm, BroadcastsFromEveryRoot) {
  Comm const c = Comm::world();
  for (int root = 0; root < c.size(); ++root) {
    std::string text = c.rank() == root ? "Grüße von " + std::to_string(root) : "something longer than the text itself";
    c.broadcast(text, root);
    EXPECT_EQ(text, "Grüße von " + std::to_string(root));
    std::vector<double> v;
    if (c.rank() == root) v = {1, 2, 3};
    c.broadcast(v, root);
    EXPECT_EQ(v, (std::vector<double>{1, 2, 3}));
    std::string empty = c.rank() == root ? "" : "x";
    c.broadcast(empty, root);
    EXPECT_EQ(empty, "");
  }
}

TEST(Comm, CutsLongMessages) {
  Comm const c = Comm::world();
  std::size_t const old = Comm::message_limit();
  for (std::size_t limit : {1u, 7u, 64u, 1000u}) {
    Comm::set_message_limit(limit);
    std::vector<std::int64_t> v(1003);
    if (c.root()) std::iota(v.begin(), v.end(), 5);
    c.broadcast(static_cast<void*>(v.data()), v.size() * sizeof v[0], 0);
    for (std::size_t i = 0; i < v.size(); ++i) EXPECT_EQ(v[i], std::int64_t(i) + 5);
    std::vector<double> m(501, c.rank());
    c.max(std::span(m));
    EXPECT_EQ(std::count(m.begin(), m.end(), c.size() - 1.0), 501);
  }
  Comm::set_message_limit(old);
  Comm::set_message_limit(std::size_t(1) << 40);
  EXPECT_LE(Comm::message_limit(), std::size_t(1) << 30);  // never above what an int counts
}

TEST(Comm, GathersInRankOrder) {
  Comm const c = Comm::world();
  auto const texts = c.gather_strings(std::string(static_cast<std::size_t>(c.rank()), 'x'));
  auto const numbers = c.gather(c.rank() * 10);
  EXPECT_EQ(texts.size(), std::size_t(c.size()));
  for (int r = 0; r < c.size(); ++r) {
    EXPECT_EQ(texts[std::size_t(r)].size(), std::size_t(r));
    EXPECT_EQ(numbers[std::size_t(r)], r * 10);
  }
}

TEST(Comm, KnowsItsNode) {
  Comm const c = Comm::world();  // one machine
  EXPECT_EQ(c.node().size(), c.size());
  EXPECT_EQ(c.nodes(), 1);
  EXPECT_EQ(c.leaders().size(), 1);
}

TEST(Comm, PretendsNodes) {
  setenv("STRIATE_FAKE_NODES", "2", 1);
  Comm const c = Comm::world();  // locates anew
  int const nodes = std::min(2, c.size());
  EXPECT_EQ(c.nodes(), nodes);
  EXPECT_EQ(c.node_index(), c.rank() % 2);
  EXPECT_EQ(c.node().size(), (c.size() + 1 - c.rank() % 2) / 2);
  EXPECT_EQ(c.leaders().size(), c.node().root() ? nodes : 1);
  if (c.node().root()) {
    EXPECT_EQ(c.leaders().rank(), c.node_index());
  }
  unsetenv("STRIATE_FAKE_NODES");
}

TEST(Comm, AgreeLosesPatience) {
  Comm const c = Comm::world();
  std::int64_t v[2] = {c.rank(), -c.rank()};
  EXPECT_TRUE(c.agree(v));
  EXPECT_EQ(v[0], c.size() - 1);
  EXPECT_EQ(v[1], 0);
}

TEST(Threads, ShareTheMask) {
  Comm const c = Comm::world();
  unsetenv("SLURM_CPUS_PER_TASK");
  int const mine = allowed_threads(c);
  EXPECT_GE(mine, 1);
  setenv("SLURM_CPUS_PER_TASK", "7", 1);
  EXPECT_EQ(allowed_threads(c), 7);
  unsetenv("SLURM_CPUS_PER_TASK");
}

TEST(Mpi, ChoseRomio) {
  char const* io = std::getenv("OMPI_MCA_io");
  ASSERT_NE(io, nullptr);
  EXPECT_STREQ(io, "^ompio");
  EXPECT_NE(Mpi::io_choice().find("striate"), std::string::npos);
  EXPECT_FALSE(Mpi::library().empty());
}
