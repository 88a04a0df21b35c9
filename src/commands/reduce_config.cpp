#include "reduce_config.hpp"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <set>

#include "striate/base/error.hpp"

namespace striate {
namespace reduce {

void describe(Schema& s, Source& f) {
  describe_store(s, f, "layers to reduce",
                 "the .stim.csv of its rows, where the store carries no ids or `fit` names a column");
}

void declare(Schema& s, Config& c) {
  s("features", c.features, {.doc = "activations, one row a stimulus"});
  s("method", c.method,
    {.doc =
         "principal components: exact, incremental, by a randomised range finder; random projection: Gaussian, sparse; "
         "histogram; power spectrum; z-scores; clusters (a file of labels); none with `apply`",
     .choices = {"pca", "incremental_pca", "randomized_pca", "gaussian", "sparse", "hist", "psd", "zscore", "kmeans",
                 "hierarchical"},
     .example = "pca"});
  s("components", c.components,
    {.doc = "values that are left along the axis (components, bins, coefficients), or clusters; of pca also a share of "
            "the variance; of "
            "projections also auto (by `distortion`)",
     .example = "100"});
  s("axis", c.axis,
    {.doc = "what is reduced: all units at once, the channels at each position, the positions in each channel",
     .choices = {"whole", "channel", "position"}});
  s("fit", c.fit,
    {.doc = "stimuli that components, common ranges, means are taken from",
     .identity = false,
     .example = "{half: train}"});
  s("model", c.model,
    {.doc = "where the fitted reduction is kept; default: beside the output, .pca.h5, .proj.h5, .fit.h5",
     .identity = false});
  s("apply", c.apply,
    {.doc = "a reduction that was kept, applied instead of a fit", .identity = false, .example = "train.pca.h5"});
  s("range", c.range,
    {.doc =
         "of hist: between each stimulus's own extremes (as DNNBrain; counts do not compare over stimuli), or those of "
         "all stimuli of `fit`",
     .choices = {"own", "common"}});
  s("each", c.each,
    {.doc = "of zscore, what gets mean 0 and deviation 1: each unit over stimuli, each channel over stimuli and "
            "positions, "
            "each stimulus over its units (along `axis`)",
     .choices = {"unit", "channel", "stimulus"}});
  s("cluster", c.cluster, {.doc = "what kmeans and hierarchical sort", .choices = {"stimuli", "units"}});
  s("metric", c.metric,
    {.doc = "distance of kmeans and hierarchical; with the latter two points are scaled to length 1",
     .choices = {"euclidean", "correlation", "cosine"}});
  s("linkage", c.linkage,
    {.doc = "distance of clusters of hierarchical", .choices = {"single", "complete", "average", "ward"}});
  s("starts", c.starts, {.doc = "of kmeans, of which the best is kept", .min = 1, .max = 100000});
  s("most_iterations", c.most_iterations, {.doc = "of kmeans, of each start", .min = 1, .max = 1000000});
  s("whiten", c.whiten, {.doc = "divide each component by its standard deviation"});
  s("density", c.density,
    {.doc = "of sparse: share of entries that are not zero; default: 1/√units", .min = 1e-9, .max = 1});
  s("distortion", c.distortion,
    {.doc = "of distances, that `components: auto` allows (Johnson and Lindenstrauss)", .min = 1e-3, .max = 0.999});
  s("batch", c.batch,
    {.doc = "rows of a step of incremental_pca; default: five times the components, at least 1000",
     .unit = "stimuli",
     .min = 1});
  s("oversample", c.oversample, {.doc = "of randomized_pca: directions beyond the components", .min = 0, .max = 10000});
  s("iterations", c.iterations, {.doc = "of randomized_pca: power iterations", .min = 0, .max = 100});
  s("seed", c.seed, {.doc = "of random numbers", .min = 0});
  s("dtype", c.dtype, {.doc = "type of the stored values", .choices = {"float32", "float16"}});
  s("memory", c.memory,
    {.doc = "of a rank; default: its share of what the job was given", .unit = "GiB", .min = 0.05, .identity = false});
  s("output", c.output,
    {.doc = "store of the reduced activations; of clusters a .h5, with the labels in a .tsv beside it",
     .required = true,
     .identity = false,
     .example = "reduced.act.h5"});
}

namespace {

void check_components(Config const& c) {
  if (c.method == "zscore") {
    if (c.components) fail(Exit::config, "components: zscore keeps every unit; remove the key");
    return;
  }
  if (c.method == "hierarchical" && !c.components) return;
  if (!c.components)
    fail(Exit::config, "components: {} needs it; give a number{}", c.method,
         c.is_pca()          ? ", or a share of the variance below 1"
         : c.is_projection() ? ", or auto"
                             : "");
  if (c.components->share > 0 && c.method != "pca")
    fail(Exit::config, "components: a share of the variance is for method: pca; give a number for {}", c.method);
  if (c.components->count == 0 && c.components->share == 0 && !c.is_projection())
    fail(Exit::config, "components: auto is for projections; give a number{}",
         c.is_pca() ? ", or a share of the variance" : "");
}

/// Keys that another method has.
void check_foreign_keys(Config const& c) {
  bool const along =
      c.method == "pca" || c.method == "hist" || c.method == "psd" || (c.method == "zscore" && c.each == "stimulus");
  if (c.axis != "whole" && !along)
    fail(Exit::config, "axis: {} is for pca, hist, psd and zscore of stimuli; {} takes whole layers", c.axis, c.method);
  if (c.whiten && !c.is_pca()) fail(Exit::config, "whiten: is for principal components; {} has none", c.method);
  if (c.density && c.method != "sparse") fail(Exit::config, "density: is of method: sparse, not {}", c.method);
  if (c.range != "own" && c.method != "hist") fail(Exit::config, "range: is of method: hist, not {}", c.method);
  if ((c.cluster != "stimuli" || c.metric != "euclidean") && !c.is_cluster())
    fail(Exit::config, "{}: is of kmeans and hierarchical, not {}", c.cluster != "stimuli" ? "cluster" : "metric",
         c.method);
  if (c.is_cluster() && c.model) fail(Exit::config, "model: {} keeps none; remove the key", c.method);
  if (c.linkage != "ward" && c.method != "hierarchical")
    fail(Exit::config, "linkage: is of method: hierarchical, not {}", c.method);
  if (c.each != "unit" && c.method != "zscore") fail(Exit::config, "each: is of method: zscore, not {}", c.method);
  if (c.batch && c.method != "incremental_pca")
    fail(Exit::config, "batch: is of method: incremental_pca, not {}", c.method);
  if (c.batch && *c.batch < c.components->count)
    fail(Exit::config, "batch: {} stimuli have fewer than {} components; give at least as many", *c.batch,
         c.components->count);
  if (!c.fit.all() && !c.is_fitted()) fail(Exit::config, "fit: nothing is fitted by {} here; remove the key", c.method);
}

}  // namespace

void check(Config const& c) {
  if (c.features.layers.empty()) fail(Exit::config, "features.layers: the list is empty; name layers, or `all`");
  if (std::set<std::string>(c.features.layers.begin(), c.features.layers.end()).size() != c.features.layers.size())
    fail(Exit::config, "features.layers: a layer stands twice; keep one");
  if (c.apply) {
    if (!c.method.empty() || c.components || c.model || !c.fit.all())
      fail(Exit::config, "apply: takes a reduction as it was saved; remove method, components, fit and model");
    return;
  }
  if (c.method.empty())
    fail(Exit::config, "method: is missing; say how to reduce (pca, gaussian, …), or what to `apply`");
  check_components(c);
  check_foreign_keys(c);
  if (!c.fit.column.empty() && c.features.stimuli.empty())
    fail(Exit::config, "fit: the column {} is of features.stimuli; name that .stim.csv", c.fit.column);
}

}  // namespace reduce

reduce::Amount ConfigType<reduce::Amount>::read(YAML::Node const& node, ConfigPlace const& place) {
  reduce::Amount a;
  if (node.IsScalar() && node.Scalar() == "auto") return a;
  double const value = ConfigType<double>::read(node, place);
  constexpr double most = 1e6;
  if (value > 0 && value < 1)
    a.share = value;
  else if (value >= 1 && value <= most && value == std::floor(value))
    a.count = static_cast<std::int64_t>(value);
  else
    config_error(place,
                 fmt::format("is {}; give a whole number from 1 to {:g}, or a share of the variance between 0 and 1",
                             node.Scalar(), most));
  return a;
}

nlohmann::json ConfigType<reduce::Amount>::write(reduce::Amount const& a) {
  if (a.count > 0) return a.count;
  if (a.share > 0) return a.share;
  return "auto";
}

reduce::FitRows ConfigType<reduce::FitRows>::read(YAML::Node const& node, ConfigPlace const& place) {
  reduce::FitRows rows;
  if (node.IsScalar() && node.Scalar() == "all") return rows;
  if (!node.IsMap() || (node.size() == 1 && node.begin()->first.Scalar() == "folder")) {
    rows.list = ConfigType<StimuliConfig>::read(node, place);
    return rows;
  }
  if (node.size() != 1) config_error(place, "needs all, a .stim.csv, or one column with its words: {half: train}");
  rows.column = node.begin()->first.Scalar();
  ConfigPlace here = place;
  here.key += "." + rows.column;
  rows.words = ConfigType<std::vector<std::string>>::read(node.begin()->second, here);
  if (rows.words.empty()) config_error(here, "is an empty list; name the words of the rows to fit on");
  return rows;
}

nlohmann::json ConfigType<reduce::FitRows>::write(reduce::FitRows const& rows) {
  if (rows.all()) return "all";
  if (!rows.column.empty()) return {{rows.column, rows.words}};
  return ConfigType<StimuliConfig>::write(rows.list);
}

}  // namespace striate
