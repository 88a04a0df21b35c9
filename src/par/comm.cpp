#include "striate/par/comm.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "check.hpp"
#include "striate/base/error.hpp"
#include "striate/par/mpi.hpp"

namespace striate {
namespace {

constexpr std::size_t default_message = std::size_t{1} << 30;
std::atomic<std::size_t> message_bytes{default_message};

int count_of(std::size_t n) {
  if (n > 2147483647u) throw std::logic_error("an MPI count above 2^31 escaped its cutting");
  return static_cast<int>(n);
}

/// Calls f(first, count) over pieces of at most message_limit() bytes.
template <class F>
void in_pieces(std::size_t elements, std::size_t element_bytes, F const& f) {
  std::size_t const most = std::max<std::size_t>(1, message_bytes.load() / element_bytes);
  for (std::size_t first = 0; first < elements; first += most) f(first, std::min(most, elements - first));
}

template <class T>
void all_reduce(Comm const& comm, std::span<T> values, MPI_Datatype type, MPI_Op op) {
  if (comm.size() == 1) return;
  in_pieces(values.size(), sizeof(T), [&](std::size_t first, std::size_t count) {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data() + first, count_of(count), type, op, native(comm)),
              "MPI_Allreduce");
  });
}

int fake_nodes() {
  char const* text = std::getenv("STRIATE_FAKE_NODES");
  return text ? std::max(1, std::atoi(text)) : 1;
}

}  // namespace

void check_mpi(int error, char const* call) {
  if (error == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(error, text, &length);
  throw std::runtime_error(fmt::format("{}: {}", call, std::string(text, static_cast<std::size_t>(length))));
}

bool wait_politely(MPI_Request& request, double patience) {
  auto const start = std::chrono::steady_clock::now();
  int done = 0;
  for (int turn = 0;; ++turn) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return true;
    if (turn < 200) continue;  // short waits stay short
    double const waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (patience > 0 && waited > patience) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(waited < 0.01 ? 50 : 1000));
  }
}

struct Comm::State {
  MPI_Comm comm = MPI_COMM_NULL;
  bool owned = false;
  bool located = false;
  Comm node, leaders;
  int nodes = 1, node_index = 0;

  ~State() {
    // Freeing is collective in the standard; Open MPI frees locally, and after Finalize nothing may be called.
    if (owned && comm != MPI_COMM_NULL && Mpi::active() && std::uncaught_exceptions() == 0) MPI_Comm_free(&comm);
  }
};

Comm::Comm(std::shared_ptr<State> state) : state_(std::move(state)) {
  check_mpi(MPI_Comm_rank(state_->comm, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(state_->comm, &size_), "MPI_Comm_size");
}

Comm Comm::world() {
  if (!Mpi::active()) return {};
  auto state = std::make_shared<State>();
  state->comm = MPI_COMM_WORLD;
  return Comm(std::move(state));
}

Comm Comm::self() {
  if (!Mpi::active()) return {};
  auto state = std::make_shared<State>();
  state->comm = MPI_COMM_SELF;
  return Comm(std::move(state));
}

void const* Comm::native() const {
  if (!state_) throw std::logic_error("a Comm without MPI has no MPI_Comm");
  return &state_->comm;
}

void Comm::barrier() const {
  if (size_ == 1) return;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(state_->comm, &request), "MPI_Ibarrier");
  wait_politely(request, 0);
}

void Comm::broadcast(void* data, std::size_t bytes, int root) const {
  if (size_ == 1) return;
  auto* p = static_cast<char*>(data);
  in_pieces(bytes, 1, [&](std::size_t first, std::size_t count) {
    check_mpi(MPI_Bcast(p + first, count_of(count), MPI_BYTE, root, state_->comm), "MPI_Bcast");
  });
}

void Comm::broadcast(std::string& text, int root) const {
  std::uint64_t length = text.size();
  broadcast(static_cast<void*>(&length), sizeof length, root);
  text.resize(length);
  broadcast(static_cast<void*>(text.data()), length, root);
}

std::int64_t Comm::min(std::int64_t value) const {
  all_reduce(*this, std::span(&value, 1), MPI_INT64_T, MPI_MIN);
  return value;
}
std::int64_t Comm::max(std::int64_t value) const {
  max(std::span(&value, 1));
  return value;
}
std::int64_t Comm::sum(std::int64_t value) const {
  sum(std::span(&value, 1));
  return value;
}
double Comm::max(double value) const {
  max(std::span(&value, 1));
  return value;
}
void Comm::max(std::span<float> values) const { all_reduce(*this, values, MPI_FLOAT, MPI_MAX); }
void Comm::max(std::span<double> values) const { all_reduce(*this, values, MPI_DOUBLE, MPI_MAX); }
void Comm::max(std::span<std::int64_t> values) const { all_reduce(*this, values, MPI_INT64_T, MPI_MAX); }
void Comm::max(std::span<std::uint8_t> values) const { all_reduce(*this, values, MPI_UINT8_T, MPI_MAX); }
void Comm::sum(std::span<std::int64_t> values) const { all_reduce(*this, values, MPI_INT64_T, MPI_SUM); }
void Comm::sum(std::span<std::uint64_t> values) const { all_reduce(*this, values, MPI_UINT64_T, MPI_SUM); }

std::vector<std::int64_t> Comm::gather(std::int64_t value) const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(size_), value);
  if (size_ > 1)
    check_mpi(MPI_Allgather(&value, 1, MPI_INT64_T, all.data(), 1, MPI_INT64_T, state_->comm), "MPI_Allgather");
  return all;
}

std::vector<std::string> Comm::gather_strings(std::string const& text) const {
  std::vector<std::string> all(static_cast<std::size_t>(size_));
  all[static_cast<std::size_t>(rank_)] = text;
  for (int r = 0; r < size_; ++r) broadcast(all[static_cast<std::size_t>(r)], r);
  return all;
}

Comm Comm::split(int colour) const {
  if (!state_) return {};
  auto state = std::make_shared<State>();
  state->owned = true;
  check_mpi(MPI_Comm_split(state_->comm, colour, rank_, &state->comm), "MPI_Comm_split");
  MPI_Comm_set_errhandler(state->comm, MPI_ERRORS_RETURN);
  return Comm(std::move(state));
}

void Comm::locate() const {
  if (!state_ || state_->located) return;
  auto machine = std::make_shared<State>();
  machine->owned = true;
  check_mpi(MPI_Comm_split_type(state_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine->comm),
            "MPI_Comm_split_type");
  MPI_Comm_set_errhandler(machine->comm, MPI_ERRORS_RETURN);
  Comm node(std::move(machine));
  if (int const pretended = fake_nodes(); pretended > 1) node = node.split(node.rank() % pretended);
  bool const leads = node.root();
  Comm leaders = split(leads ? 0 : 1);
  std::int64_t place[2] = {leaders.size(), leaders.rank()};  // of the leader; then of everybody on its node
  node.broadcast(static_cast<void*>(place), sizeof place, 0);
  if (!leads) leaders = Comm::self();
  state_->node = node;
  state_->leaders = leaders;
  state_->nodes = static_cast<int>(place[0]);
  state_->node_index = static_cast<int>(place[1]);
  state_->located = true;
}

Comm Comm::node() const {
  locate();
  return state_ ? state_->node : Comm();
}
Comm Comm::leaders() const {
  locate();
  return state_ ? state_->leaders : Comm();
}
int Comm::nodes() const {
  locate();
  return state_ ? state_->nodes : 1;
}
int Comm::node_index() const {
  locate();
  return state_ ? state_->node_index : 0;
}

bool Comm::agree(std::span<std::int64_t> greatest, double patience_seconds) const {
  if (size_ == 1) return true;
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallreduce(MPI_IN_PLACE, greatest.data(), count_of(greatest.size()), MPI_INT64_T, MPI_MAX,
                           state_->comm, &request),
            "MPI_Iallreduce");
  return wait_politely(request, patience_seconds);
}

std::size_t Comm::message_limit() noexcept { return message_bytes.load(); }
void Comm::set_message_limit(std::size_t bytes) noexcept {
  message_bytes = std::clamp<std::size_t>(bytes, 1, default_message);
}

}  // namespace striate
