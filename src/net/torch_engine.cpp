// Matrices of a tile are tensors (width × rows), so that a target's values are contiguous, as on the host. A factor is
// (rows × depth). What a product is made of depends on shapes alone, never on what happens to be on the device: a
// factor is cut into the same pieces whether they are kept or brought anew.
#include "striate/net/torch_engine.hpp"

#include <torch/script.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <semaphore>
#include <vector>

#include "device.hpp"
#include "striate/base/error.hpp"
#include "striate/net/network.hpp"

namespace striate::net {
namespace {

using at::Tensor;

constexpr std::size_t piece_bytes = std::size_t{256} << 20;  // of a factor, that is brought at a time
constexpr double kept_share = 0.6;                           // of the free memory of a GPU
constexpr int turns = 2;                                     // tiles that are with a GPU at once

std::int64_t i64(std::size_t n) { return static_cast<std::int64_t>(n); }

Tensor const& tensor_of(TileMatrix const& m) { return *static_cast<Tensor const*>(m.own.get()); }

TileMatrix wrap(Tensor t) {
  auto const rows = static_cast<std::size_t>(t.size(1)), width = static_cast<std::size_t>(t.size(0));
  return {nullptr, rows, rows, width, std::make_shared<Tensor>(std::move(t))};
}

/// Bytes of factors that may still be kept.
class Allowance {
 public:
  explicit Allowance(std::int64_t bytes) : left_(bytes) {}
  bool take(std::int64_t bytes) {
    if (left_.fetch_sub(bytes) >= bytes) return true;
    left_.fetch_add(bytes);
    return false;
  }
  void give(std::int64_t bytes) { left_.fetch_add(bytes); }

 private:
  std::atomic<std::int64_t> left_;
};

/// Pieces of factors that stay on the device until the fold goes.
class Kept final : public FactorCache {
 public:
  explicit Kept(std::shared_ptr<Allowance> allowance) : allowance_(std::move(allowance)) {}
  ~Kept() override { allowance_->give(bytes_); }
  template <class Bring>
  Tensor get(float const* at, std::int64_t bytes, Bring const& bring) {
    std::lock_guard const held(lock_);
    if (auto const found = pieces_.find(at); found != pieces_.end()) return found->second;
    if (!allowance_->take(bytes)) return bring();
    bytes_ += bytes;
    return pieces_.emplace(at, bring()).first->second;
  }

 private:
  std::mutex lock_;
  std::shared_ptr<Allowance> allowance_;
  std::int64_t bytes_ = 0;
  std::map<float const*, Tensor> pieces_;
};

/// LibTorch's errors as ours.
template <class F>
auto guarded(c10::Device device, F const& f) {
  use_one_thread();
  c10::InferenceMode const guard;
  try {
    return f();
  } catch (c10::Error const& error) {
    std::string const what = error.what_without_backtrace(), line = what.substr(0, what.find('\n'));
    if (what.find("out of memory") != std::string::npos || what.find("allocate memory") != std::string::npos)
      fail(Exit::limit,
           "engine: torch: the memory of {} does not suffice for a tile ({}); set a smaller target_tile, or use fewer "
           "ranks "
           "a GPU",
           device_text(device), line);
    fail(Exit::internal, "engine: torch: {}", line);
  }
}

class TorchEngine final : public Engine {
 public:
  TorchEngine(c10::Device device, std::optional<double> resident)
      : device_(device), copies_(device.is_cuda() || resident.has_value()), turns_(turns) {
    allowance_ = std::make_shared<Allowance>(static_cast<std::int64_t>(resident.value_or(0)));
  }

  std::string text() const override { return "torch " + torch_version() + " on " + device_text(device_); }
  std::string device() const override { return device_.is_cuda() ? "cuda" : "cpu"; }
  Packing packing() const override { return Packing::rows; }
  std::unique_ptr<FactorCache> cache() const override { return std::make_unique<Kept>(allowance_); }

  std::shared_ptr<void> turn() const override {
    if (!device_.is_cuda()) return nullptr;
    turns_.acquire();
    return {static_cast<void*>(&turns_), [](void* s) { static_cast<std::counting_semaphore<turns>*>(s)->release(); }};
  }

  TileMatrix load(float const* data, std::size_t rows, std::size_t ld, std::size_t width) const override {
    return guarded(device_, [&] {
      Tensor const t = at::from_blob(const_cast<float*>(data), {i64(width), i64(rows)}, {i64(ld), 1}, at::kFloat);
      return wrap(t.to(device_));
    });
  }

  TileMatrix rows(TileMatrix const& m, std::span<RowRange const> ranges, float*) const override {
    return guarded(device_, [&] {
      std::vector<Tensor> parts;
      for (RowRange const& r : ranges) parts.push_back(tensor_of(m).narrow(1, i64(r.first), i64(r.count)));
      return wrap(parts.size() == 1 ? parts[0] : at::cat(parts, 1));
    });
  }

  TileMatrix columns(TileMatrix const& m, std::span<std::size_t const> which, float*) const override {
    return guarded(device_,
                   [&] { return wrap(tensor_of(m).narrow(1, 0, i64(m.rows)).index_select(0, indices(which))); });
  }

  TileMatrix product(FactorCache* cache, Factor const& a, TileMatrix const& b, float*, Buffer<float>&) const override {
    return guarded(device_, [&] {
      Tensor const z = tensor_of(b).narrow(1, 0, i64(a.depth));
      if (a.depth == 0 || a.rows == 0) return wrap(at::zeros({i64(b.width), i64(a.rows)}, on_device(at::kFloat)));
      std::size_t const step = std::max<std::size_t>(1, piece_bytes / (4 * a.depth));
      if (a.rows <= step) return wrap(at::mm(z, piece(cache, a, 0, a.rows).t()));
      Tensor out = at::empty({i64(b.width), i64(a.rows)}, on_device(at::kFloat));
      for (std::size_t first = 0; first < a.rows; first += step) {
        std::size_t const count = std::min(step, a.rows - first);
        out.narrow(1, i64(first), i64(count)).copy_(at::mm(z, piece(cache, a, first, count).t()));
      }
      return wrap(out);
    });
  }

  TileMatrix sum(TileMatrix const* start, std::span<TileMatrix const> parts, float sign, float const* mean,
                 float const* centre, std::size_t rows, float*) const override {
    return guarded(device_, [&] {
      auto const of = [&](TileMatrix const& m) { return tensor_of(m).narrow(1, 0, i64(rows)); };
      Tensor out = start != nullptr ? of(*start).clone() : at::zeros_like(of(parts[0]));
      if (mean != nullptr) out.addr_(bring(centre, out.size(0)), bring(mean, out.size(1)), 1, -1);
      for (TileMatrix const& part : parts) out.add_(of(part), sign);
      return wrap(out);
    });
  }

  void sums(GridSums const& of, Buffer<double>&, Buffer<double>& moments, TakeSums const& take) const override {
    std::size_t const n = of.targets.size(), row = 2 + 3 * of.alphas;
    if (n == 0) return;
    double* all = moments.grow(n * row);
    guarded(device_, [&] {
      Tensor const combine = of.combine == nullptr ? Tensor() : combination(of);
      Tensor const rows = indices(of.rows);
      double const values = static_cast<double>((of.alphas + 2) * of.rows.size()) * 8;
      auto const step = static_cast<std::size_t>(std::max(1.0, (device_.is_cuda() ? 256e6 : 1e6) / values));
      for (std::size_t first = 0; first < n; first += step) {
        std::size_t const count = std::min(step, n - first);
        Tensor const some = sums_of(of, combine, rows, first, count).to(at::kCPU);
        std::copy_n(some.data_ptr<double>(), count * row, all + first * row);
      }
      return 0;
    });
    for (std::size_t i = 0; i < n; ++i) {
      double const* mine = all + i * row;
      take(i, mine[0], mine[1], reinterpret_cast<Sums const*>(mine + 2));
    }
  }

  void add_row_gram(PackedShape const& shape, std::size_t i, std::size_t j, TileMatrix const& x, std::size_t first,
                    std::size_t count, double const* weight, bool wide, double* block,
                    double const* shift) const override {
    guarded(device_, [&] {
      Tensor const mine = tensor_of(x).narrow(0, i64(first), i64(count));
      Tensor const xi = mine.narrow(1, i64(i * shape.block), i64(shape.size(i))),
                   xj = mine.narrow(1, i64(j * shape.block), i64(shape.size(j)));
      at::ScalarType const type = wide ? at::kDouble : at::kFloat;
      Tensor const w = weight == nullptr ? Tensor() : column(weight, count).to(type);
      Tensor const s = shift == nullptr || !wide ? Tensor() : column(shift, count);
      add(shape, i, j, block, count, [&](std::int64_t from, std::int64_t panel) {
        auto const part = [&](Tensor const& of) {
          Tensor const t = of.narrow(0, from, panel).to(type);
          return s.defined() ? t - s.narrow(0, from, panel) : t;
        };
        Tensor const right = w.defined() ? part(xj) * w.narrow(0, from, panel) : part(xj);
        return at::mm(right.t(), part(xi));
      });
      return 0;
    });
  }

  void add_column_gram(PackedShape const& shape, std::size_t i, std::size_t j, TileMatrix const& x, std::size_t first,
                       std::size_t last, double* block, double const* shift) const override {
    guarded(device_, [&] {
      auto const columns = [&](std::size_t b) {
        Tensor const t = tensor_of(x).narrow(0, i64(b * shape.block), i64(shape.size(b)));
        return std::pair(t, shift == nullptr ? Tensor() : column(shift + b * shape.block, shape.size(b)));
      };
      auto const left = columns(i), right = columns(j);
      add(shape, i, j, block, last - first, [&](std::int64_t from, std::int64_t panel) {
        auto const part = [&](auto const& of) {
          Tensor const t = of.first.narrow(1, i64(first) + from, panel).to(at::kDouble);
          return of.second.defined() ? t - of.second : t;
        };
        return at::mm(part(right), part(left).t());
      });
      return 0;
    });
  }

  float* host(TileMatrix const& m, Buffer<float>& memory) const override {
    return guarded(device_, [&] {
      float* to = memory.grow(std::max<std::size_t>(1, m.ld * m.width));
      at::from_blob(to, {i64(m.width), i64(m.ld)}, at::kFloat).copy_(tensor_of(m));
      return to;
    });
  }

 private:
  [[nodiscard]] at::TensorOptions on_device(at::ScalarType type) const {
    return at::TensorOptions().dtype(type).device(device_);
  }
  [[nodiscard]] Tensor bring(float const* data, std::int64_t count) const {
    return at::from_blob(const_cast<float*>(data), {count}, at::kFloat).to(device_);
  }
  /// count × 1.
  [[nodiscard]] Tensor column(double const* data, std::size_t count) const {
    return at::from_blob(const_cast<double*>(data), {i64(count), 1}, at::kDouble).to(device_);
  }
  /// Adds products(from, count), columns × rows of block (i, j), panel by panel to the block in host memory. In
  /// float64.
  template <class Products>
  void add(PackedShape const& shape, std::size_t i, std::size_t j, double* block, std::size_t depth,
           Products const& products) const {
    Tensor const there =
        at::from_blob(block, {i64(shape.size(j)), i64(shape.size(i))}, {i64(shape.block), 1}, at::kDouble);
    Tensor sum = there.to(device_);
    for (std::size_t from = 0; from < depth; from += gram_panel)
      sum.add_(products(i64(from), i64(std::min(gram_panel, depth - from))).to(at::kDouble));
    if (device_.is_cuda()) there.copy_(sum);
  }
  template <class T>
  [[nodiscard]] Tensor indices(std::span<T const> which) const {
    std::vector<std::int64_t> wide(which.begin(), which.end());
    return at::from_blob(wide.data(), {i64(wide.size())}, at::kLong).to(device_, at::kLong, false, true);
  }

  /// Rows [first, first + count) of a factor.
  Tensor piece(FactorCache* cache, Factor const& a, std::size_t first, std::size_t count) const {
    float const* const at = a.data + first * a.depth;
    Tensor const there = at::from_blob(const_cast<float*>(at), {i64(count), i64(a.depth)}, at::kFloat);
    if (!copies_) return there;
    auto const bring = [&] { return there.to(device_, at::kFloat, false, true); };
    return cache == nullptr ? bring() : static_cast<Kept*>(cache)->get(at, i64(4 * count * a.depth), bring);
  }

  /// alphas × stacked.
  [[nodiscard]] Tensor combination(GridSums const& of) const {
    std::size_t const across = round_up(of.alphas, combined_lanes);
    Tensor const all = at::from_blob(const_cast<float*>(of.combine), {i64(of.stacked), i64(across)}, at::kFloat);
    return all.narrow(1, 0, i64(of.alphas)).t().contiguous().to(device_);
  }

  /// Columns targets[first …] of m: a view where they are neighbours.
  template <class T>
  Tensor some(Tensor const& m, std::span<T const> which) const {
    if (which.back() - which.front() + 1 == which.size()) return m.narrow(0, i64(which.front()), i64(which.size()));
    return m.index_select(0, indices(which));
  }

  /// Σ y, Σ y², and Σ f, Σ f², Σ f y of each alpha, a row a target.
  Tensor sums_of(GridSums const& of, Tensor const& combine, Tensor const& rows, std::size_t first,
                 std::size_t count) const {
    auto const targets = of.targets.subspan(first, count);
    std::int64_t const n = i64(count), e = i64(of.rows.size());
    Tensor y = some(tensor_of(of.y), targets).index_select(1, rows).to(at::kDouble);
    if (!of.shift.empty()) {
      Tensor const shift = at::from_blob(const_cast<double*>(of.shift.data() + first), {n, 1}, at::kDouble);
      y = y - shift.to(device_);
    }
    Tensor const& made = tensor_of(of.predictions);
    Tensor f = (of.gathered ? made.narrow(0, i64(first), n) : some(made, targets));
    f = f.narrow(1, 0, i64(of.stacked * of.stride)).reshape({n, i64(of.stacked), i64(of.stride)}).narrow(2, 0, e);
    if (combine.defined()) f = at::matmul(combine, f);
    f = f.to(at::kDouble);
    Tensor const fy = at::matmul(f, y.unsqueeze(2)), sum = f.sum(2, true), square = (f * f).sum(2, true);
    Tensor const of_f = at::cat({sum, square, fy}, 2).flatten(1);
    return at::cat({y.sum(1, true), (y * y).sum(1, true), of_f}, 1).contiguous();
  }

  c10::Device device_;
  bool copies_;  ///< factors, to the device
  std::shared_ptr<Allowance> allowance_;
  mutable std::counting_semaphore<turns> turns_;
};

}  // namespace
}  // namespace striate::net

namespace striate {

std::unique_ptr<Engine> torch_engine(TorchEngineOptions const& options) {
  net::set_up_torch();
  c10::Device const device = net::choose_device(options.device, options.local_rank);
  std::optional<double> resident = options.resident;
  if (device.is_cuda() && !resident) {
    int const sharing = (options.node_ranks + torch_devices() - 1) / std::max(1, torch_devices());
    resident = net::kept_share * net::free_memory(device) / std::max(1, sharing);
  }
  return std::make_unique<net::TorchEngine>(device, resident);
}

}  // namespace striate
