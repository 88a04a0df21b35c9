#pragma once
/// Engine: where the few products that dominate are computed. `blas` (here) is the CPU, with panel_product; room `net`
/// has one that runs on any device of LibTorch.
///
/// Two kinds of matrix meet here: factors, which outlive tiles (the hats of a fold) and are brought to the engine once
/// where they fit, and matrices of a tile, one column a target, which stay with the engine from the first product to
/// the sums over test rows. All functions are thread-safe. Where a result is made in host memory it is made in `out`,
/// which the caller provides in any case; other engines leave it alone.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "striate/math/buffer.hpp"
#include "striate/math/gram.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/math/prediction_sums.hpp"

namespace striate {

/// rows × width, column-major. `host` is null where only the engine sees the values, which are then `own`.
struct TileMatrix {
  float* host = nullptr;
  std::size_t rows = 0, ld = 0, width = 0;
  std::shared_ptr<void> own = {};
};

/// Factors of one fold as an engine holds them, by their address on the host, where they stay as they are for its life.
class FactorCache {
 public:
  virtual ~FactorCache() = default;
};

/// rows × depth floats, packed as Engine::packing() says.
struct Factor {
  float const* data = nullptr;
  std::size_t rows = 0, depth = 0;
};

/// Rows [first, first + count).
struct RowRange {
  std::size_t first = 0, count = 0;
};

/// What is summed over test rows, for each of `targets`.
struct GridSums {
  TileMatrix const& predictions;  ///< per column `stacked` predictions, `stride` rows from one to the next
  TileMatrix const& y;
  std::span<std::uint32_t const> rows;   ///< of y, that are predicted
  std::span<std::size_t const> targets;  ///< columns of y
  bool gathered = false;                 ///< column i of the predictions is that of targets[i], else targets[i]
  std::span<double const> shift = {};    ///< of targets[i], taken from y; none: 0
  std::size_t stride = 0, stacked = 1;
  std::size_t alphas = 1;          ///< sums for each of these …
  float const* combine = nullptr;  ///< … which are combined_sums of the stacked ones; null: are these
};
/// For targets[i]: Σ y, Σ y², and the sums of each alpha.
using TakeSums = std::function<void(std::size_t i, double y, double yy, Sums const* sums)>;

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual std::string text() const = 0;  ///< "blas", "torch on cuda:0 (NVIDIA H100)"
  /// "cpu" or "cuda": results of one may differ from the other's.
  [[nodiscard]] virtual std::string device() const = 0;
  [[nodiscard]] virtual Packing packing() const = 0;  ///< of factors
  [[nodiscard]] virtual std::unique_ptr<FactorCache> cache() const { return nullptr; }
  /// Held by a thread while a tile is computed, where no more than a few tiles may be with the engine at once.
  [[nodiscard]] virtual std::shared_ptr<void> turn() const { return nullptr; }

  /// Host memory, which must outlive the result and is not written to.
  [[nodiscard]] virtual TileMatrix load(float const* data, std::size_t rows, std::size_t ld,
                                        std::size_t width) const = 0;
  /// Rows of all columns, one range below the other. A single range is a view. out: as many × width.
  [[nodiscard]] virtual TileMatrix rows(TileMatrix const& m, std::span<RowRange const> ranges, float* out) const = 0;
  /// The given columns; columns of zeros may follow. out: m.rows × padded_cols of their number.
  [[nodiscard]] virtual TileMatrix columns(TileMatrix const& m, std::span<std::size_t const> which,
                                           float* out) const = 0;
  /// a · the first a.depth rows of b. out: padded_rows(a.rows) × b.width.
  [[nodiscard]] virtual TileMatrix product(FactorCache* cache, Factor const& a, TileMatrix const& b, float* out,
                                           Buffer<float>& scratch) const = 0;
  /// (start or 0) − mean centreᵀ ± parts, in this order, over the first `rows` rows. mean: rows, centre: width values,
  /// or both null. out: parts[0].ld × width.
  [[nodiscard]] virtual TileMatrix sum(TileMatrix const* start, std::span<TileMatrix const> parts, float sign,
                                       float const* mean, float const* centre, std::size_t rows, float* out) const = 0;
  /// `small` and `moments` are scratch. `take` is called once for each target, in order.
  virtual void sums(GridSums const& of, Buffer<double>& small, Buffer<double>& moments, TakeSums const& take) const = 0;
  /// As in math/gram.hpp, of columns [first, first + count) of features x, all rows by count, brought by load(): adds
  /// to block (i, j) in host memory.
  virtual void add_row_gram(PackedShape const& shape, std::size_t i, std::size_t j, TileMatrix const& x,
                            std::size_t first, std::size_t count, double const* weight, bool wide, double* block,
                            double const* shift) const = 0;
  /// The same of all columns over rows [first, last).
  virtual void add_column_gram(PackedShape const& shape, std::size_t i, std::size_t j, TileMatrix const& x,
                               std::size_t first, std::size_t last, double* block, double const* shift) const = 0;
  /// The values in host memory, with leading dimension m.ld: m.host, or a copy in `memory`.
  [[nodiscard]] virtual float* host(TileMatrix const& m, Buffer<float>& memory) const = 0;
};

/// The CPU.
[[nodiscard]] Engine const& blas_engine();

}  // namespace striate
