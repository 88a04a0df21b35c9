#pragma once
/// What prepare() leaves behind: read-only, shared by all ranks of a node, used by every tile.
#include <algorithm>
#include <memory>
#include <vector>

#include "form.hpp"
#include "refine.hpp"
#include "striate/math/engine.hpp"
#include "striate/math/gram.hpp"
#include "striate/math/skeleton.hpp"

namespace striate::detail {

/// The hat rows of one training set: predictions of its test rows, less the training mean, are hat · z with z the
/// training responses (dual), Xᵀy of the training rows (primal), or basis · training responses (spectral). All matrices
/// are packed as the engine takes them.
struct SetHats {
  std::size_t depth = 0;         ///< length of z
  float const* inner = nullptr;  ///< (q·n_e) × depth: skeleton alphas one after the other; inner sets only
  std::size_t next = 0;          ///< floats from the hats of a candidate to those of the next
  float const* basis = nullptr;  ///< spectral: depth × training rows
  std::size_t basis_rows = 0;    ///< the set's training rows
  std::vector<double> values;    ///< spectral: eigenvalues of the kept components
};

struct FoldState {
  RowPlan rows;
  Form form = Form::dual;
  ModelOptions options;
  bool ols = false;  ///< no penalty of the fits in components: ols, pcr, pls, cca
  Fit fit = Fit::ridge;
  std::size_t p = 0;
  std::vector<double> alphas;  ///< ascending; {0} without a penalty
  std::vector<std::size_t> counts;  ///< pcr, pls: numbers of components, descending (as alphas: the last is the stiffest)
  Skeleton skeleton;
  std::vector<float> combine;  ///< the skeleton's weights for combined_sums, where it is not exact
  std::vector<SetHats> sets;                         ///< as rows.sets
  std::vector<Band> bands;                           ///< banded ridge; none for other models
  std::vector<std::vector<double>> weightings{{1}};  ///< weights of the bands that are tried
  RefineState refine;               ///< banded ridge with options.refine
  std::vector<float const*> outer;  ///< per alpha: n_test × depth; banded: per candidate, (q·bands·n_test) × depth
  std::vector<float const*> inverse;  ///< per alpha: m × m, weights = inverse · z; banded: per candidate and skeleton
  float const* basis_back = nullptr;  ///< spectral: m × depth, weights = basis_back · z / (λ + α)
  std::vector<double> eigenvalues;    ///< spectral: of the outer set
  float const* vectors = nullptr;     ///< loo: n_train × depth, left singular vectors of the outer set
  double const* left_out = nullptr;   ///< loo: per alpha and training row what makes a residual that of a left-out row
  double const* stats = nullptr;      ///< per feature: stats_size(sets)
  std::vector<float const*> x;        ///< primal: per block of training rows, p × rows, less the outer training mean
  std::vector<float const*> components;  ///< dual, of bands with pca: number kept, 0, axes n_train × kept; else null
  std::vector<double> mean_product;   ///< dual: per band and training position Σ_j (x_ij − μ_j) μ_j scale_j²
  std::vector<std::shared_ptr<std::byte>> owned;
  std::shared_ptr<FactorCache> factors;  ///< of the engine; gone before `owned`
  FoldReport report;
  double penalty = 0;  ///< cca: of the features, for all targets
  [[nodiscard]] Engine const& engine() const { return options.engine == nullptr ? blas_engine() : *options.engine; }
  [[nodiscard]] TileMatrix product(Factor const& a, TileMatrix const& b, float* out, Buffer<float>& scratch) const {
    return engine().product(factors.get(), a, b, out, scratch);
  }
  [[nodiscard]] bool by_components() const { return fit == Fit::pcr || fit == Fit::pls || fit == Fit::cca; }
  [[nodiscard]] std::size_t candidates() const { return by_components() ? counts.size() : alphas.size(); }
  [[nodiscard]] double candidate(std::size_t i) const {
    return by_components() ? static_cast<double>(counts[i]) : alphas[i];
  }
  [[nodiscard]] std::size_t q() const { return skeleton.chosen.size(); }
  /// Whether alpha is chosen without inner folds, by loo or gcv.
  [[nodiscard]] bool closed_form() const { return fit == Fit::ridge && options.selection != Selection::folds; }
  [[nodiscard]] bool banded() const { return !bands.empty(); }
  /// Kernels of which a training set's is made.
  [[nodiscard]] std::size_t parts() const { return std::max<std::size_t>(1, bands.size()); }
  void along_components(std::size_t part, double* w) const;
  [[nodiscard]] std::size_t part_of(std::size_t feature) const;
};

/// Streams features, factors, and fills a FoldState. Collective. `select`: inner sets are wanted though one alpha is left
/// (what follows chooses among settings of its own).
[[nodiscard]] std::unique_ptr<FoldState> prepare_fold(Design const& design, FoldPlan const& plan,
                                                      ModelOptions const& options, Fit fit, Team& team,
                                                      double memory_budget, bool select = false);
/// Its part that needs no responses (pls, cca). Collective.
[[nodiscard]] std::unique_ptr<PreparedFeatures> prepare_features_of(Design const& design, FoldPlan const& plan,
                                                                    ModelOptions const& options, Fit fit, Team& team,
                                                                    double memory_budget, bool select);
/// prepare_fold for banded ridge: `bands` cover the features, each candidate weighs them.
[[nodiscard]] std::unique_ptr<FoldState> prepare_banded(Design const& design, FoldPlan const& plan,
                                                        ModelOptions const& options, std::vector<Band> bands,
                                                        std::vector<std::vector<double>> candidates, Team& team,
                                                        double memory_budget);
[[nodiscard]] std::unique_ptr<FittedFold> make_fitted(std::unique_ptr<FoldState> state);

}  // namespace striate::detail
