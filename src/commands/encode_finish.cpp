#include "encode_finish.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "encode_bootstrap.hpp"
#include "encode_gradient.hpp"
#include "encode_joint.hpp"
#include "encode_null.hpp"
#include "encode_partition.hpp"
#include "encode_scores.hpp"
#include "encode_summary.hpp"
#include "encode_unique.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

namespace fs = std::filesystem;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// What the model chose per fold and target: alpha, components …
char const* chooses(Finish const& f) { return find_model(f.config.model.type)->chooses; }

/// Over folds, per target.
std::vector<double> typical_choice(Finish const& f, std::string const& layer) {
  auto const all = f.result.read<double>("/" + layer + "/" + chooses(f));
  std::size_t const t = f.layout.t, k = all.size() / t;
  std::vector<double> out(t), one(k);
  for (std::size_t j = 0; j < t; ++j) {
    for (std::size_t i = 0; i < k; ++i) one[i] = all[i * t + j];
    out[j] = typical(f.config).of(one);
  }
  return out;
}

/// Extras whose means over folds are results.
std::vector<std::string> averaged_extras(Finish const& f) {
  auto const model = find_model(f.config.model.type)->make(model_options(f.config, f.inputs));
  return model->averages_extras() ? model->extras() : std::vector<std::string>();
}

std::vector<std::string> safe_names(Finish const& f) {
  std::vector<std::string> names;
  for (auto const& l : f.inputs.layers) names.push_back(l.name);
  return file_safe_names(names);
}

void map(Finish const& f, std::vector<double> const& values, fs::path const& stem) {
  write_map(f.inputs.root.responses->space(), f.inputs.index, std::span<double const>(values), stem);
}

/// Layers as numbers from 1 (0 is outside the targets), and what the numbers mean.
void write_best(Finish const& f) {
  fs::path const maps = f.config.output / "maps";
  auto const best = f.result.read<std::int32_t>("/best/layer");
  std::vector<double> number;
  for (auto b : best) number.push_back(b < 0 ? nan : b + 1);
  map(f, number, maps / "best-layer");
  map(f, f.result.read<double>("/best/score"), maps / "best-score");
  for (auto const& stat : best_permutation_stats(f.config, f.layout))
    map(f, f.result.read<double>(permutation_name("best", f.config.scores[0], stat)), maps / ("best-score_" + stat));
  std::string names = "index\tname\n";
  for (std::size_t l = 0; l < f.inputs.layers.size(); ++l)
    names += fmt::format("{}\t{}\n", l + 1, without_tabs(f.inputs.layers[l].name));
  write_atomically(maps / "best-layer.tsv", names);
}

}  // namespace

void derive(Finish const& f) {
  auto const scores = scores_of(f.config);
  std::vector<double> best_score(f.layout.t, nan);
  std::vector<std::int32_t> best(f.layout.t, -1);
  double const sign = better(scores[0]);
  auto const weights = f.config.outer() ? fold_weights(f.config, f.inputs) : std::vector<double>{1};
  std::vector<double> reliability;
  if (f.layout.noise_tiles > 0) reliability = f.result.read<double>("/noise_ceiling/row_reliability");
  for (std::size_t l = 0; l < f.inputs.layers.size(); ++l) {
    std::string const& name = f.inputs.layers[l].name;
    for (auto const& extra : averaged_extras(f)) {
      auto const mean = averaged(weights, f.result.read<double>("/" + name + "/" + extra));
      f.result.write("/" + name + "/mean/" + extra, std::span<double const>(mean));
    }
    for (std::size_t s = 0; s < scores.size(); ++s) {
      std::string const dataset = "/" + name + "/score/" + f.config.scores[s];
      auto const values = layer_scores(f.config, f.inputs, f.result, l, s);
      f.result.write(dataset, std::span<double const>(values));
      if (!reliability.empty() && normalises(f.config.scores[s])) {
        auto part = ceiling_of(f.config, f.config.scores[s], reliability);
        for (std::size_t j = 0; j < part.size(); ++j) part[j] = values[j] / part[j];
        f.result.write(dataset + "_normalized", std::span<double const>(part));
      }
      for (std::size_t j = 0; s == 0 && j < values.size(); ++j)
        if (!std::isnan(values[j]) && (best[j] < 0 || sign * values[j] > sign * best_score[j]))
          best[j] = static_cast<std::int32_t>(l), best_score[j] = values[j];
    }
  }
  f.result.write("/best/layer", std::span<std::int32_t const>(best));
  f.result.write("/best/score", std::span<double const>(best_score));
  derive_permutation(f.config, f.inputs, f.layout, f.team, f.result);
  derive_gradients(f.config, f.inputs, f.layout, f.result);
  if (f.config.partition) derive_partition(f.config, f.inputs, f.result);
  derive_unique(f.config, f.inputs, f.layout, f.result);
}

void write_outputs(Finish const& f) {
  fs::path const maps = f.config.output / "maps";
  make_folder(maps);
  auto const safe = safe_names(f);
  Summary summary(f);
  for (std::size_t l = 0; l < f.inputs.layers.size(); ++l) {
    std::string const& name = f.inputs.layers[l].name;
    LayerValues values;
    for (auto const& s : f.config.scores) {
      values.scores.push_back(f.result.read<double>("/" + name + "/score/" + s));
      map(f, values.scores.back(), map_stem(f.config.output, safe[l], s));
      for (auto const& stat : bootstrap_stats(f.config))
        map(f, f.result.read<double>(bootstrap_name(name, s, stat)),
            map_stem(f.config.output, safe[l], s + "_" + stat));
      if (f.config.bootstrap.n > 0)
        values.regions.push_back(region_intervals(f.config, f.inputs, f.layout, f.result, l, values.scores.size() - 1,
                                                  values.scores.back()));
      for (auto const& stat : permutation_stats(f.config)) {
        auto const p = f.result.read<double>(permutation_name(name, s, stat));
        map(f, p, map_stem(f.config.output, safe[l], s + "_" + stat));
        if (s == f.config.scores[0]) values.p.push_back(p);
      }
      if (s != f.config.scores[0]) continue;
      for (auto const& stat : spatial_stats(f.config))
        map(f, f.result.read<double>(permutation_name(name, s, stat)),
            map_stem(f.config.output, safe[l], s + "_" + stat));
      for (auto const& stat : spatial_p(f.config))
        values.p.push_back(f.result.read<double>(permutation_name(name, s, stat)));
    }
    for (auto const& s : normalised_scores(f.config, f.layout)) {
      values.normalised.push_back(f.result.read<double>("/" + name + "/score/" + s + "_normalized"));
      map(f, values.normalised.back(), map_stem(f.config.output, safe[l], s + "_normalized"));
    }
    values.choice = typical_choice(f, name);
    map(f, values.choice, map_stem(f.config.output, safe[l], chooses(f)));
    auto const extras = averaged_extras(f), safe_extras = file_safe_names(extras);
    for (std::size_t e = 0; e < extras.size(); ++e)
      map(f, f.result.read<double>("/" + name + "/mean/" + extras[e]),
          map_stem(f.config.output, safe[l], safe_extras[e]));
    summary.add(values);
  }
  write_best(f);
  for (auto const& share : partition_datasets(f.config, f.inputs))
    map(f, f.result.read<double>(share.name), maps / share_file(share.name));
  for (auto const& [name, stem] : unique_maps(f.config, f.inputs)) map(f, f.result.read<double>(name), maps / stem);
  for (auto const& name : f.layout.ceilings())
    map(f, f.result.read<double>("/noise_ceiling/" + name), maps / ("noise-ceiling_stat-" + name));
  if (!f.inputs.root.gradients.empty())
    write_atomically(f.config.output / "gradient.tsv", gradient_table(f.config, f.inputs, f.result));
  write_atomically(f.config.output / "best-layers.tsv", summary.best_layers());
  if (f.config.partition) write_atomically(f.config.output / "shares.tsv", summary.shares());
  write_atomically(f.config.output / "summary.tsv", summary.text());
}

std::vector<fs::path> output_files(Finish const& f) {
  std::string const extension = f.inputs.root.responses->space().extension;
  fs::path const maps = f.config.output / "maps";
  std::vector<fs::path> stems{maps / "best-layer", maps / "best-score"};
  for (auto const& name : safe_names(f)) {
    for (auto const& s : f.config.scores) {
      stems.push_back(map_stem(f.config.output, name, s));
      for (auto const& stat : bootstrap_stats(f.config))
        stems.push_back(map_stem(f.config.output, name, s + "_" + stat));
      for (auto const& stat : permutation_stats(f.config))
        stems.push_back(map_stem(f.config.output, name, s + "_" + stat));
    }
    for (auto const& stat : spatial_stats(f.config))
      stems.push_back(map_stem(f.config.output, name, f.config.scores[0] + "_" + stat));
    for (auto const& s : normalised_scores(f.config, f.layout))
      stems.push_back(map_stem(f.config.output, name, s + "_normalized"));
    stems.push_back(map_stem(f.config.output, name, chooses(f)));
    for (auto const& extra : file_safe_names(averaged_extras(f)))
      stems.push_back(map_stem(f.config.output, name, extra));
  }
  for (auto const& stat : best_permutation_stats(f.config, f.layout)) stems.push_back(maps / ("best-score_" + stat));
  for (auto const& share : partition_datasets(f.config, f.inputs)) stems.push_back(maps / share_file(share.name));
  for (auto const& [name, stem] : unique_maps(f.config, f.inputs)) stems.push_back(maps / stem);
  for (auto const& name : f.layout.ceilings()) stems.push_back(maps / ("noise-ceiling_stat-" + name));
  for (auto& stem : stems) stem += extension;
  stems.push_back(maps / "best-layer.tsv");
  if (!f.inputs.root.gradients.empty()) stems.push_back(f.config.output / "gradient.tsv");
  stems.push_back(f.config.output / "best-layers.tsv");
  if (f.config.partition) stems.push_back(f.config.output / "shares.tsv");
  stems.push_back(f.config.output / "summary.tsv");
  return stems;
}

void remove_outputs(fs::path const& output) {
  std::error_code ignored;
  for (char const* table : {"summary.tsv", "best-layers.tsv", "gradient.tsv", "shares.tsv"}) fs::remove(output / table, ignored);
  for (auto const& entry : fs::directory_iterator(output / "maps", ignored)) {
    std::string const name = entry.path().filename().string();
    bool const ours = (name.starts_with("layer-") && name.find("_stat-") != std::string::npos) ||
                      name.starts_with("best-layer.") || name.starts_with("best-score.") ||
                      name.starts_with("best-score_") || name.starts_with("unique_") || name.starts_with("shared_") ||
                      name.starts_with("noise-ceiling_stat-");
    std::error_code trouble;
    if (ours) fs::remove(entry.path(), trouble);
  }
}

/// Why the greatest `dropped` numbers of components are too many.
std::string fewer_components(Finish const& f, std::uint64_t dropped) {
  Model const& m = f.config.model;
  if (m.type != "cca") return "a training set has fewer rows, or features of lower rank";
  auto const asked = m.components.counts();
  auto const beyond =
      std::ranges::count_if(asked, [&](std::size_t c) { return static_cast<double>(c) > m.response_pca; });
  if (m.response_pca >= 1 && static_cast<std::uint64_t>(beyond) == dropped)
    return fmt::format("model.response_pca: {} keeps fewer components of the responses; raise it, or ask for fewer",
                       m.response_pca);
  return fmt::format(
      "a training set has fewer rows, features or responses of lower rank{}",
      m.response_pca == 0
          ? ""
          : fmt::format(", or model.response_pca: {} keeps fewer components of the responses", m.response_pca));
}

/// What choices at the edges, and settings that were left out, mean for the model.
void warn_of_choices(Finish const& f, std::string const& name, std::string const& of, std::uint64_t low,
                     std::uint64_t high, std::uint64_t dropped) {
  bool const alpha = std::string_view(chooses(f)) == "alpha";
  if (low > 0 && alpha)
    log::warn("{}: {} {} chose the smallest alpha; the best may lie below it: extend model.alphas", name, low, of);
  if (low > 0 && !alpha)
    log::warn("{}: {} {} chose the most components; more may be better: extend model.components", name, low, of);
  if (high > 0 && alpha)
    log::warn("{}: {} {} chose the greatest alpha: nothing was learnt there, or model.alphas ends too early", name,
              high, of);
  if (high > 0 && !alpha)
    log::warn("{}: {} {} chose the fewest components: little was learnt there, or model.components begins too late",
              name, high, of);
  if (dropped > 0 && alpha)
    log::warn("{}: {} alphas were dropped: too small for the rounding of the features", name, dropped);
  if (dropped > 0 && !alpha)
    log::warn("{}: {} numbers of components were left out: {}", name, dropped, fewer_components(f, dropped));
}

void warn(Finish const& f) {
  say_bootstrap(f.config, f.inputs, f.result);
  auto const all = f.result.read<std::uint64_t>(counts_name), found = f.result.read<std::uint64_t>(report_name);
  Layout const& o = f.layout;
  for (std::size_t l = 0; l < o.layers; ++l) {
    std::uint64_t sum[counts] = {}, most[founds] = {};
    for (std::size_t p = 0; p < f.inputs.folds; ++p) {
      for (std::size_t i = 0; i < o.tiles; ++i)
        for (std::size_t c = 0; c < counts; ++c) sum[c] += all[o.unit(l, p, i) * counts + c];
      for (std::size_t c = 0; c < founds; ++c) most[c] = std::max(most[c], found[(l * o.passes + p) * founds + c]);
    }
    std::string const& name = f.inputs.layers[l].name;
    std::string const of = fmt::format("of {} fits (targets × folds)", o.t * f.inputs.folds);
    warn_of_choices(f, name, of, sum[edge_low], sum[edge_high], most[dropped_alphas]);
    if (sum[degenerate] > 0) log::warn("{}: {} {} predict a constant; pearson counts as 0", name, sum[degenerate], of);
    if (sum[not_finite] > 0) log::warn("{}: {} {} have no score: the responses hold NaN", name, sum[not_finite], of);
    if (sum[constant] > 0)
      log::warn("{}: {} {} have no score: the responses are constant in a training or test set", name, sum[constant],
                of);
    if (most[constant_features] > 0)
      log::warn("{}: {} features are constant in the training rows of a fold; they count as 0", name,
                most[constant_features]);
    if (f.config.model.type == "ols")
      log::info("{}: least squares of rank {} (the greatest of the folds) on {} features", name, most[rank],
                f.inputs.layers[l].units);
  }
}

}  // namespace striate::encode
