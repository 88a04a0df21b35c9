#include "striate/par/team.hpp"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "striate/par/mpi.hpp"
#include "striate/par/shared.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

/// What the ranks of a node share while they take units: plain lock-free atomics work across processes.
struct Ticket {
  std::atomic<std::uint64_t> next;
  std::atomic<std::uint32_t> failed;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// A run of bytes to send in one piece.
struct Run {
  std::size_t offset = 0, bytes = 0;
};

constexpr std::size_t direct_bytes = 1 << 20;   ///< runs as long as this travel without packing
constexpr std::size_t pack_bytes = 64 << 20;

/// The team's memory: a block outlives its last user until every rank knows that it went.
struct Block {
  std::unique_ptr<SharedBytes> bytes;
  std::shared_ptr<std::atomic<bool>> unused = std::make_shared<std::atomic<bool>>(false);
};

class MpiTeam final : public Team {
 public:
  MpiTeam(Comm const& comm, int threads)
      : comm_(comm), node_(comm.node()), leaders_(comm.leaders()), threads_(std::max(1, threads)), arena_(threads_) {
    std::vector<std::int64_t> const per_rank = comm_.gather(threads_), where = comm_.gather(comm_.node_index());
    std::vector<std::int64_t> per_node(static_cast<std::size_t>(comm_.nodes()), 0);
    for (std::size_t r = 0; r < where.size(); ++r) per_node[static_cast<std::size_t>(where[r])] += per_rank[r];
    // One entry a thread of the job, the nodes taking turns: unit u belongs to node turns_[u mod turns].
    for (std::int64_t j = 0;; ++j) {
      std::size_t const before = turns_.size();
      for (std::size_t k = 0; k < per_node.size(); ++k)
        if (j < per_node[k]) turns_.push_back(static_cast<int>(k));
      if (turns_.size() == before) break;
    }
    ticket_bytes_ = std::make_unique<SharedBytes>(comm_, sizeof(Ticket));
    ticket_ = reinterpret_cast<Ticket*>(ticket_bytes_->data());
  }

  ~MpiTeam() override {
    // Bytes still in use outlive the team: they are given back with the process.
    for (Block& b : blocks_)
      if (!b.unused->load()) static_cast<void>(b.bytes.release());
  }

  std::shared_ptr<std::byte> shared(std::size_t bytes) override {
    reap();
    Block block{std::make_unique<SharedBytes>(comm_, bytes)};
    std::byte* data = block.bytes->data();
    std::shared_ptr<std::byte> handle(data, [flag = block.unused](std::byte*) { *flag = true; });
    blocks_.push_back(std::move(block));
    return handle;
  }

  void run(std::byte* buffer, std::span<Slot const> slots,
           std::function<void(std::size_t)> const& compute) override {
    run_units(buffer, slots.size(), compute, [&](std::size_t u) { return slots.subspan(u, 1); });
  }

  void run(std::byte* buffer, std::span<std::vector<Slot> const> slots,
           std::function<void(std::size_t)> const& compute) override {
    run_units(buffer, slots.size(), compute, [&](std::size_t u) { return std::span<Slot const>(slots[u]); });
  }

  void local(std::size_t count, std::function<void(std::size_t)> const& f) override {
    arena_.execute([&] {
      tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count, 1),
                        [&](auto const& range) {
                          for (std::size_t i = range.begin(); i != range.end(); ++i) f(i);
                        },
                        tbb::simple_partitioner());
    });
  }

  [[nodiscard]] int threads() const override { return threads_; }

 private:
  template <class SlotsOf>
  void run_units(std::byte* buffer, std::size_t units, std::function<void(std::size_t)> const& compute,
                 SlotsOf const& slots_of) {
    if (comm_.size() > 1) find(buffer);
    std::vector<std::size_t> mine;
    for (std::size_t u = 0; u < units; ++u)
      if (node_of(u) == comm_.node_index()) mine.push_back(u);
    if (node_.root()) ticket_->next = 0, ticket_->failed = 0;
    ticket_bytes_->synchronise();
    agree_on_failure(comm_, take_units(mine, compute));
    if (comm_.size() == 1) return;
    SharedBytes const& bytes = find(buffer);
    bytes.synchronise();
    if (comm_.nodes() > 1 && node_.root()) exchange(buffer, units, slots_of);
    if (comm_.nodes() > 1) bytes.synchronise();
  }

  [[nodiscard]] int node_of(std::size_t unit) const { return turns_[unit % turns_.size()]; }

  /// Computes units until the node has none left; the exception of the lowest failing unit, or null.
  std::exception_ptr take_units(std::vector<std::size_t> const& mine,
                                std::function<void(std::size_t)> const& compute) {
    std::mutex lock;
    std::exception_ptr first;
    std::size_t first_unit = std::numeric_limits<std::size_t>::max();
    auto const work = [&](int) {
      while (ticket_->failed.load() == 0) {
        std::size_t const i = ticket_->next.fetch_add(1);
        if (i >= mine.size()) return;
        try {
          compute(mine[i]);
        } catch (...) {
          std::lock_guard const held(lock);
          ticket_->failed = 1;
          if (mine[i] < first_unit) first_unit = mine[i], first = std::current_exception();
        }
      }
    };
    arena_.execute([&] { tbb::parallel_for(0, threads_, work, tbb::simple_partitioner()); });
    return first;
  }

  /// Leaders only: every node's slots to the other nodes, small ones packed, in an order that all leaders know.
  template <class SlotsOf>
  void exchange(std::byte* buffer, std::size_t units, SlotsOf const& slots_of) {
    for (int k = 0; k < leaders_.size(); ++k) {
      std::vector<Run> runs;
      for (std::size_t u = 0; u < units; ++u) {
        if (node_of(u) != k) continue;
        for (Slot const& s : slots_of(u)) {
          if (s.bytes == 0) continue;
          if (!runs.empty() && runs.back().offset + runs.back().bytes == s.offset)
            runs.back().bytes += s.bytes;
          else
            runs.push_back({s.offset, s.bytes});
        }
      }
      send_runs(buffer, runs, k);
    }
  }

  void send_runs(std::byte* buffer, std::vector<Run> const& runs, int root) {
    std::vector<std::byte> pack;
    bool const sends = leaders_.rank() == root;
    for (std::size_t i = 0; i < runs.size();) {
      if (runs[i].bytes >= direct_bytes) {
        leaders_.broadcast(static_cast<void*>(buffer + runs[i].offset), runs[i].bytes, root);
        ++i;
        continue;
      }
      std::size_t end = i, total = 0;
      while (end < runs.size() && runs[end].bytes < direct_bytes && total + runs[end].bytes <= pack_bytes)
        total += runs[end++].bytes;
      pack.resize(total);
      std::byte* p = pack.data();
      for (std::size_t j = i; sends && j < end; p += runs[j++].bytes)
        std::memcpy(p, buffer + runs[j].offset, runs[j].bytes);
      leaders_.broadcast(static_cast<void*>(pack.data()), total, root);
      p = pack.data();
      for (std::size_t j = i; !sends && j < end; p += runs[j++].bytes)
        std::memcpy(buffer + runs[j].offset, p, runs[j].bytes);
      i = end;
    }
  }

  SharedBytes const& find(std::byte const* p) const {
    for (Block const& b : blocks_)
      if (p >= b.bytes->data() && p <= b.bytes->data() + b.bytes->size()) return *b.bytes;
    throw std::logic_error("Team::run was given a buffer that is not from Team::shared");
  }

  /// Frees the blocks that no rank uses any more. Collective; the list is equal on all ranks.
  void reap() {
    if (blocks_.empty()) return;
    std::vector<std::uint8_t> used;
    for (Block const& b : blocks_) used.push_back(b.unused->load() ? 0 : 1);
    comm_.max(std::span(used));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (!used[i]) {
        blocks_[i].bytes.reset();
      } else {
        if (kept != i) blocks_[kept] = std::move(blocks_[i]);
        ++kept;
      }
    }
    blocks_.resize(kept);
  }

  Comm comm_, node_, leaders_;
  int threads_;
  tbb::task_arena arena_;
  std::vector<int> turns_;
  std::unique_ptr<SharedBytes> ticket_bytes_;
  Ticket* ticket_ = nullptr;
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<Team> mpi_team(Comm const& comm, int threads) { return std::make_unique<MpiTeam>(comm, threads); }

}  // namespace striate
