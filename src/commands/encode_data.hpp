#pragma once
/// Features and responses as the fits see them: held once per node, read once per node or job.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "encode_inputs.hpp"
#include "striate/math/features.hpp"
#include "striate/par/shared.hpp"
#include "striate/store/act_store.hpp"

namespace striate::encode {

/// Features that a rank can also read by itself.
class NodeSource : public FeatureSource {
 public:
  /// The same by this rank alone, from the file. Not collective.
  virtual void read_alone(std::size_t first, std::size_t count, float* out) const = 0;
  /// Where columns are not the store's features: a factor a column; or what features were multiplied by, features ×
  /// columns. Weights on features are weights on columns times that. Empty where columns are the features.
  [[nodiscard]] virtual std::span<double const> scales() const { return {}; }
  [[nodiscard]] virtual MatrixView<double const> mixing() const { return {}; }
};

/// The rows of Y of one layer. The ranks of a node share the reading: each reads a part of the columns into memory of
/// the node. A layer that fits `room` is read once and kept for all folds; else panel by panel, fold by fold.
/// Values never depend on any of this. `read` is collective over the communicator (prepare() calls it in step).
class LayerSource final : public NodeSource {
 public:
  /// `room`: bytes of the node's memory, equal on all ranks. The reader and `rows` must outlive the source. Collective.
  LayerSource(Comm const& comm, ActReader const& reader, LayerInput const& layer, std::vector<std::size_t> const& rows,
              double room);
  [[nodiscard]] std::size_t rows() const override { return rows_.size(); }
  [[nodiscard]] std::size_t cols() const override { return layer_.units; }
  void read(std::size_t first, std::size_t count, float* out) const override;
  void read_alone(std::size_t first, std::size_t count, float* out) const override;

 private:
  void load(std::size_t first, std::size_t count) const;

  Comm comm_;
  ActReader const& reader_;
  LayerInput layer_;
  std::vector<std::size_t> const& rows_;
  bool keeps_ = false;
  mutable bool loaded_ = false;
  mutable std::unique_ptr<SharedBytes> bytes_;  ///< columns [0, units) where kept, else the latest panel
};

/// Y, or a block of its targets, once per node: the first rank reads, the leaders of the nodes pass on.
class TargetBlock {
 public:
  /// Collective. `plan` (first rank alone) makes the rows; `width`: targets in memory at once.
  TargetBlock(Comm const& comm, Responses const* responses, RowPlan const* plan, std::size_t rows, std::size_t targets,
              std::size_t width);
  /// `fill(first, y)` (first rank alone) makes targets [first, first + y.cols).
  using Fill = std::function<void(std::size_t, MatrixView<float>)>;
  /// `depth`: rows a target for which `fill` finds memory behind y.data; 0: y.rows.
  TargetBlock(Comm const& comm, Fill fill, std::size_t rows, std::size_t targets, std::size_t width,
              std::size_t depth = 0);
  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] std::size_t blocks() const { return (targets_ + width_ - 1) / width_; }
  /// Makes block `b` present. Collective; nothing is done where it is.
  void load(std::size_t b);
  /// Of the block that is present.
  [[nodiscard]] MatrixView<float const> columns(std::size_t first, std::size_t count) const;

 private:
  Comm comm_;
  Fill fill_;
  std::size_t rows_, targets_, width_;
  std::size_t present_ = static_cast<std::size_t>(-1);
  std::unique_ptr<SharedBytes> bytes_;
};

/// The raw responses of all targets, for a model that needs them while it prepares. Brings blocks of targets into
/// memory as they are asked for: `read` is collective, and what was loaded before may be gone afterwards.
class ResponseSource final : public FeatureSource {
 public:
  ResponseSource(TargetBlock& block, std::size_t rows, std::size_t targets)
      : block_(block), rows_(rows), targets_(targets) {}
  [[nodiscard]] std::size_t rows() const override { return rows_; }
  [[nodiscard]] std::size_t cols() const override { return targets_; }
  void read(std::size_t first, std::size_t count, float* out) const override;

 private:
  TargetBlock& block_;
  std::size_t rows_, targets_;
};

}  // namespace striate::encode
