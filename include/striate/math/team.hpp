#pragma once
/// Team: the narrow view that numerical code has of parallel hardware (threads of this rank, ranks of the job).
///
/// `math`, `stats` and `models` know no MPI; they cut shared work (Gram blocks, factorisations) into units that
/// do not depend on the number of workers, and hand them to a Team. Every unit writes only its own bytes of a
/// buffer obtained from `shared`, so the result is the same, bit for bit, whoever computes it.
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace striate {

/// Byte range of a shared buffer that a unit writes.
struct Slot {
  std::size_t offset = 0, bytes = 0;
};

class Team {
 public:
  virtual ~Team() = default;

  /// Zero-filled bytes, aligned to 64, held once per node and seen by every rank of it. Collective.
  /// Throws Error(Exit::limit) where the memory cannot be had.
  [[nodiscard]] virtual std::shared_ptr<std::byte> shared(std::size_t bytes) = 0;

  /// Runs compute(unit) for every unit in [0, slots.size()), each exactly once somewhere in the team (threads of
  /// each rank, all ranks). compute writes only slots[unit] of `buffer` (a buffer from `shared`), with one BLAS
  /// thread. On return every rank sees every slot. Collective. An exception in one unit is thrown on all ranks.
  virtual void run(std::byte* buffer, std::span<Slot const> slots, std::function<void(std::size_t unit)> const& compute) = 0;

  /// The same with several slots a unit.
  virtual void run(std::byte* buffer, std::span<std::vector<Slot> const> slots,
                   std::function<void(std::size_t unit)> const& compute) = 0;

  /// Runs f(i) for i in [0, count) over this rank's threads only. Not collective.
  virtual void local(std::size_t count, std::function<void(std::size_t i)> const& f) = 0;

  [[nodiscard]] virtual int threads() const = 0;  ///< of this rank
};

/// One thread, one rank: for tests and small tools.
[[nodiscard]] std::unique_ptr<Team> serial_team();

}  // namespace striate
