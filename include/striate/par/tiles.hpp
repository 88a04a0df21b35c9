#pragma once
/// One loop for every job: scheduler, checkpoint, progress bar and error path.
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "striate/par/comm.hpp"
#include "striate/par/stop.hpp"

namespace striate {

/// A job cut into tiles that do not depend on the number of ranks.
struct TileWork {
  virtual ~TileWork() = default;
  /// Worker thread; several tiles at once; no MPI, no HDF5. Keeps its result until `write` has had it. May throw.
  virtual void compute(std::size_t tile) = 0;
  /// Main thread; independent writes of tiles that this rank computed (drop the results afterwards). Not collective:
  /// ranks call it with different tiles, or not at all. The next tiles are being computed meanwhile. May throw.
  virtual void write(std::span<std::size_t const> mine) = 0;
  /// Main thread, on every rank each time (`mine` may be empty): sets the done flags of tiles whose data is flushed.
  virtual void mark(std::span<std::size_t const> mine) = 0;
  /// Collective: everything written is on disk (fsync) on return.
  virtual void flush() = 0;
  /// Main thread, every rank, once a round: tiles done of all, those of earlier runs included.
  virtual void progress(std::size_t done_total) { (void)done_total; }
};

/// Results on their way from `compute` (or from reading ahead) to whoever takes them, by tile.
template <class T>
class Handover {
 public:
  void give(std::size_t tile, T result) {
    std::lock_guard const held(lock_);
    results_.insert_or_assign(tile, std::move(result));
  }
  /// Throws std::out_of_range where nothing was given.
  T take(std::size_t tile) {
    std::lock_guard const held(lock_);
    T result = std::move(results_.at(tile));
    results_.erase(tile);
    return result;
  }

 private:
  std::mutex lock_;
  std::map<std::size_t, T> results_;
};

/// How the loop goes; the result never depends on it.
struct TileOptions {
  int threads = 0;             ///< tiles in flight a rank; 0 = current_threads(). The greatest over ranks rules.
  double flush_seconds = 5;    ///< flush and mark so often (and no more than a tenth of the time)
  double patience = 3;         ///< seconds a failing rank waits for the others before it ends the job
};

/// The tiles that run_tiles gives rank `rank` of `ranks`, in order, for those that prepare their inputs ahead. Round k
/// takes the next ranks · threads pending tiles; a rank's share of a round is consecutive. `threads` >= 1.
[[nodiscard]] std::vector<std::size_t> tile_order(std::vector<std::uint8_t> const& done, int threads, int rank, int ranks);

/// Computes every tile with done[tile] == 0 (equal on all ranks). Round k: rank r takes `threads` consecutive tiles of
/// the pending list, from index (k·R + r)·threads; they are computed while round k-1 is written; one allreduce a round
/// {failed, stop, flush}; flags only after the data is flushed. Collective.
/// Returns true when all tiles are done; false when a stop was requested on any rank: what was computed is written,
/// flushed and marked. An exception of compute or write on any rank is thrown on all ranks as the Error of the lowest
/// failing rank (the lowest failing tile of it); tiles written before it are flushed and marked.
bool run_tiles(Comm const& comm, std::vector<std::uint8_t> const& done, StopFlag const& stop, TileWork& work,
               TileOptions const& options = {});

}  // namespace striate
