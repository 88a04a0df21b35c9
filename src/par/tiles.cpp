#include "striate/par/tiles.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "striate/par/mpi.hpp"
#include "striate/par/threads.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

/// Computes tiles on `threads` threads beside the main thread; the exception of the lowest failing tile is kept.
class Round {
 public:
  Round(TileWork& work, std::vector<std::size_t> tiles, int threads) : tiles_(std::move(tiles)) {
    if (tiles_.empty()) return;
    ended_ = false;
    thread_ = std::thread([this, &work, threads] {
      tbb::task_arena arena(threads);
      arena.execute([&] {
        tbb::parallel_for(
            std::size_t{0}, tiles_.size(), [&](std::size_t i) { one(work, i); }, tbb::simple_partitioner());
      });
      std::lock_guard const held(lock_);
      ended_ = true;
      changed_.notify_all();
    });
  }
  ~Round() { join(); }
  Round(Round const&) = delete;
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  /// Waits for the end; once anything has failed (`failed`: beside the round) at most `patience` seconds. False where
  /// tiles are then still being computed.
  bool wait(bool failed, double patience) {
    std::unique_lock held(lock_);
    changed_.wait(held, [&] { return ended_ || failed || failure_; });
    return changed_.wait_for(held, std::chrono::duration<double>(patience), [&] { return ended_; });
  }
  [[nodiscard]] std::vector<std::size_t> const& tiles() const { return tiles_; }
  [[nodiscard]] std::exception_ptr failure() const {
    std::lock_guard const held(lock_);
    return failure_;
  }

 private:
  void one(TileWork& work, std::size_t i) {
    {
      std::lock_guard const held(lock_);
      if (failure_ && failed_tile_ < tiles_[i]) return;  // its failure would not be told
    }
    try {
      work.compute(tiles_[i]);
    } catch (...) {
      std::lock_guard const held(lock_);
      if (!failure_ || tiles_[i] < failed_tile_) failed_tile_ = tiles_[i], failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  std::vector<std::size_t> tiles_;
  std::thread thread_;
  mutable std::mutex lock_;
  std::condition_variable changed_;
  bool ended_ = true;
  std::exception_ptr failure_;
  std::size_t failed_tile_ = 0;
};

std::vector<std::size_t> pending_of(std::vector<std::uint8_t> const& done) {
  std::vector<std::size_t> pending;
  for (std::size_t t = 0; t < done.size(); ++t)
    if (!done[t]) pending.push_back(t);
  return pending;
}

/// A rank's tiles of the round that begins at `begun`: consecutive ones, fewer in the last round.
std::vector<std::size_t> share_of_round(std::vector<std::size_t> const& pending, std::size_t begun,
                                        std::size_t round_tiles, int rank, int ranks) {
  std::size_t const count = std::min(round_tiles, pending.size() - begun), r = static_cast<std::size_t>(rank);
  auto const at = [&](std::size_t i) {
    return pending.begin() + static_cast<std::ptrdiff_t>(begun + count * i / static_cast<std::size_t>(ranks));
  };
  return {at(r), at(r + 1)};
}

/// STRIATE_FLUSH_SECONDS overrides it: a file system may want it rarer, a test often.
double flush_seconds_of(TileOptions const& options) {
  char const* text = std::getenv("STRIATE_FLUSH_SECONDS");
  if (text == nullptr) return options.flush_seconds;
  char* end = nullptr;
  double const seconds = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds >= 0))
    fail(Exit::usage, "STRIATE_FLUSH_SECONDS is `{}`; it must be a number of seconds", text);
  return seconds;
}

class Loop {
 public:
  Loop(Comm const& comm, std::vector<std::uint8_t> const& done, StopFlag const& stop, TileWork& work,
       TileOptions const& options)
      : comm_(comm), stop_(stop), work_(work), options_(options) {
    options_.flush_seconds = flush_seconds_of(options);
    pending_ = pending_of(done);
    done_before_ = done.size() - pending_.size();
    threads_ = comm_.max(std::int64_t{options.threads > 0 ? options.threads : current_threads()});
    round_tiles_ = static_cast<std::size_t>(threads_) * static_cast<std::size_t>(comm_.size());
  }

  bool go() {
    std::vector<std::size_t> computed;  // of the round before, not yet written
    bool stopped = false;
    std::size_t begun = 0;
    while (begun < pending_.size() && !stopped) {
      Round round(work_, share(begun), static_cast<int>(threads_));
      begun = std::min(begun + round_tiles_, pending_.size());
      std::exception_ptr const write_failure = write(computed);
      if (!round.wait(write_failure != nullptr, options_.patience))  // a tile may take long, an error must not
        end_all(as_error(write_failure ? write_failure : round.failure()));
      round.join();
      stopped = agree(write_failure, round.failure());
      computed = round.tiles();
      work_.progress(done_before_ + begun);
    }
    agree(write(computed), nullptr);
    if (!pending_.empty()) settle();
    return begun == pending_.size();
  }

 private:
  [[nodiscard]] std::vector<std::size_t> share(std::size_t begun) const {
    return share_of_round(pending_, begun, round_tiles_, comm_.rank(), comm_.size());
  }

  std::exception_ptr write(std::vector<std::size_t> const& tiles) {
    if (tiles.empty()) return nullptr;
    try {
      work_.write(tiles);
      unmarked_.insert(unmarked_.end(), tiles.begin(), tiles.end());
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }

  /// One exchange a round. Throws the failure of any rank on all; flushes when it is time; says whether to stop.
  bool agree(std::exception_ptr const& write_failure, std::exception_ptr const& compute_failure) {
    std::exception_ptr const mine = write_failure ? write_failure : compute_failure;
    bool const due = comm_.root() && seconds_since(last_flush_) > std::max(options_.flush_seconds, 10 * flush_cost_);
    std::int64_t greatest[4] = {mine ? comm_.size() - comm_.rank() : 0, write_failure ? 1 : 0,
                                stop_.requested() ? 1 : 0, due ? 1 : 0};
    if (!comm_.agree(greatest, mine ? options_.patience : 0)) end_all(as_error(mine));
    if (greatest[0] > 0) {
      // What was written stays, unless writing is what fails.
      if (greatest[1] == 0) {
        try {
          settle();
        } catch (Error const&) {  // the first failure is the one to tell
        }
      }
      agree_on_failure(comm_, mine, options_.patience);
    }
    if (greatest[3] > 0 && greatest[2] == 0) settle(false);
    return greatest[2] > 0;
  }

  /// Data to disk, then the flags; at the end the flags to disk as well. Collective; throws on all ranks.
  void settle(bool flags_to_disk = true) {
    auto const start = Clock::now();
    together(
        comm_, [&] { work_.flush(); }, options_.patience);
    together(
        comm_, [&] { work_.mark(unmarked_); }, options_.patience);
    unmarked_.clear();
    if (flags_to_disk)
      together(
          comm_, [&] { work_.flush(); }, options_.patience);
    last_flush_ = Clock::now();
    flush_cost_ = seconds_since(start);
  }

  Comm const& comm_;
  StopFlag const& stop_;
  TileWork& work_;
  TileOptions options_;
  std::vector<std::size_t> pending_, unmarked_;
  std::size_t done_before_ = 0, round_tiles_ = 1;
  std::int64_t threads_ = 1;
  Clock::time_point last_flush_ = Clock::now();
  double flush_cost_ = 0;
};

}  // namespace

std::vector<std::size_t> tile_order(std::vector<std::uint8_t> const& done, int threads, int rank, int ranks) {
  auto const pending = pending_of(done);
  std::size_t const round = static_cast<std::size_t>(threads) * static_cast<std::size_t>(ranks);
  std::vector<std::size_t> mine;
  for (std::size_t begun = 0; begun < pending.size(); begun += round) {
    auto const share = share_of_round(pending, begun, round, rank, ranks);
    mine.insert(mine.end(), share.begin(), share.end());
  }
  return mine;
}

bool run_tiles(Comm const& comm, std::vector<std::uint8_t> const& done, StopFlag const& stop, TileWork& work,
               TileOptions const& options) {
  return Loop(comm, done, stop, work, options).go();
}

}  // namespace striate
