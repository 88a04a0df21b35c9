#pragma once
/// The settings of `encode`, and how its own kinds of value (alphas, fold counts) are read.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "encode_series_config.hpp"
#include "striate/base/config.hpp"
#include "striate/brain/rois.hpp"
#include "striate/models/model.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {
namespace encode {

struct Transform {
  bool standardize = true;
  double pca = 0;
};

/// One store of features; `features:` is one of these or a list.
struct FeatureSet {
  std::string name;
  std::filesystem::path store;
  StimuliConfig stimuli;
  std::vector<std::string> layers{"all"};
  Transform transform;
  std::vector<std::int64_t> delays;  ///< TR; none: features as they are
  std::string iterate = "layer";
};

/// A number, a list, {logspace: [from, to, count]}, {relative: any of those}, or auto: what the model's row says.
struct Alphas {
  std::vector<double> logspace;  ///< as written; empty where values were listed, or nothing
  std::vector<double> values;
  bool relative = false;
};

/// A number, a list, or {up_to: N}.
struct Components {
  std::vector<std::int64_t> among;  ///< as written; empty for up_to
  std::int64_t up_to = 25;
  [[nodiscard]] std::vector<std::size_t> counts() const;
};

/// A number of folds, leave_one_out, or auto.
struct FoldCount {
  std::optional<std::int64_t> number;
  bool leave_one_out = false;
};

/// A file, or one of each layer.
struct Prior {
  std::filesystem::path file;
  std::vector<std::pair<std::string, std::filesystem::path>> layers;
};

/// A number of radii, or a list of them.
struct FieldSizes {
  std::int64_t steps = 8;
  std::vector<double> listed;  ///< in units of the visual field
};

/// fwrf: the fields that are tried.
struct ReceptiveFields {
  std::int64_t grid = 8;
  FieldSizes sizes;
  double extent = 1;
  std::vector<double> visual_angle;  ///< nothing, the side of a square, or width and height
};

struct Model {
  std::string type = "ridge", selection = "folds";
  Alphas alphas;
  bool alpha_per_target = true;
  Components components;
  std::optional<Prior> prior;
  std::int64_t n_iter = 100;
  bool refine = false;
  std::optional<double> l1_ratio;
  std::string sign = "absolute";  ///< univariate
  ReceptiveFields rf;
  double response_pca = 50;
};

struct InnerCv {
  FoldCount folds;
  std::string score = "r2";
  bool shuffle = false;
};

struct Cv {
  FoldCount folds;
  bool shuffle = false, leave_one_out = false, split_half = false;
  std::int64_t repeats = 1, purge = 0;
  InnerCv inner;
  std::optional<std::string> group, split, stratify;
  std::optional<std::filesystem::path> file;
  /// cv.group makes the outer folds, too (and not only the inner ones of a given split).
  [[nodiscard]] bool folds_by_group() const { return group && !split && !file; }
};

/// Responses of other subjects to the same stimuli, in the same targets: one file each.
struct OtherSubjects {
  std::vector<std::filesystem::path> data, stimuli;
};

/// A target is done with after so many permutations that reach its score; 0: never.
struct Stop {
  std::int64_t exceed = 0;
};

/// The permutation test; n = 0: none.
struct Permutation {
  std::int64_t n = 0;
  std::string scheme = "refit", shuffle = "rows", tail = "right";
  std::optional<std::string> exchange;  ///< column of exchangeability blocks
  std::int64_t block = 0;               ///< rows of a block, for shuffle: blocks
  std::vector<std::string> correct{"max", "fdr"};
  std::int64_t connectivity = 26;
  std::optional<double> cluster_threshold;
  bool best_layer = true;
  std::string tail_fit = "none";
  bool keeps_tails = true;  ///< no setting: false where permutations count in whose tails were not kept
  Stop stop;
  [[nodiscard]] bool corrects(std::string const& how) const;
  [[nodiscard]] bool fits_tail() const { return n > 0 && tail_fit == "gpd"; }
  [[nodiscard]] bool fits_targets() const { return fits_tail() && keeps_tails; }
  /// Whether whole maps are needed, not targets one by one.
  [[nodiscard]] bool spatial() const { return n > 0 && (corrects("tfce") || corrects("cluster")); }
};

/// Intervals of scores by drawing test rows again; n = 0: none.
struct Bootstrap {
  std::int64_t n = 0;
  std::string over = "stimuli";  ///< or a column whose groups are drawn whole
  double level = 0.95;
};

/// Whether the best layer of a target goes with its place: any of three orders of targets.
struct GradientConfig {
  std::vector<std::string> rois;
  std::optional<std::string> axis;
  std::optional<std::filesystem::path> values;
  std::optional<double> threshold;  ///< of what `by` names; nothing: all targets
  std::string by = "score";
};

struct Config {
  std::vector<FeatureSet> features;
  SeriesConfig responses;
  RoisConfig rois;
  Model model;
  Cv cv;
  Permutation permutation;
  Bootstrap bootstrap;
  GradientConfig gradient;
  std::string aggregate = "mean", noise_ceiling = "auto";
  double noise_ceiling_floor = 0.1;
  OtherSubjects other_subjects;
  std::vector<std::string> scores{"pearson", "r2"}, save;
  std::string engine = "blas", device = "auto";
  std::optional<std::int64_t> target_tile;  ///< nothing: chosen from shapes
  std::optional<double> memory;
  std::filesystem::path output;
  std::int64_t seed = 0;
  bool partition = false;  ///< of the command `partition`: every subset of the feature spaces is a model

  /// Whether inner folds choose alpha, or the number of components.
  [[nodiscard]] bool inner_folds() const { return model.selection == "folds"; }
  [[nodiscard]] bool saves(std::string const& what) const;
  /// Whether the first score of every layer, target and permutation is kept.
  [[nodiscard]] bool keeps_maps() const { return permutation.n > 0 && (permutation.spatial() || saves("permutations")); }
  /// Whether there is an outer loop (cv.folds is not 0).
  [[nodiscard]] bool outer() const { return cv.folds.number.value_or(1) != 0; }
};

void describe(Schema& s, Transform& t);
void describe(Schema& s, FeatureSet& f);
void describe(Schema& s, ReceptiveFields& f);
void describe(Schema& s, Model& m);
void describe(Schema& s, InnerCv& c);
void describe(Schema& s, Cv& c);
void describe(Schema& s, Stop& p);
void describe(Schema& s, Permutation& p);
void describe(Schema& s, Bootstrap& b);
void describe(Schema& s, OtherSubjects& o);
void describe(Schema& s, GradientConfig& g);
void declare(Schema& s, Config& c);

/// Powers of ten: from, to, count.
[[nodiscard]] std::vector<double> spaced(std::vector<double> const& logspace);

/// What time series ask for; a part of check().
void check_series(Config const& config);
/// What the settings ask for together. Throws Error(Exit::config).
void check(Config const& config);

/// Targets that are multiplied at once.
[[nodiscard]] std::size_t engine_width(Config const& config);
/// Of check(): what belongs to engines.
void check_engine(Config const& config, EncodingModel const& model);
/// Of check(): what belongs to ridge alone.
void check_ridge(Config const& config);

/// The chosen scores, in order; scores[0] ranks layers.
[[nodiscard]] std::vector<Score> scores_of(Config const& config);
/// Of the scores those that follow from moments; spearman is made of the predictions (FoldTiles).
[[nodiscard]] ModelOptions model_options(Config const& config);

}  // namespace encode

template <>
struct ConfigType<encode::Alphas> {
  static encode::Alphas read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::Alphas const& alphas);
  static std::string name() {
    return "number | [number, …] | {logspace: [from, to, count]} | {relative: any of those} | auto";
  }
};

template <>
struct ConfigType<encode::Components> {
  static encode::Components read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::Components const& components);
  static std::string name() { return "integer | [integer, …] | {up_to: integer}"; }
};

template <>
struct ConfigType<encode::Prior> {
  static encode::Prior read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::Prior const& prior);
  static std::string name() { return "path | {LAYER: path, …}"; }
};

template <>
struct ConfigType<encode::FieldSizes> {
  static encode::FieldSizes read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::FieldSizes const& sizes);
  static std::string name() { return "integer | [number, …]"; }
};

template <>
struct ConfigType<encode::FoldCount> {
  static encode::FoldCount read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::FoldCount const& folds);
  static std::string name() { return "integer | leave_one_out | auto"; }
};

}  // namespace striate
