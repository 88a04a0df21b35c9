// Whether the settings of `encode` go together.
#include <algorithm>
#include <cmath>
#include <set>

#include "encode_config.hpp"
#include "encode_gradient.hpp"
#include "encode_partition.hpp"
#include "striate/base/error.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

void check_features(Config const& c) {
  if (c.features.empty()) fail(Exit::config, "features: the list is empty; name at least one store");
  std::set<std::string> names;
  for (std::size_t i = 0; i < c.features.size(); ++i) {
    FeatureSet const& f = c.features[i];
    std::string const key = c.features.size() == 1 ? "features" : fmt::format("features[{}]", i);
    if (f.iterate != "layer")
      fail(Exit::config, "{}.iterate: {} is not there yet (one model each layer is); use iterate: layer", key,
           f.iterate);
    if (f.layers.empty()) fail(Exit::config, "{}.layers: the list is empty; name layers, or `all`", key);
    if (f.transform.pca > 1 && f.transform.pca != std::floor(f.transform.pca))
      fail(Exit::config, "{}.transform.pca: {} is no whole number of components; a share of variance is below 1", key,
           f.transform.pca);
    if (c.features.size() == 1) continue;
    if (f.name.empty())
      fail(Exit::config, "{}.name: is missing (with several stores, layer L is NAME/L in the results); give it", key);
    if (f.name.find('/') != std::string::npos || f.name.starts_with('.'))
      fail(Exit::config, "{}.name: `{}` would be no single name in the results; leave `/` and leading dots out", key,
           f.name);
    if (!names.insert(f.name).second) fail(Exit::config, "{}.name: `{}` stands twice; choose another", key, f.name);
  }
}

/// Which of the ways to make folds exclude each other.
void check_kinds(Config const& c) {
  Cv const& cv = c.cv;
  bool const loo = cv.leave_one_out || cv.folds.leave_one_out;
  std::vector<std::string> kinds;
  for (auto const& [given, name] : {std::pair{cv.folds_by_group(), "group"}, std::pair{cv.split.has_value(), "split"},
                                    std::pair{cv.file.has_value(), "file"}, std::pair{loo, "leave_one_out"},
                                    std::pair{cv.split_half, "split_half"}})
    if (given) kinds.emplace_back(name);
  if (kinds.size() > 1) fail(Exit::config, "cv: {} and {} exclude each other; keep one", kinds[0], kinds[1]);
  if (cv.leave_one_out && cv.folds.number)
    fail(Exit::config, "cv.leave_one_out: contradicts cv.folds: {}; keep one", *cv.folds.number);
  if (cv.folds.number && (*cv.folds.number < 0 || *cv.folds.number == 1))
    fail(Exit::config, "cv.folds: is {} (2 or more are needed to test on held-out rows; 0: no outer loop)",
         *cv.folds.number);
  if ((cv.split || cv.file) && cv.folds.number)
    fail(Exit::config, "cv.folds: is {} but cv.{} says which rows are tested; keep one", *cv.folds.number, kinds[0]);
  if (cv.split_half && cv.folds.number && *cv.folds.number != 2)
    fail(Exit::config, "cv.split_half: makes 2 folds but cv.folds is {}; keep one", *cv.folds.number);
  bool const plain = (kinds.empty() || cv.split_half) && c.outer();
  if (cv.shuffle && !plain) fail(Exit::config, "cv.shuffle: only k-fold can be shuffled; remove it");
  if (cv.repeats > 1 && !cv.shuffle)
    fail(Exit::config,
         "cv.repeats: is {} but cv.shuffle is false (every repeat would be the same); set cv.shuffle: true",
         cv.repeats);
  if (cv.stratify && cv.group)
    fail(Exit::config, "cv.stratify: groups that stay whole cannot be dealt out by class; keep cv.group or it");
  if (cv.stratify && !kinds.empty() && !cv.split_half)
    fail(Exit::config, "cv.stratify: is of k-fold, but cv.{} makes the folds; keep one", kinds[0]);
}

/// Ranks of predictions are made within a test fold.
void check_spearman(Config const& c) {
  if (std::ranges::none_of(scores_of(c), [](Score s) { return !of_moments(s); })) return;
  if (!c.outer())
    fail(Exit::config, "scores: spearman ranks held-out rows, which cv.folds: 0 does not have; remove one");
  if (c.aggregate == "concat")
    fail(Exit::config,
         "scores: spearman ranks the predictions within a fold, so aggregate: concat has none; use aggregate: mean");
}

void check_cv(Config const& c) {
  check_kinds(c);
  InnerCv const& inner = c.cv.inner;
  if (inner.folds.leave_one_out)
    fail(Exit::config, "cv.inner.folds: leave_one_out scores single rows, which chooses no alpha; give a number");
  if (inner.folds.number && (*inner.folds.number < 0 || *inner.folds.number == 1))
    fail(Exit::config, "cv.inner.folds: is {}; 2 or more are needed to choose among alphas", *inner.folds.number);
  if (inner.shuffle && c.cv.group)
    fail(Exit::config, "cv.inner.shuffle: inner folds are by cv.group, which are not shuffled; remove it");
}

void check_spatial(Config const& c) {
  Permutation const& p = c.permutation;
  if (p.spatial() && !c.scores.empty() && c.scores[0] == "mse")
    fail(Exit::config,
         "permutation.correct: tfce and cluster are of the first of `scores`, and mse has no chance level of 0; put "
         "another score first");
  if (p.connectivity != 6 && p.connectivity != 18 && p.connectivity != 26)
    fail(Exit::config, "permutation.connectivity: is {}; a voxel has 6, 18 or 26 neighbours", p.connectivity);
  if (p.corrects("cluster") != p.cluster_threshold.has_value())
    fail(Exit::config, "permutation.{}",
         p.cluster_threshold ? "cluster_threshold: is given, but correct does not name cluster; add it, or remove this"
                             : "correct: cluster needs the score that forms clusters; set cluster_threshold: 0.1, say");
  if (p.cluster_threshold && !(*p.cluster_threshold > 0 && std::isfinite(*p.cluster_threshold)))
    fail(Exit::config, "permutation.cluster_threshold: is {:g}; give a score above 0", *p.cluster_threshold);
}

void check_permutation(Config const& c) {
  Permutation const& p = c.permutation;
  if (p.n == 0 && (p.stop.exceed > 0 || p.fits_tail() || p.corrects("tfce") || p.corrects("cluster")))
    fail(Exit::config, "permutation.n: is 0, no test, but {} is there; give the number of permutations, or remove it",
         p.stop.exceed > 0 ? "stop" : p.fits_tail() ? "tail_fit" : "correct");
  if (p.n == 0) return;
  bool const blocks = p.shuffle == "blocks";
  if (p.block > 0 && !blocks)
    fail(Exit::config, "permutation.block: is {} but shuffle is {}; use shuffle: blocks, or remove it", p.block,
         p.shuffle);
  if (blocks && p.block == 0 && !p.exchange)
    fail(Exit::config, "permutation.shuffle: blocks needs to know them; give exchange: COLUMN or block: ROWS");
  if (p.scheme == "fixed_model" && p.shuffle == "sign" && std::ranges::find(c.scores, "spearman") != c.scores.end())
    fail(Exit::config, "permutation.shuffle: sign changes ranks, which fixed_model keeps; use refit or leave spearman out");
  if (p.scheme != "refit" && !c.outer())
    fail(Exit::config, "permutation.scheme: {} needs held-out rows, which cv.folds: 0 does not have; use refit",
         p.scheme);
  if (p.fits_tail() && p.n < 220)  // 11 / (n + 1), the least p of counting, decides at 0.05
    fail(Exit::config, "permutation.tail_fit: gpd needs 220 permutations for its fit, but n is {}; ask for more", p.n);
  if (p.fits_tail() && p.stop.exceed > 0)
    fail(Exit::config,
         "permutation.tail_fit: gpd needs every permutation of every target, which stop leaves out; remove one");
  for (char const* how : {"max", "tfce", "cluster"})
    if (p.stop.exceed > 0 && p.corrects(how))
      fail(Exit::config,
           "permutation.stop: correct: {} needs every permutation of every target, which stopping leaves out; set "
           "correct: [fdr], or remove stop",
           how);
  if (p.stop.exceed > 0 && c.saves("permutations"))
    fail(Exit::config, "permutation.stop: save: permutations keeps every permutation of every target; remove one");
  check_spatial(c);
}

void check_bootstrap(Config const& c) {
  if (c.bootstrap.n == 0 && c.bootstrap.over != "stimuli")
    fail(Exit::config, "bootstrap.n: is 0, no intervals, but over is there; give the number of draws, or remove it");
  if (c.bootstrap.n == 0) return;
  if (c.bootstrap.n < 100)
    fail(Exit::config, "bootstrap.n: is {}; the ends of an interval need 100 draws or more, better 1000", c.bootstrap.n);
  if (!c.outer())
    fail(Exit::config, "bootstrap: draws held-out rows, which cv.folds: 0 does not have; remove one");
  if (std::ranges::find(c.scores, "spearman") != c.scores.end())
    fail(Exit::config, "bootstrap: has no intervals of spearman (every draw would be ranked anew); leave it out of scores");
}

/// A setting that the model does not look at would do nothing. Defaults are no setting: a config with all of them, as
/// in provenance.json, stays a config.
void check_model(Config const& c) {
  std::string const& type = c.model.type;
  if (find_model(type) == nullptr) {
    std::string const near = nearest(type, model_names());
    fail(Exit::config, "model.type: there is no model `{}`{}", type,
         near.empty() ? "" : "; did you mean `" + near + "`?");
  }
  auto const takes = [](std::string const& name, std::string const& key) {
    auto const* const keys = model_keys(name);
    return keys == nullptr || std::ranges::find(*keys, key) != keys->end();
  };
  Model given = c.model, plain;
  Schema now, before;
  describe(now, given), describe(before, plain);
  auto const values = resolved(now), defaults = resolved(before);
  for (auto const& [key, value] : values.items()) {
    if (key == "type" || value == defaults[key] || takes(type, key)) continue;
    std::string takers;
    for (auto const& name : model_names())
      if (takes(name, key)) takers += (takers.empty() ? "" : ", ") + name;
    fail(Exit::config, "model.{}: is a setting of {}, but model.type is {}, which has no use for it; remove one", key,
         takers, type);
  }
}

}  // namespace

void check(Config const& c) {
  check_series(c);
  check_features(c);
  check_cv(c);
  check_permutation(c);
  check_bootstrap(c);
  check_partition(c);
  check_model(c);
  check_ridge(c);
  check_gradient(c);
  ModelRow const* const row = find_model(c.model.type);
  for (std::size_t i = 0; row->nominal && i < c.features.size(); ++i)
    if (c.features[i].transform.pca != 0)
      fail(Exit::config, "{}.transform.pca: model.type {} looks at single units, which components are not; remove it",
           c.features.size() == 1 ? "features" : fmt::format("features[{}]", i), c.model.type);
  std::size_t const others = c.other_subjects.data.size(), lists = c.other_subjects.stimuli.size();
  if (lists > 0 && others == 0)
    fail(Exit::config, "other_subjects.data: is missing, but other_subjects.stimuli is there; name both or neither");
  if (lists > 1 && lists != others)
    fail(Exit::config, "other_subjects.stimuli: names {} files for {} subjects; name one for all, or one each", lists,
         others);
  if (c.model.rf.visual_angle.size() > 2)
    fail(Exit::config, "model.rf.visual_angle: holds {} numbers; give the side of the image, or [width, height]",
         c.model.rf.visual_angle.size());
  if (c.scores.empty()) fail(Exit::config, "scores: the list is empty; name at least one");
  std::set<std::string> seen;
  for (auto const& name : c.scores)
    if (!seen.insert(name).second) fail(Exit::config, "scores: {} stands twice; keep one", name);
  if (!c.outer() && c.saves("predictions"))
    fail(Exit::config, "save: predictions are those of held-out rows, which cv.folds: 0 does not have; remove one");
  if (c.saves("permutations") && c.permutation.n == 0)
    fail(Exit::config, "save: permutations are there with permutation.n above 0; set it, or leave them out");
  if (!c.outer() && c.aggregate != "mean")
    fail(Exit::config, "aggregate: cv.folds: 0 gives the mean over inner folds; use aggregate: mean");
  check_spearman(c);
  auto const model = row->make(model_options(c));  // says what is wrong with its settings
  check_engine(c, *model);
  if (c.permutation.n > 0 && c.permutation.stop.exceed > 0 && c.permutation.scheme != "fixed_model" &&
      model->prepare_uses_responses())
    fail(
        Exit::config,
        "permutation.stop: leaves targets out, but the components of model.type: {} are those of all targets together; "
        "remove it",
        c.model.type);
  if (c.permutation.n > 0 && c.permutation.scheme == "fixed_alpha" && !model->fixes_choice())
    fail(Exit::config, "permutation.scheme: fixed_alpha is not there for model.type: {}; use refit or fixed_model",
         c.model.type);
}

}  // namespace striate::encode
