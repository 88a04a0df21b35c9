#pragma once
/// An outer fold of lasso or elastic net: what prepare leaves behind, and what tiles do with it.
#include <memory>
#include <span>
#include <vector>

#include "descent.hpp"
#include "epilogue.hpp"
#include "responses.hpp"
#include "striate/math/gram.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

struct SparseSet {
  PanelGram gram;               ///< of the training rows, standardised, over their number
  double const* inverse = nullptr;  ///< of the Gram matrix, rows of inverse_stride(p); null where it is not needed or none
  float const* test = nullptr;  ///< test rows, standardised likewise, in panels of test_rows
};

struct SparseState {
  RowPlan rows;
  ModelOptions options;
  std::size_t p = 0;
  std::vector<double> alphas;         ///< descending
  std::vector<SparseSet> sets;        ///< as rows.sets
  std::vector<float const*> x;        ///< per block of training rows, p × rows, less the outer training mean; packed
  double const* stats = nullptr;      ///< per feature: stats_size(sets)
  std::size_t batch = 1;              ///< targets that walk down the grid together
  std::vector<std::shared_ptr<std::byte>> owned;
  FoldReport report;
};

/// As many targets as panels of the Gram matrix are worth loading into the cache for, where memory for their working
/// sets allows. No result depends on it.
[[nodiscard]] std::size_t sparse_batch(RowPlan const& rows, std::size_t p);

/// Bytes and flops of one outer fold.
struct SparseCost {
  double kept = 0;    ///< per node: Gram matrices of all sets, test rows, packed features, statistics
  double peak = 0;    ///< per node, while preparing
  double thread = 0;  ///< a thread's, while tiles run
  double prepare_flops = 0, flops_per_target = 0, work_per_target = 0;
};
[[nodiscard]] SparseCost sparse_cost(RowPlan const& rows, std::size_t p, ModelOptions const& options);

/// Collective. Throws Error(Exit::limit) where a Gram matrix per training set does not fit.
[[nodiscard]] std::unique_ptr<SparseState> prepare_sparse(Design const& design, FoldPlan const& plan,
                                                          ModelOptions const& options, Team& team,
                                                          double memory_budget);

class SparseFold final : public FittedFold {
 public:
  explicit SparseFold(std::unique_ptr<SparseState> state) : state_(std::move(state)), s_(*state_) {}
  void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const override;
  [[nodiscard]] FoldReport const& report() const override { return s_.report; }
  [[nodiscard]] std::size_t weight_rows() const override { return s_.p; }
  void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                    float* out) const override;

 private:
  struct Batch;
  void batch(MatrixView<float const> Y, std::size_t first, TileResult& out, Batch& b) const;
  void products(Batch& b) const;
  void begin_set(Batch& b, std::size_t set) const;
  void begin_target(Batch& b, std::size_t set, std::size_t t) const;
  [[nodiscard]] Penalty penalty(Batch const& b, std::size_t t, std::size_t alpha, double tolerance) const;
  void solve(Batch& b, std::size_t set, std::size_t alpha, double tolerance) const;
  void predict(Batch& b, std::size_t set) const;
  void inner(Batch& b, std::size_t set) const;
  void choose(Batch& b, std::size_t first, TileResult& out) const;
  void outer(Batch& b, std::size_t first, TileResult& out) const;
  void test(Batch& b, std::size_t t, std::size_t at, TileResult& out) const;
  void weights(Batch const& b, std::size_t t, std::size_t at, TileResult& out) const;

  std::unique_ptr<SparseState> state_;
  SparseState const& s_;
};

}  // namespace striate::detail
