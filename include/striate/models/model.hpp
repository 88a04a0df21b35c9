#pragma once
/// Encoding models: from features of stimuli to many targets (voxels, vertices, sites), cross-validated.
///
/// Use, per layer and outer fold:
///   auto model = find_model("ridge")->make(options);            // models/table.hpp
///   auto fold  = model->prepare(design, plan, team, budget);    // collective; shared factor work
///   fold->tile(Y.columns(first, count), result, workspace);     // any thread, any tile, one BLAS thread
/// or, where prepare_uses_responses() and there are many responses for the same features:
///   auto features = model->prepare_features(design, plan, team, budget);   // collective
///   auto fold     = features->fit(Y);                                      // any thread, one BLAS thread
///
/// Everything is bit-identical whatever the number of threads, ranks or the panel sizes; a target's result does not
/// depend on its neighbours in the tile.
///
/// Semantics: features are standardised (mean, sd with ddof 0; a constant feature becomes 0) and reduced by PCA with
/// the training rows of every fit, inner fits included, exactly as scikit-learn's
/// Pipeline(StandardScaler, PCA, Ridge) refitted in each fold. The intercept is free. Alpha per target: highest
/// unweighted mean inner score; a tie goes to the larger alpha. A target with a non-finite value among the rows used,
/// or constant in a training or test fold, has NaN score and alpha.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/math/buffer.hpp"
#include "striate/math/features.hpp"
#include "striate/math/matrix.hpp"
#include "striate/math/team.hpp"
#include "striate/stats/folds.hpp"
#include "striate/stats/scores.hpp"

namespace striate {

/// Width of target tiles that the models are tuned for; a tile may be narrower at the end.
inline constexpr std::size_t target_tile = 512;
class Engine;

/// A feature space of a joint model: columns [first, first + count) of X.
struct Band {
  std::string name;
  std::size_t first = 0, count = 0;
  bool standardize = true;
};

/// Channels of rows × columns pixels each, in the order of a space's features; 1 × 1: no maps.
struct MapShape {
  std::size_t channels = 0, rows = 1, cols = 1;
};

/// Gaussian fields that fwrf tries, in the units of `width` and `height` of the visual field.
struct FieldGrid {
  std::size_t grid = 8;          ///< centres across, and down: those of equal cells of the middle `extent` of the field
  double extent = 1;             ///< above 0, at most 1
  std::vector<double> sizes;     ///< radii; empty: `steps`, in equal ratios from 0.04 to 0.4 of the longer side
  std::size_t steps = 8;
  double width = 1, height = 1;  ///< of the visual field: 1, or degrees
};

struct Design {
  FeatureSource const& X;  ///< n × p
  bool standardize = true;
  double pca = 0;           ///< 0 none; below 1 the share of variance kept; else the number of components
  std::size_t targets = 0;  ///< that will follow, for the choice of the algorithm; 0 unknown (10,000 is assumed)
  FeatureSource const* Y = nullptr;  ///< n × targets raw responses, for models whose prepare_uses_responses()
  std::vector<Band> bands;  ///< banded_ridge, fwrf: in order, without gaps, over all of X; none: X is one band
};

/// What chooses alpha: inner folds; the residuals of leaving each training row out; generalised cross-validation.
enum class Selection : std::uint8_t { folds, loo, gcv };

struct ModelOptions {
  std::vector<double> alphas;     ///< ridge; any order, positive
  bool relative_alphas = false;   ///< multiples of trace(K)/n of the outer training rows; lasso, elastic_net: of the
                                  ///< target's smallest alpha without coefficients, in the training rows of each fit
  double l1_ratio = 0.5;          ///< elastic_net
  double response_pca = 50;             ///< cca: components of responses: a number, a share of variance below 1, 0 all
  std::vector<std::size_t> components;  ///< pls, pcr, cca: numbers to choose among, positive, any order; empty: 1 … 25
  bool absolute = true;           ///< univariate: the greatest |r| is chosen, not the greatest r
  Selection selection = Selection::folds;  ///< ridge; plans need no inner folds for loo and gcv
  Score inner_score = Score::r2;  ///< r2 or pearson; of loo, too
  std::vector<Score> scores{Score::pearson, Score::r2};
  bool standardize_responses = true;  ///< by the training rows: MSE, predictions and coefficients in units of sd
  bool exact_grid = false;            ///< no interpolation between alphas
  bool predictions = false;           ///< TileResult::prediction wanted
  bool coefficients = false;          ///< TileResult::weights and intercept wanted (the refit)
  std::vector<std::string> bands;     ///< banded_ridge: names of Design::bands
  std::vector<double> band_pca;       ///< banded_ridge: of each band as Design::pca, fitted in every fit; none: no pca
  std::vector<MapShape> maps;         ///< fwrf: of Design::bands; none: X is one space without maps
  FieldGrid rf;                       ///< fwrf
  std::size_t n_iter = 100;           ///< banded_ridge: band weights that are tried
  std::uint64_t seed = 0;             ///< banded_ridge: of the random band weights
  bool refine = false;                ///< banded_ridge: each target improves on the best of those
  Engine const* engine = nullptr;     ///< where products are made (math/engine.hpp); null: blas. Must outlive the folds
  std::size_t width = target_tile;    ///< targets that are multiplied at once, where engines can be chosen
  bool split = true;                  ///< banded_ridge: shares of the bands in the scores of outer test rows wanted
};

/// Why a target has no score.
enum class TargetFlag : std::uint8_t { ok = 0, not_finite = 1, constant = 2 };

/// Filled by FittedFold::tile; vectors are resized as needed and reused. T targets in the tile.
struct TileResult {
  std::vector<double> score;        ///< [score s of options][T] at s*T+t: outer test rows, or the mean over inner
                                    ///< folds where the plan has no outer test
  std::vector<double> inner_score;  ///< [inner fold f][score s][T] at (f*S+s)*T+t; only without an outer test. With loo
                                    ///< and gcv one row: of the predictions of left-out training rows
  std::vector<double> alpha;        ///< [T], what was chosen (ModelRow::chooses): the absolute alpha, a number of
                                    ///< components …; NaN where there is no score
  std::vector<double> extra;        ///< [extra e of EncodingModel::extras()][T] at e*T+t
  std::vector<TargetFlag> flag;     ///< [T]
  std::vector<float> prediction;    ///< n_test × T, rows as outer.test
  std::vector<float> weights;       ///< FittedFold::weight_rows() × T, for FittedFold::coefficients (opaque otherwise)
  std::vector<double> intercept;    ///< [T], for coefficients on raw features
  std::size_t degenerate = 0;       ///< constant predictions on outer test rows
  std::size_t edge_low = 0, edge_high = 0;  ///< choices at the grid's edges: the least regularised (smallest alpha, most
                                            ///< components) and the most
};

/// Memory of one worker thread, kept from tile to tile.
struct Workspace {
  Buffer<float> y, rows, products, predictions, gathered, result, slivers;
  Buffer<double> scores, moments, small;
};

/// What was decided and found while preparing; equal on all ranks.
struct FoldReport {
  std::string form;                    ///< "dual block-inverse", "dual", "primal", "spectral dual", "spectral primal",
                                       ///< "kernel pls", "kernel cca"
  std::vector<double> alphas;          ///< absolute, ascending, after dropping; or numbers of components
  std::vector<double> dropped_alphas;  ///< absolute; too small for the features' rounding; or numbers of components
                                       ///< that rows or rank of a training set do not allow
  std::size_t skeleton = 0;            ///< alphas computed; the others are interpolated to 1e-6
  std::size_t constant_features = 0;   ///< in the outer training rows
  std::size_t rank = 0;                ///< ols, pls, pcr, and models with pca: components in the outer fit; else 0
  double shared_bytes = 0;             ///< held per node while tiles run
  double flops_per_target = 0;         ///< of tile()
  std::vector<double> variates;        ///< cca: correlations of each pair of canonical variates over outer test rows
};

class FittedFold {
 public:
  virtual ~FittedFold() = default;
  /// Y: n × T raw responses of all rows (NaN allowed). Thread-safe; one BLAS thread.
  virtual void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const = 0;
  /// The same with the choice already made: alpha[t] is one of report().alphas (NaN: the target is left out), and the
  /// inner folds are not looked at (of plans without outer test rows, only for inner_score). Throws Error(Exit::config)
  /// where the model cannot do that (EncodingModel::fixes_choice).
  virtual void tile_at(MatrixView<float const> Y, std::span<double const> alpha, TileResult& out, Workspace& work) const;
  /// What choices are made by: scores[target][candidate of report()] is the mean inner score; zeros where flag is not ok.
  /// Throws Error(Exit::config) where the model cannot do that (EncodingModel::shares_choice).
  virtual void choices(MatrixView<float const> Y, std::vector<double>& scores, std::vector<TargetFlag>& flag,
                       Workspace& work) const;
  [[nodiscard]] virtual FoldReport const& report() const = 0;
  /// Rows of TileResult::weights: p in primal forms, the outer training rows in dual forms, or what a model makes do with.
  [[nodiscard]] virtual std::size_t weight_rows() const = 0;
  /// Coefficients on raw features [first, first + x.cols) from `weights` (weight_rows() × T): out is x.cols × T and
  /// prediction = X out + intercept. `x`: those columns of X, n × count, raw. A layer of any width can be streamed.
  /// Not collective; any thread.
  virtual void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                            float* out) const = 0;
};

/// The features of a fold, prepared for any responses, for models whose prepare() reads these.
class PreparedFeatures {
 public:
  virtual ~PreparedFeatures() = default;
  /// What EncodingModel::prepare() makes of these responses (n × Design::targets, raw), bit for bit. Not collective;
  /// any thread, several at once. The calling thread reads Y; one BLAS thread.
  [[nodiscard]] virtual std::unique_ptr<FittedFold> fit(FeatureSource const& Y) const = 0;
  [[nodiscard]] virtual double shared_bytes() const = 0;  ///< held per node
};

/// What prepare and tile will cost, for --dry-run. Flops of all ranks together.
struct ModelCost {
  std::string form;
  double prepare_flops = 0, flops_per_target = 0;
  double fixed_flops = 0;        ///< of tile_at(), where the model has it
  /// The same as time: flops of a float32 matrix product that take as long.
  double prepare_work = 0, work_per_target = 0, fixed_work = 0;
  double shared_bytes = 0;       ///< per node, peak of prepare
  double shared_kept_bytes = 0;  ///< per node, held while tiles run
  double private_bytes = 0;      ///< per rank, peak of prepare, without threads
  double thread_bytes = 0;       ///< per thread (prepare or tile, whichever is more)
  double read_bytes = 0;         ///< per rank, from the feature source
  /// Of prepare_features: held per node; of fit(): flops, the same as time, and bytes of the thread, what it returns
  /// counted.
  double features_bytes = 0, refit_flops = 0, refit_work = 0, refit_bytes = 0;
};

class EncodingModel {
 public:
  virtual ~EncodingModel() = default;
  /// Reads the features, computes everything that targets share. Collective over the team. `memory_budget`: bytes of
  /// this rank (shared memory counted in full). Throws Error(Exit::limit) where it does not suffice, naming the
  /// bytes; Error(Exit::data) for rows, folds or pca that cannot work.
  [[nodiscard]] virtual std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                                            double memory_budget) const = 0;
  /// For one outer fold of the given shape. Pure arithmetic.
  [[nodiscard]] virtual ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan,
                                       bool standardize, double pca, double memory_budget) const = 0;
  /// Whether prepare() reads Design::Y, so that responses with permuted rows need a prepare() of their own.
  [[nodiscard]] virtual bool prepare_uses_responses() const { return false; }
  /// What prepare() does before it reads Design::Y, which may be null. Collective, and throws, as prepare() does;
  /// Error(Exit::internal) where prepare() reads no responses.
  [[nodiscard]] virtual std::unique_ptr<PreparedFeatures> prepare_features(Design const& design, FoldPlan const& plan,
                                                                           Team& team, double memory_budget) const;
  /// Settings among which inner folds choose (alphas, component counts); with 1 no inner folds are needed.
  [[nodiscard]] virtual std::size_t candidates() const = 0;
  /// Whether fitted folds know tile_at.
  [[nodiscard]] virtual bool fixes_choice() const { return false; }
  /// Whether ModelOptions::engine may be another than blas.
  [[nodiscard]] virtual bool takes_engine() const { return false; }
  /// Whether fitted folds know choices, so that targets can share one choice.
  [[nodiscard]] virtual bool shares_choice() const { return false; }
  /// Names of further values per fold and target, TileResult::extra; saved as /L/NAME (k, t).
  [[nodiscard]] virtual std::vector<std::string> extras() const { return {}; }
  /// Length of FoldReport::variates, saved as /L/canonical_correlation (k, c).
  [[nodiscard]] virtual std::size_t variates() const { return 0; }
  /// Whether the extras' means over folds are results too: /L/mean/NAME (t), and maps.
  [[nodiscard]] virtual bool averages_extras() const { return false; }
};

}  // namespace striate
