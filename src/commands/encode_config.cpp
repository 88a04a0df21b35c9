#include "encode_config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>

#include "striate/base/error.hpp"
#include "striate/models/table.hpp"
#include "striate/stats/permute.hpp"
#include "striate/stats/scores.hpp"

namespace striate {
namespace encode {

bool Permutation::corrects(std::string const& how) const { return std::ranges::find(correct, how) != correct.end(); }
std::vector<std::size_t> Components::counts() const {
  std::vector<std::size_t> counts(among.begin(), among.end());
  for (std::int64_t i = 1; among.empty() && i <= up_to; ++i) counts.push_back(static_cast<std::size_t>(i));
  return counts;
}

bool Config::saves(std::string const& what) const { return std::ranges::find(save, what) != save.end(); }

void describe(Schema& s, Transform& t) {
  s("standardize", t.standardize, {.doc = "scale each feature by mean and deviation of the training rows of each fit"});
  s("pca", t.pca, {.doc = "components kept, fitted on training rows; below 1 the share of variance; 0 none", .min = 0});
}

void describe(Schema& s, FeatureSet& f) {
  s("name", f.name, {.doc = "name of the store in the results, where there are several: layer L is NAME/L"});
  s("store", f.store,
    {.doc = "activation store, DNNBrain's file, or \"f.h5:/dataset\"",
     .required = true,
     .identity = false,
     .example = "act.h5"});
  s("stimuli", f.stimuli, {.doc = "the .stim.csv (or {folder: DIR}) of its rows, where the store carries no ids",
                           .identity = false});
  s("layers", f.layers, {.doc = "layers, one model each", .example = "[conv1, conv5, fc6]"});
  s("transform", f.transform, {.doc = "fitted on training rows only, inside each fold"});
  s("delays", f.delays,
    {.doc = "finite impulse response: a block of units for each delay, within runs (responses.run); none: features as "
            "they are",
     .unit = "TR",
     .min = 0,
     .max = 100,
     .example = "[1, 2, 3, 4]"});
  s("iterate", f.iterate, {.doc = "what gets a model of its own", .choices = {"layer", "channel", "position"}});
}

void describe(Schema& s, ReceptiveFields& f) {
  s("grid", f.grid, {.doc = "centres across, and down: those of equal cells of the visual field", .min = 1, .max = 100});
  s("sizes", f.sizes,
    {.doc = "radii (standard deviations of the Gaussian): how many, in equal ratios from 0.04 to 0.4 of the longer side; "
            "or a list in units of the visual field",
     .example = "[0.05, 0.1, 0.2, 0.4]"});
  s("extent", f.extent, {.doc = "share of the visual field, about its centre, that the centres cover; above 0", .min = 0, .max = 1});
  s("visual_angle", f.visual_angle,
    {.doc = "degrees that the image covers: its side, or [width, height]; default: units of the field, -0.5 to 0.5",
     .unit = "degrees",
     .example = "[20, 20]"});
}

void describe(Schema& s, Model& m) {
  s("type", m.type, {.doc = "encoding model", .choices = model_names()});
  s("alphas", m.alphas,
    {.doc = "penalties, chosen per target; relative: multiples of trace(K)/n of the training rows (ridge), of each "
            "target's smallest alpha without coefficients (lasso, elastic_net); auto: {logspace: [-1, 8, 20]} for ridge, "
            "{relative: {logspace: [-3, 0, 20]}} for lasso and elastic_net",
     .example = "{logspace: [-1, 8, 20]}"});
  s("selection", m.selection,
    {.doc = "ridge: what chooses alpha: inner folds (cv.inner), exact leave-one-out over the training rows, or "
            "generalised cross-validation; the last two make no inner folds",
     .choices = {"folds", "loo", "gcv"}});
  s("alpha_per_target", m.alpha_per_target,
    {.doc = "ridge: each target has its own alpha; false: one for all targets of a layer and fold, of the highest mean "
            "over targets of the score that chooses"});
  s("components", m.components,
    {.doc = "pls, pcr, cca: exactly so many; chosen per target among a list; or among 1 … up_to", .example = "{up_to: 25}"});
  s("response_pca", m.response_pca,
    {.doc = "cca: principal components of the responses that are correlated, fitted on training rows; below 1 the share of "
            "variance; 0 all",
     .min = 0});
  s("prior", m.prior,
    {.doc = "ridge: covariances of the weights over features (p × p), or p variances: the penalty is alpha wᵀΣ⁻¹w; .npy or "
            "\"f.h5:/dataset\", of one layer or a mapping of layers to files; needs transform: {standardize: false}",
     .identity = false,
     .example = "sigma.npy"});
  s("n_iter", m.n_iter, {.doc = "banded_ridge: weightings of the bands that are tried", .min = 1, .max = 100000});
  s("refine", m.refine,
    {.doc = "banded_ridge: each target improves weights and alpha further, from the best that were tried; 20 n_iter and this "
            "outdo many n_iter"});
  s("l1_ratio", m.l1_ratio,
    {.doc = "elastic_net: share of the L1 penalty, above 0; default 0.5", .min = 0, .max = 1});
  s("sign", m.sign,
    {.doc = "univariate: choose the unit of the greatest absolute correlation, or of the greatest signed one",
     .choices = {"absolute", "signed"}});
  s("rf", m.rf, {.doc = "fwrf: Gaussian fields that are tried"});
}

void describe(Schema& s, InnerCv& c) {
  s("folds", c.folds,
    {.doc = "folds inside the training rows that choose alpha, or the number of components; auto: 5, by cv.group where that is given"});
  s("score", c.score, {.doc = "what chooses alpha, or the number of components", .choices = {"r2", "pearson"}});
  s("shuffle", c.shuffle, {.doc = "shuffle the training rows by the seed before cutting inner folds"});
}

void describe(Schema& s, Cv& c) {
  s("folds", c.folds,
    {.doc = "outer folds; auto: 5, or one a group with cv.group; 0: no outer loop, select on all rows and refit"});
  s("shuffle", c.shuffle, {.doc = "shuffle rows by the seed before cutting folds; default contiguous folds"});
  s("repeats", c.repeats, {.doc = "times the shuffled k-fold is repeated", .min = 1});
  s("inner", c.inner, {.doc = "nested cross-validation that chooses alpha, or the number of components, per target"});
  s("group", c.group, {.doc = "column of the stimuli file; rows of one group stay together (with split or file: in inner folds)", .example = "session"});
  s("split", c.split, {.doc = "column of the stimuli file that holds train and test, or fold numbers"});
  s("leave_one_out", c.leave_one_out, {.doc = "the same as folds: leave_one_out"});
  s("split_half", c.split_half, {.doc = "two folds: first and second half; with shuffle random halves"});
  s("stratify", c.stratify,
    {.doc = "column of the stimuli file; every fold, outer and inner, holds its classes in the same shares",
     .example = "category"});
  s("file", c.file,
    {.doc = "table of folds by stimulus id: a column of train and test for each fold, or one of fold numbers",
     .identity = false,
     .example = "folds.tsv"});
  s("purge", c.purge,
    {.doc = "rows before and after each test row that leave the training rows, outer and inner; within cv.group "
            "where that is given",
     .unit = "rows",
     .min = 0});
}

void describe(Schema& s, OtherSubjects& o) {
  s("data", o.data,
    {.doc = "one file for each other subject, on the grid of responses.data; a noise ceiling between subjects follows",
     .identity = false,
     .example = "[sub-02.nii.gz, sub-03.nii.gz]"});
  s("stimuli", o.stimuli,
    {.doc = "the .stim.csv of each, or one for all; default: that of the responses", .identity = false});
}

void describe(Schema& s, Stop& p) {
  s("exceed", p.exceed,
    {.doc = "permutations that reach a target's score after which it is left out of further ones (Besag and Clifford "
            "1991); 0: all n are made",
     .min = 0,
     .max = 1e6});
}

void describe(Schema& s, Permutation& p) {
  s("n", p.n, {.doc = "permutations; 0: no test", .min = 0, .max = 1e8});
  s("scheme", p.scheme,
    {.doc = "what is repeated: refit (everything, selection included), fixed_alpha (fits at the observed alphas), "
            "fixed_model (only held-out responses are permuted against the predictions)",
     .choices = {"refit", "fixed_alpha", "fixed_model"}});
  s("shuffle", p.shuffle,
    {.doc = "how responses are rearranged: rows, whole blocks, circular shifts inside blocks, sign flips",
     .choices = shuffle_names()});
  s("exchange", p.exchange,
    {.doc = "column of the stimuli file that names exchangeability blocks (rows: within these; blocks: these)",
     .example = "run"});
  s("block", p.block, {.doc = "with shuffle: blocks, neighbouring rows that make a block", .unit = "rows", .min = 0});
  s("tail", p.tail,
    {.doc = "right: as good as observed or better; left: as bad or worse; two: as far from 0",
     .choices = {"right", "left", "two"}});
  s("correct", p.correct,
    {.doc = "for many targets: max (family-wise by the maximum), fdr (Benjamini-Hochberg), fdr_by "
            "(Benjamini-Yekutieli); for maps of the first score, family-wise: tfce (threshold-free cluster "
            "enhancement), cluster (extent and mass)",
     .choices = {"max", "fdr", "fdr_by", "tfce", "cluster"}});
  s("connectivity", p.connectivity,
    {.doc = "with tfce and cluster, neighbours of a voxel: 6 (faces), 18 (and edges) or 26 (and corners)",
     .min = 6,
     .max = 26});
  s("cluster_threshold", p.cluster_threshold,
    {.doc = "with cluster, the score from which a voxel belongs to a cluster, e.g. 0.1; with tail left minus that, with "
            "two both"});
  s("tail_fit", p.tail_fit,
    {.doc = "gpd: also p beyond 1/n, of each target and for max and tfce, from a generalised Pareto distribution fitted "
            "to the greatest quarter of its null scores (250 at most), of the maxima",
     .choices = {"none", "gpd"}});
  s("stop", p.stop, {.doc = "sequential stopping, target by target; for correct: fdr, fdr_by or []"});
  s("best_layer", p.best_layer,
    {.doc = "with several layers, also test each target's best layer, the choice included (holds all layers' fits)"});
}

void describe(Schema& s, Bootstrap& b) {
  s("n", b.n, {.doc = "draws of the test rows; 0: no intervals", .min = 0, .max = 100000});
  s("over", b.over,
    {.doc = "what is drawn: stimuli, or a column of the stimuli file whose groups (sessions, runs) are drawn whole",
     .example = "run"});
  s("level", b.level, {.doc = "share of intervals that hold the score of the fitted models", .min = 0.5, .max = 0.999});
}

void describe(Schema& s, GradientConfig& g) {
  s("rois", g.rois, {.doc = "names of regions in order, as in rois", .example = "[V1, V2, V4, LO]"});
  s("axis", g.axis, {.doc = "coordinate of the image in mm", .choices = {"x", "y", "z"}});
  s("values", g.values,
    {.doc = "image on the grid of the responses (1-D array for array responses) with a place of each target; NaN: none",
     .identity = false});
  s("threshold", g.threshold, {.doc = "only targets whose best layer passes: by score at least (mse: at most), by p at most"});
  s("by", g.by,
    {.doc = "what threshold is of: the best layer's first score, or its p of the permutation test",
     .choices = {"score", "p", "q_fdr", "p_max"}});
}

void declare(Schema& s, Config& c) {
  s("features", c.features, {.doc = "what predicts: an activation store, or a list of them", .required = true});
  s("responses", c.responses, {.doc = "what is to be predicted"});
  s("rois", c.rois, {.doc = "label image of regions, for the rows of summary.tsv", .identity = false, .example = "labels.nii.gz"});
  s("model", c.model, {.doc = "how one is predicted from the other"});
  s("cv", c.cv, {.doc = "cross-validation"});
  s("scores", c.scores, {.doc = "scores of held-out rows; the first one ranks layers", .choices = score_names()});
  s("permutation", c.permutation, {.doc = "permutation test of every score"});
  s("bootstrap", c.bootstrap, {.doc = "confidence intervals of every score over test stimuli, the models being given"});
  s("gradient", c.gradient,
    {.doc = "rank correlation of targets' best layers with an order of regions, an axis of the image, or given values"});
  s("aggregate", c.aggregate,
    {.doc = "over folds: unweighted mean, mean weighted by test rows, or one score of the concatenated predictions",
     .choices = {"mean", "weighted", "concat"}});
  s("noise_ceiling", c.noise_ceiling,
    {.doc = "auto: from repeats, where 3 stimuli or more have them, with normalised scores; none",
     .choices = {"auto", "none"}});
  s("noise_ceiling_floor", c.noise_ceiling_floor,
    {.doc = "a score is divided by a ceiling of at least this; below it the normalised score is NaN",
     .min = 0.001,
     .max = 1});
  s("other_subjects", c.other_subjects, {.doc = "for noise ceilings between subjects"});
  s("save", c.save,
    {.doc = "coefficients (of a refit on all rows), predictions (of held-out rows), permutations (the first score of "
            "every target in every permutation: p of gradients and of the best layer of a region)",
     .choices = {"coefficients", "predictions", "permutations"}});
  s("engine", c.engine,
    {.doc = "what multiplies and scores tiles of targets: blas, or torch (LibTorch, on a GPU or the CPU), for ridge, ols "
            "and banded_ridge; results differ in the last digits",
     .choices = {"blas", "torch"}});
  s("device", c.device,
    {.doc = "with engine: torch, where it runs; auto: the GPU of this rank's place on its node, where there is one",
     .choices = {"auto", "cpu", "cuda"}});
  s("target_tile", c.target_tile,
    {.doc = "targets of a work unit; default 512 (engine: torch 2048), fewer where a unit would take too long; no result "
            "depends on it (engine: torch: but in the last digits)",
     .min = 8,
     .max = 65536});
  s("memory", c.memory,
    {.doc = "of a rank; default: its share of what the job was given", .unit = "GiB", .min = 0.05, .identity = false});
  s("output", c.output,
    {.doc = "directory of the results", .required = true, .identity = false, .example = "out/encode"});
  s("seed", c.seed, {.doc = "of shuffled folds, halves of the noise ceiling and random band weights", .min = 0});
}

std::vector<Score> scores_of(Config const& config) {
  std::vector<Score> scores;
  for (auto const& name : config.scores) {
    auto const score = score_of(name);
    if (!score) {
      std::string const near = nearest(name, score_names());
      fail(Exit::config, "scores: there is no score `{}`{}", name,
           near.empty() ? "" : "; did you mean `" + near + "`?");
    }
    scores.push_back(*score);
  }
  return scores;
}

ModelOptions model_options(Config const& config) {
  ModelOptions o;
  o.scores.clear();
  o.components = config.model.components.counts();
  Alphas const& alphas = config.model.alphas;
  ModelRow const* const row = find_model(config.model.type);
  bool const none = alphas.values.empty() && row != nullptr;
  o.alphas = none ? spaced(row->alphas.logspace) : alphas.values;
  o.relative_alphas = none ? row->alphas.relative : alphas.relative;
  o.l1_ratio = config.model.l1_ratio.value_or(o.l1_ratio);
  o.selection = config.model.selection == "loo"   ? Selection::loo
                : config.model.selection == "gcv" ? Selection::gcv
                                                  : Selection::folds;
  o.inner_score = score_of(config.cv.inner.score).value_or(Score::r2);
  for (Score s : scores_of(config))
    if (of_moments(s)) o.scores.push_back(s);
  o.standardize_responses = config.responses.standardize;
  bool const ranks = std::ranges::find(config.scores, "spearman") != config.scores.end();
  o.predictions = config.outer() && (config.saves("predictions") || config.aggregate == "concat" || ranks || config.bootstrap.n > 0 ||
                                      (config.partition && config.permutation.n > 0) ||
                                      (config.permutation.n > 0 && config.permutation.scheme == "fixed_model"));
  o.coefficients = !config.outer() && config.saves("coefficients");
  o.n_iter = static_cast<std::size_t>(config.model.n_iter);
  o.refine = config.model.refine;
  o.absolute = config.model.sign == "absolute";
  o.seed = static_cast<std::uint64_t>(config.seed);
  o.response_pca = config.model.response_pca;
  ReceptiveFields const& rf = config.model.rf;
  o.rf = {static_cast<std::size_t>(rf.grid), rf.extent, rf.sizes.listed, static_cast<std::size_t>(rf.sizes.steps), 1, 1};
  if (!rf.visual_angle.empty()) o.rf.width = rf.visual_angle.front(), o.rf.height = rf.visual_angle.back();
  o.split = config.outer();
  o.width = engine_width(config);
  return o;
}

}  // namespace encode

}  // namespace striate
