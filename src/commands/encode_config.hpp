#pragma once
/// The settings of `encode`, and how its own kinds of value (alphas, fold counts) are read.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/brain/responses.hpp"
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
  std::string iterate = "layer";
};

/// A number, a list, {logspace: [from, to, count]}, {relative: any of those}, or auto: what the model's row says.
struct Alphas {
  std::vector<double> logspace;  ///< as written; empty where values were listed, or nothing
  std::vector<double> values;
  bool relative = false;
};

/// A number of folds, leave_one_out, or auto.
struct FoldCount {
  std::optional<std::int64_t> number;
  bool leave_one_out = false;
};

struct Model {
  std::string type = "ridge";
  Alphas alphas;
  std::optional<double> l1_ratio;
};

struct InnerCv {
  FoldCount folds;
  std::string score = "r2";
};

struct Cv {
  FoldCount folds;
  bool shuffle = false, leave_one_out = false;
  std::int64_t repeats = 1;
  InnerCv inner;
  std::optional<std::string> group, split;
};

struct Config {
  std::vector<FeatureSet> features;
  ResponsesConfig responses;
  RoisConfig rois;
  Model model;
  Cv cv;
  std::string aggregate = "mean", noise_ceiling = "auto";
  std::vector<std::string> scores{"pearson", "r2"}, save;
  std::optional<std::int64_t> target_tile;  ///< nothing: chosen from shapes
  std::optional<double> memory;
  std::filesystem::path output;
  std::int64_t seed = 0;

  [[nodiscard]] bool saves(std::string const& what) const;
  /// Whether there is an outer loop (cv.folds is not 0).
  [[nodiscard]] bool outer() const { return cv.folds.number.value_or(1) != 0; }
};

void describe(Schema& s, Transform& t);
void describe(Schema& s, FeatureSet& f);
void describe(Schema& s, Model& m);
void describe(Schema& s, InnerCv& c);
void describe(Schema& s, Cv& c);
void declare(Schema& s, Config& c);

/// What the settings ask for together. Throws Error(Exit::config).
void check(Config const& config);

/// The chosen scores, in order; scores[0] ranks layers.
[[nodiscard]] std::vector<Score> scores_of(Config const& config);
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
struct ConfigType<encode::FoldCount> {
  static encode::FoldCount read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::FoldCount const& folds);
  static std::string name() { return "integer | leave_one_out | auto"; }
};

}  // namespace striate
