#pragma once
/// MPI communicators, wrapped once. Only the main thread may use them (MPI_THREAD_FUNNELED).
///
/// Float sums over ranks are deliberately absent: their order would depend on the rank count, and striate's results
/// may not. Across ranks reduce with max, min, integer sums, or gather and add in index order.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace striate {

/// A copyable handle on a group of ranks. A default-constructed Comm is one process without MPI: everything works
/// on it (rank 0 of 1), also before or without MPI_Init; serial tools and unit tests use that.
/// Messages of any size: transfers are cut below message_limit(). MPI trouble throws std::runtime_error (a bug).
class Comm {
 public:
  Comm() = default;
  [[nodiscard]] static Comm world();  ///< all ranks; a Comm without MPI where MPI was not initialised
  [[nodiscard]] static Comm self();   ///< this rank alone

  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] int size() const noexcept { return size_; }
  [[nodiscard]] bool root() const noexcept { return rank_ == 0; }
  /// False for a default-constructed Comm.
  [[nodiscard]] bool has_mpi() const noexcept { return state_ != nullptr; }
  /// The MPI_Comm, as void* so that this header needs no mpi.h: `*static_cast<MPI_Comm const*>(c.native())`.
  [[nodiscard]] void const* native() const;

  void barrier() const;  ///< collective

  /// Collective: `root`'s bytes to everybody. The string and vector forms also transfer the length.
  void broadcast(void* data, std::size_t bytes, int root) const;
  void broadcast(std::string& text, int root) const;
  template <class T>
  void broadcast(std::vector<T>& values, int root) const {
    static_assert(std::is_trivially_copyable_v<T>);
    std::uint64_t count = values.size();
    broadcast(&count, sizeof count, root);
    values.resize(count);
    broadcast(static_cast<void*>(values.data()), count * sizeof(T), root);
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void broadcast(T& value, int root) const {
    broadcast(static_cast<void*>(&value), sizeof value, root);
  }

  /// Exact reductions. Collective; the result is on every rank.
  [[nodiscard]] std::int64_t min(std::int64_t value) const;
  [[nodiscard]] std::int64_t max(std::int64_t value) const;
  [[nodiscard]] std::int64_t sum(std::int64_t value) const;
  [[nodiscard]] double max(double value) const;
  /// In place, element by element. NaN must not occur in the float forms (MPI leaves its order open).
  void max(std::span<float> values) const;
  void max(std::span<double> values) const;
  void max(std::span<std::int64_t> values) const;
  void max(std::span<std::uint8_t> values) const;
  void sum(std::span<std::int64_t> values) const;
  void sum(std::span<std::uint64_t> values) const;

  /// Everybody's text / number, in rank order, on every rank. Collective.
  [[nodiscard]] std::vector<std::string> gather_strings(std::string const& text) const;
  [[nodiscard]] std::vector<std::int64_t> gather(std::int64_t value) const;

  /// The ranks of this node, and the node leaders (node rank 0 of every node, in order of world rank; a Comm of one
  /// elsewhere). Collective at the first call, kept afterwards. STRIATE_FAKE_NODES=N (for tests) cuts a node into N
  /// pretended ones by rank modulo N.
  [[nodiscard]] Comm node() const;
  [[nodiscard]] Comm leaders() const;
  /// Number of nodes and this rank's node, in order of their leaders. Collective at the first call.
  [[nodiscard]] int nodes() const;
  [[nodiscard]] int node_index() const;

  /// A sub-communicator of the ranks with the same colour, ordered by rank. Collective.
  [[nodiscard]] Comm split(int colour) const;

  /// Element by element, all ranks learn the greatest value of any rank. Collective; waits without
  /// burning the core. Returns false where `patience_seconds` (0: no limit) passed before every rank came: the caller
  /// can then only end the job. For `together` and `run_tiles`.
  [[nodiscard]] bool agree(std::span<std::int64_t> greatest, double patience_seconds = 0) const;

  /// Bytes of the longest single MPI message (below 2^31); smaller values are for tests. Set it equal on all ranks.
  static std::size_t message_limit() noexcept;
  static void set_message_limit(std::size_t bytes) noexcept;

 private:
  struct State;
  explicit Comm(std::shared_ptr<State> state);
  void locate() const;  ///< fills the node part of the state

  std::shared_ptr<State> state_;
  int rank_ = 0, size_ = 1;
};

}  // namespace striate
