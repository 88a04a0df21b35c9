#pragma once
/// Cross-validation splits, equal to scikit-learn's where those are deterministic.
///
/// Rows that are repeats of one stimulus are never split: where `unit` is given (one label a row; equal labels are
/// repeats of one stimulus), splits are made over the distinct units in order of first appearance, and a unit's rows
/// follow it. Without repeats this is the plain definition.
///
/// All functions throw Error(Exit::data) where the request cannot be met (more folds than units …).
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace striate {

/// Row indices, ascending.
struct Split {
  std::vector<std::uint32_t> train, test;
};

/// One outer fold with the splits that choose alpha inside its training rows. All indices count the n rows.
/// `outer.test` is empty for `cv.folds: 0`: the inner splits run over all rows and the model is refitted on all.
struct FoldPlan {
  Split outer;
  std::vector<Split> inner;
};

using Units = std::span<std::uint32_t const>;  ///< one label a row, or empty: every row is a unit of its own

/// Integers for any labels, numbered by first appearance.
[[nodiscard]] std::vector<std::uint32_t> number_labels(std::span<std::string const> labels);

/// scikit-learn's KFold(k), contiguous.
[[nodiscard]] std::vector<Split> kfold(std::size_t n, std::size_t k, Units unit = {});
/// KFold over a Philox permutation keyed by (seed, repeat); the same on any machine (not scikit-learn's stream).
[[nodiscard]] std::vector<Split> shuffled_kfold(std::size_t n, std::size_t k, std::uint64_t seed,
                                                std::uint64_t repeat = 0, Units unit = {});
[[nodiscard]] std::vector<Split> leave_one_out(std::size_t n, Units unit = {});
/// scikit-learn's GroupKFold(k): largest groups first into the lightest fold.
[[nodiscard]] std::vector<Split> group_kfold(std::span<std::string const> group, std::size_t k, Units unit = {});
/// scikit-learn's LeaveOneGroupOut: one fold a group, in sorted order of the labels (numbers as numbers).
[[nodiscard]] std::vector<Split> leave_one_group_out(std::span<std::string const> group, Units unit = {});
/// scikit-learn's StratifiedKFold(k), not shuffled. A class with fewer members than folds is in some folds only.
[[nodiscard]] std::vector<Split> stratified_kfold(std::span<std::string const> label, std::size_t k, Units unit = {});
/// The same shares of every class in a fold; which members those are follows a Philox permutation keyed by
/// (seed, repeat, class).
[[nodiscard]] std::vector<Split> shuffled_stratified_kfold(std::span<std::string const> label, std::size_t k,
                                                           std::uint64_t seed, std::uint64_t repeat = 0,
                                                           Units unit = {});
/// Members (units) of the rarest class.
[[nodiscard]] std::size_t smallest_class(std::span<std::string const> label, Units unit = {});
/// A column of `train` / `test` (one fold), or of fold numbers (one fold each, -1 is always training), as
/// scikit-learn's PredefinedSplit. Rows with an empty word are left out.
[[nodiscard]] std::vector<Split> predefined(std::span<std::string const> column, Units unit = {});

/// Takes the `gap` rows before and after every test row out of the training rows (a time series' neighbours are
/// correlated), where `run` is given only rows of the same run. For any split of n rows.
void purge(Split& split, std::size_t n, std::size_t gap, std::span<std::string const> run = {});

/// What the config says of folds.
struct CvSpec {
  enum class Kind { kfold, stratified, leave_one_out, group, split, file, none } kind = Kind::kfold;
  std::size_t folds = 5;    ///< kfold, stratified; with group: 0 = leave one group out, else GroupKFold(folds)
  bool shuffle = false;     ///< kfold and stratified only
  std::size_t repeats = 1;  ///< of a shuffled kfold
  std::uint64_t seed = 0;
  std::uint64_t first_repeat = 0;  ///< number of the first shuffle, so that inner folds have streams of their own
};

/// Columns of the stimuli that folds need; empty where not given.
struct CvColumns {
  std::size_t rows = 0;
  std::vector<std::string> id;                 ///< stimulus ids (repeats share one)
  std::vector<std::string> group;              ///< values of cv.group
  std::vector<std::string> split;              ///< values of cv.split
  std::vector<std::string> stratify;           ///< values of cv.stratify
  std::vector<std::vector<std::string>> file;  ///< columns of cv.file, each as `predefined` takes it
};

/// Outer folds, each with inner splits of its training rows. Kind none: one plan with an empty outer test.
/// Inner splits: contiguous k-fold within the training rows, or over groups where `inner.kind` is group.
/// `inner.folds` 0 with Kind::kfold makes no inner splits (a model without alpha).
[[nodiscard]] std::vector<FoldPlan> fold_plans(CvSpec const& outer, CvSpec const& inner, CvColumns const& columns);

}  // namespace striate
