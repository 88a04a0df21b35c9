#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "striate/base/error.hpp"
#include "striate/par/threads.hpp"
#include "striate/par/tiles.hpp"

using namespace striate;

namespace {

/// Records what the loop does, and checks its promises on the way.
struct Recorder : TileWork {
  explicit Recorder(std::size_t tiles) : marked(tiles, 0) {}

  void compute(std::size_t tile) override {
    if (tile == fail_at) fail(Exit::data, "tile {} is bad", tile);
    std::this_thread::sleep_for(std::chrono::milliseconds(tile % 3));
    std::lock_guard const held(lock);
    if (!computed.insert(tile).second) ADD_FAILURE() << "tile " << tile << " computed twice";
  }
  void write(std::span<std::size_t const> mine) override {
    EXPECT_EQ(std::this_thread::get_id(), main_thread);
    for (std::size_t t : mine) {
      std::lock_guard const held(lock);
      if (t == fail_write_at) fail(Exit::io, "disk full at {}", t);
      EXPECT_TRUE(computed.count(t));
      EXPECT_TRUE(written.insert(t).second);
    }
  }
  void flush() override {
    Comm::world().barrier();  // hangs where it is not called on all ranks
    flushed = written;
  }
  void mark(std::span<std::size_t const> mine) override {
    Comm::world().barrier();
    for (std::size_t t : mine) {
      EXPECT_TRUE(flushed.count(t)) << "flag before data";
      marked[t] += 1;
    }
  }
  void progress(std::size_t done) override {
    EXPECT_GE(done, last_progress);
    last_progress = done;
    if (++rounds == stop_after && stop) stop->request();
  }
  /// Flags of all ranks.
  std::vector<std::uint64_t> all_marks() {
    std::vector<std::uint64_t> all(marked.begin(), marked.end());
    Comm::world().sum(std::span(all));
    return all;
  }

  std::mutex lock;
  std::thread::id main_thread = std::this_thread::get_id();
  std::set<std::size_t> computed, written, flushed;
  std::vector<std::uint8_t> marked;
  std::size_t fail_at = SIZE_MAX, fail_write_at = SIZE_MAX, last_progress = 0;
  int rounds = 0, stop_after = -1;
  StopFlag* stop = nullptr;
};

std::size_t count_ones(std::vector<std::uint64_t> const& v) { return std::size_t(std::count(v.begin(), v.end(), 1u)); }

}  // namespace

TEST(RunTiles, DoesEveryTileOnce) {
  Comm const c = Comm::world();
  for (std::size_t tiles : {0u, 1u, 2u, 5u, 50u})
    for (int threads : {1, 2, 3}) {
      StopFlag stop(false);
      Recorder work(tiles);
      EXPECT_TRUE(run_tiles(c, std::vector<std::uint8_t>(tiles, 0), stop, work, {.threads = threads}));
      EXPECT_EQ(count_ones(work.all_marks()), tiles);
      EXPECT_EQ(work.last_progress, tiles);
      auto const order = tile_order(std::vector<std::uint8_t>(tiles, 0), threads, c.rank(), c.size());
      EXPECT_EQ(work.computed, std::set(order.begin(), order.end()));  // what loaders prepare ahead is what comes
      EXPECT_TRUE(std::ranges::is_sorted(order));
    }
}

TEST(RunTiles, LeavesDoneTilesAlone) {
  Comm const c = Comm::world();
  std::vector<std::uint8_t> done{1, 0, 0, 1, 1, 0, 1, 0};
  StopFlag stop(false);
  Recorder work(done.size());
  EXPECT_TRUE(run_tiles(c, done, stop, work, {.threads = 1}));
  auto const marks = work.all_marks();
  for (std::size_t t = 0; t < done.size(); ++t) EXPECT_EQ(marks[t], done[t] ? 0u : 1u);
  EXPECT_EQ(work.last_progress, done.size());
  std::vector<std::uint8_t> all(5, 1);
  Recorder idle(5);
  EXPECT_TRUE(run_tiles(c, all, stop, idle));
  EXPECT_TRUE(idle.computed.empty());
}

TEST(RunTiles, FailingTileFailsAllAndKeepsWhatWasWritten) {
  Comm const c = Comm::world();
  std::size_t const tiles = 30, ranks = std::size_t(c.size());
  // With one thread, round k gives tile k·R + r to rank r: round 4 fails on the first, on the last rank.
  for (std::size_t rank : {std::size_t{0}, ranks - 1}) {
    StopFlag stop(false);
    Recorder work(tiles);
    work.fail_at = 4 * ranks + rank;
    Exit code = Exit::ok;
    std::string text;
    try {
      run_tiles(c, std::vector<std::uint8_t>(tiles, 0), stop, work, {.threads = 1});
    } catch (Error const& e) {
      code = e.code(), text = e.what();
    }
    EXPECT_EQ(code, Exit::data);
    EXPECT_EQ(text, "tile " + std::to_string(work.fail_at) + " is bad");
    auto const marks = work.all_marks();
    EXPECT_EQ(count_ones(marks), 4 * ranks);  // rounds 0 to 3 were written
    EXPECT_EQ(marks[work.fail_at], 0u);
  }
}

TEST(RunTiles, FailingWriteFailsAll) {
  Comm const c = Comm::world();
  for (std::size_t bad : {std::size_t{0}, std::size_t{7}, std::size_t{9}}) {
    StopFlag stop(false);
    Recorder work(10);
    work.fail_write_at = bad;
    Exit code = Exit::ok;
    try {
      run_tiles(c, std::vector<std::uint8_t>(10, 0), stop, work, {.threads = 2});
    } catch (Error const& e) {
      code = e.code();
    }
    EXPECT_EQ(code, Exit::io);
    EXPECT_EQ(work.all_marks()[bad], 0u);
  }
}

TEST(RunTiles, StopOnOneRankStopsAllAfterTheRound) {
  Comm const c = Comm::world();
  for (int who : {0, c.size() - 1}) {
    StopFlag stop(false);
    Recorder work(60);
    if (c.rank() == who) work.stop = &stop, work.stop_after = 3;
    EXPECT_FALSE(run_tiles(c, std::vector<std::uint8_t>(60, 0), stop, work, {.threads = 2}));
    // The flag set in round 3's progress is heard in round 4: four rounds of 2·R tiles are there, and flagged.
    EXPECT_EQ(count_ones(work.all_marks()), std::size_t(4 * 2 * c.size()));
    std::vector<std::uint8_t> done;
    for (auto m : work.all_marks()) done.push_back(std::uint8_t(m));
    StopFlag go(false);
    Recorder rest(60);
    EXPECT_TRUE(run_tiles(c, done, go, rest, {.threads = 2}));
    auto const marks = rest.all_marks();
    for (std::size_t t = 0; t < 60; ++t) EXPECT_EQ(marks[t] + done[t], 1u);
  }
}

TEST(RunTiles, FlushesOnTheWay) {
  Comm const c = Comm::world();
  StopFlag stop(false);
  struct Counting : Recorder {
    using Recorder::Recorder;
    void flush() override { Recorder::flush(), ++flushes; }
    int flushes = 0;
  } work(40);
  EXPECT_TRUE(run_tiles(c, std::vector<std::uint8_t>(40, 0), stop, work, {.threads = 1, .flush_seconds = 0}));
  EXPECT_GT(work.flushes, 2);
  EXPECT_EQ(count_ones(work.all_marks()), 40u);
}

TEST(RunTiles, WritesWhileTheNextRoundIsComputed) {
  Comm const c = Comm::world();
  struct Slow : TileWork {
    std::atomic<int> computing{0};
    std::atomic<bool> overlapped{false};
    void compute(std::size_t) override {
      ++computing;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      --computing;
    }
    void write(std::span<std::size_t const>) override {
      std::this_thread::sleep_for(std::chrono::milliseconds(15));
      if (computing > 0) overlapped = true;
    }
    void mark(std::span<std::size_t const>) override {}
    void flush() override {}
  } work;
  StopFlag stop(false);
  std::size_t const tiles = 4 * std::size_t(c.size());
  EXPECT_TRUE(run_tiles(c, std::vector<std::uint8_t>(tiles, 0), stop, work, {.threads = 1}));
  EXPECT_TRUE(work.overlapped);
}
