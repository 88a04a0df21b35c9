#pragma once
/// Being asked to stop: SLURM's --signal=USR1@…, scancel, mpiexec (which forwards SIGUSR1 only).
#include <atomic>

namespace striate {

/// Set by SIGTERM, SIGUSR1 or a first SIGINT on this rank; run_tiles spreads it to the others. One listening flag a process.
class StopFlag {
 public:
  /// `listen`: install the signal handlers (the old ones come back with the destructor). False is for tests.
  explicit StopFlag(bool listen = true);
  ~StopFlag();
  StopFlag(StopFlag const&) = delete;
  StopFlag& operator=(StopFlag const&) = delete;

  [[nodiscard]] bool requested() const noexcept;  ///< any thread
  void request() noexcept;                        ///< as if a signal had come

 private:
  std::atomic<bool> set_{false};
  bool listens_ = false;
};

}  // namespace striate
