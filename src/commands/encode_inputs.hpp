#pragma once
/// What `encode` knows of its inputs before it computes: rows, folds, layers, targets.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "encode_config.hpp"
#include "striate/par/comm.hpp"
#include "striate/stats/folds.hpp"
#include "striate/store/act_store.hpp"

namespace striate::encode {

/// A layer of a store: one model.
struct LayerInput {
  std::size_t store = 0;  ///< in Config::features
  std::string layer;      ///< in the store
  std::string name;       ///< in the results: LAYER, or NAME/LAYER of several stores
  std::size_t units = 0;  ///< p
  std::vector<std::size_t> parts = {};  ///< of a model of several: which of Inputs::bands, side by side
  std::vector<std::size_t> map = {};    ///< channels, rows, columns; rows · columns = 1: no maps
};

/// Where the prior of a layer stands (model.prior).
struct PriorInput {
  std::string file;
  bool matrix = false;  ///< covariances, not variances
};

/// Runs of volumes, where responses are time series.
struct Series {
  std::vector<std::string> run;    ///< labels, in order; none: responses are no time series
  std::vector<std::size_t> first;  ///< volume at which each begins, and the end
  [[nodiscard]] std::size_t runs() const { return run.size(); }
  [[nodiscard]] std::size_t volumes() const { return first.empty() ? 0 : first.back(); }
  [[nodiscard]] std::size_t length(std::size_t r) const { return first[r + 1] - first[r]; }
  [[nodiscard]] std::size_t run_of(std::size_t volume) const;
};

/// Which volumes the delayed features of a store are of.
struct Lags {
  std::vector<std::size_t> volumes;  ///< that any row of Y looks back to, ascending (first rank)
  std::vector<std::size_t> rows;     ///< of the store, for each of these
  std::vector<std::uint64_t> place;  ///< (delays × n): among these, or `none` before the run
  static constexpr std::uint64_t none = static_cast<std::uint64_t>(-1);
};

/// Where targets lie.
struct Gradient {
  std::string kind;              ///< as in the config: rois, axis, values
  std::vector<double> position;  ///< (t); NaN: not on it
};

/// Held by the first rank alone.
struct RootInputs {
  std::unique_ptr<Responses> responses;
  RowPlan rows;     ///< of Y
  RowPlan volumes;  ///< a row per volume, for the noise ceiling
  RowPlan average;  ///< a row per stimulus, for the noise ceiling between subjects
  std::vector<std::unique_ptr<Responses>> others;
  std::vector<RowPlan> other_rows;  ///< rows as `average`
  std::vector<Roi> rois;
  std::vector<Gradient> gradients;
  std::vector<std::filesystem::path> files;  ///< read by the job, for their sha256
};

/// Equal on all ranks, but for `root`.
struct Inputs {
  CvColumns columns;                                 ///< ids, group, split … of the rows of Y
  std::vector<std::string> resample;                 ///< bootstrap.over of the rows of Y; empty where stimuli are drawn
  std::vector<std::vector<std::uint64_t>> regions;   ///< targets of each of root.rois, for the bootstrap
  std::vector<std::string> exchange;                 ///< permutation.exchange of the rows of Y; empty where not given
  std::vector<std::vector<std::size_t>> store_rows;  ///< per store: the row that each row of Y has there; none of
                                                     ///< a store whose features are delayed
  Series series;
  std::vector<Lags> lags;  ///< per store; empty ones where features are not delayed
  std::vector<LayerInput> layers;
  std::vector<LayerInput> bands;     ///< what layers with `parts` are made of (banded_ridge, partition); else none
  std::vector<PriorInput> priors;    ///< of each layer; empty without one
  std::vector<std::uint64_t> index;  ///< (t) flat indices of the targets
  std::vector<std::uint64_t> grid;   ///< {nx, ny, nz} of what they count in; empty where that is no volume
  std::vector<std::uint32_t> stimulus_of_volume;  ///< for the noise ceiling; empty where there is none
  std::size_t subjects = 0, stimuli = 0;          ///< of the ceiling between subjects; 0: there is none
  std::vector<FoldPlan> passes;     ///< outer folds, then the refit on all rows where coefficients need one
  std::size_t folds = 0;            ///< outer folds (1 where cv.folds is 0: the plan without test rows)
  nlohmann::ordered_json identity;  ///< shapes and ids that must agree on resume
  RootInputs root;

  [[nodiscard]] std::size_t n() const { return columns.rows; }
  [[nodiscard]] std::size_t t() const { return index.size(); }
  /// Rows of responses in memory at once: of Y, or all volumes while a run is cleaned.
  [[nodiscard]] std::size_t read_rows() const { return std::max(n(), series.volumes()); }
  /// Bytes of the features of a layer where they are kept; delayed ones are held once.
  [[nodiscard]] double bytes_of(LayerInput const& layer) const;
  [[nodiscard]] bool refits() const { return passes.size() > folds; }
  /// The first fold that tests each row; -1 where none does.
  [[nodiscard]] std::vector<std::int32_t> fold_of_row() const;
};

/// Opens everything on the first rank, checks that it fits together, tells the others. Collective.
/// Throws Error(Exit::data | Exit::no_input | Exit::config) on all ranks.
[[nodiscard]] Inputs load_inputs(Config const& config, Comm const& comm);

/// What the first rank found, but for `root` and the folds, to everybody. Collective.
void share(Comm const& comm, Inputs& inputs);

/// Outer folds with inner splits, and the refit. Throws Error(Exit::data | Exit::config), naming the key.
void plan_folds(Config const& config, Inputs& inputs);

/// Opens the other subjects' responses and finds the rows of this subject's stimuli, of which there is one id a
/// volume (list `source`). First rank. Throws Error(Exit::data | Exit::no_input | Exit::config).
void find_others(Config const& config, std::vector<std::string> const& ids, std::string const& source, Inputs& inputs);

/// Columns of a table of folds (first column: stimulus ids) for rows with these ids, each as `predefined` takes it.
/// Throws Error(Exit::data | Exit::no_input), naming cv.file.
[[nodiscard]] std::vector<std::vector<std::string>> read_fold_file(std::filesystem::path const& path,
                                                                   std::vector<std::string> const& ids);

/// "a.jpg, b.jpg, c.jpg, …"
[[nodiscard]] std::string first_three(std::vector<std::string> const& words);

}  // namespace striate::encode
