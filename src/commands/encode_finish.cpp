#include "encode_finish.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "encode_bootstrap.hpp"
#include "encode_joint.hpp"
#include "encode_null.hpp"
#include "encode_partition.hpp"
#include "encode_scores.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

namespace fs = std::filesystem;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  if (values.empty()) return nan;
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  double const upper = *middle;
  return values.size() % 2 == 1 ? upper : 0.5 * (upper + *std::max_element(values.begin(), middle));
}

double mean(std::vector<double> const& values) {
  double sum = 0;
  std::size_t count = 0;
  for (double v : values)
    if (!std::isnan(v)) sum += v, ++count;
  return count == 0 ? nan : sum / static_cast<double>(count);
}

/// What the model chose per fold and target: alpha, components …
char const* chooses(Finish const& f) { return find_model(f.config.model.type)->chooses; }

/// What stands most often; of equals the least.
double mode(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  std::ranges::sort(values);
  double best = nan;
  std::ptrdiff_t most = 0;
  for (auto at = values.begin(); at != values.end();) {
    auto const end = std::upper_bound(at, values.end(), *at);
    if (end - at > most) most = end - at, best = *at;
    at = end;
  }
  return best;
}

/// Of choices: their median, or their mode where they have no order.
struct Typical {
  char const* name;
  double (*of)(std::vector<double>);
};
Typical typical(Finish const& f) {
  return find_model(f.config.model.type)->nominal ? Typical{"mode", mode} : Typical{"median", median};
}

/// Over folds, per target.
std::vector<double> typical_choice(Finish const& f, std::string const& layer) {
  auto const all = f.result.read<double>("/" + layer + "/" + chooses(f));
  std::size_t const t = f.layout.t, k = all.size() / t;
  std::vector<double> out(t), one(k);
  for (std::size_t j = 0; j < t; ++j) {
    for (std::size_t i = 0; i < k; ++i) one[i] = all[i * t + j];
    out[j] = typical(f).of(one);
  }
  return out;
}

std::string cell(double value) { return std::isnan(value) ? "n/a" : fmt::format("{:.6g}", value); }

std::string without_tabs(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

/// Scores that have a normalised one.
std::vector<std::string> normalised_scores(Finish const& f) {
  std::vector<std::string> names;
  for (auto const& s : f.config.scores)
    if (f.layout.noise_tiles > 0 && normalises(s)) names.push_back(s);
  return names;
}

/// A score over what a perfect model would reach in rows of this reliability.
std::vector<double> normalised(Finish const& f, std::string const& score, std::vector<double> values,
                               std::vector<double> const& reliability) {
  for (std::size_t j = 0; j < values.size(); ++j) {
    double const ceiling = score == "pearson" ? std::sqrt(std::max(0.0, reliability[j])) : reliability[j];
    values[j] = ceiling >= f.config.noise_ceiling_floor ? values[j] / ceiling : nan;
  }
  return values;
}

/// What summary.tsv says of a layer.
struct LayerValues {
  std::vector<std::vector<double>> scores, normalised;  ///< of each score, (t)
  std::vector<double> alpha;
  std::vector<std::vector<BootstrapInterval>> regions;  ///< of each score: of the means of all regions; none without draws
  std::vector<std::vector<double>> p;  ///< of the first score, as permutation_stats, spatial_p; each (t)
};

class Summary {
 public:
  explicit Summary(Finish const& f) : f_(f), best_(f.result.read<std::int32_t>("/best/layer")) {
    for (char const* name : {"pearson", "between_lower", "between_upper"})
      if (std::ranges::count(f.layout.ceilings(), name) > 0)
        ceilings_.push_back(f.result.read<double>(std::string("/noise_ceiling/") + name));
    regions_.push_back({"all", 0, {}});
    regions_[0].targets.resize(f.layout.t);
    std::iota(regions_[0].targets.begin(), regions_[0].targets.end(), std::size_t{0});
    for (auto const& roi : f.inputs.root.rois) regions_.push_back(roi);
    text_ = "layer\troi\ttargets\tvalid";
    for (auto const& s : f.config.scores) {
      text_ += fmt::format("\t{}_mean\t{}_median", s, s);
      if (f.config.bootstrap.n > 0) text_ += fmt::format("\t{}_mean_low\t{}_mean_high", s, s);
    }
    text_ += fmt::format("\t{}_{}", chooses(f), typical(f).name);
    if (f.layout.noise_tiles > 0) text_ += "\tnoise_ceiling_median";
    if (f.layout.between_tiles > 0) text_ += "\tbetween_lower_median\tbetween_upper_median";
    for (auto const& s : normalised_scores(f)) text_ += fmt::format("\t{}_normalized_median", s);
    for (auto const& stat : permutation_stats(f.config)) text_ += fmt::format("\t{}_below_0.05", stat);
    for (auto const& stat : spatial_p(f.config)) text_ += fmt::format("\t{}_below_0.05", stat);
    text_ += "\tbest\n";
  }

  void add(std::size_t layer, LayerValues const& values) {
    std::string const& name = f_.inputs.layers[layer].name;
    for (Roi const& region : regions_) {
      auto const of = [&](std::vector<double> const& all) {
        std::vector<double> part;
        for (std::size_t j : region.targets) part.push_back(all[j]);
        return part;
      };
      auto const first = of(values.scores[0]);
      auto const valid = std::ranges::count_if(first, [](double v) { return !std::isnan(v); });
      text_ += fmt::format("{}\t{}\t{}\t{}", without_tabs(name), without_tabs(region.name), first.size(), valid);
      for (std::size_t s = 0; s < values.scores.size(); ++s) {
        auto const part = of(values.scores[s]);
        text_ += fmt::format("\t{}\t{}", cell(mean(part)), cell(median(part)));
        if (values.regions.empty()) continue;
        auto const& interval = values.regions[s][static_cast<std::size_t>(&region - regions_.data())];
        text_ += fmt::format("\t{}\t{}", cell(interval.low), cell(interval.high));
      }
      text_ += "\t" + cell(typical(f_).of(of(values.alpha)));
      for (auto const* columns : {&std::as_const(ceilings_), &values.normalised})
        for (auto const& column : *columns) text_.append("\t").append(cell(median(of(column))));
      for (auto const& p : values.p)
        text_ += fmt::format("\t{}", std::ranges::count_if(of(p), [](double v) { return v <= 0.05; }));
      auto const best = std::ranges::count_if(
          region.targets, [&](std::size_t j) { return best_[j] == static_cast<std::int32_t>(layer); });
      text_ += fmt::format("\t{}\n", best);
      if (&region == &regions_[0])
        log::info("{}: mean {} {:.4f}, median {:.4f}; best in {} of {} targets", name, f_.config.scores[0], mean(first),
                  median(first), best, first.size());
    }
  }
  [[nodiscard]] std::string const& text() const { return text_; }

 private:
  Finish const& f_;
  std::vector<std::int32_t> best_;
  std::vector<std::vector<double>> ceilings_;
  std::vector<Roi> regions_;
  std::string text_;
};

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
        auto const part = normalised(f, f.config.scores[s], values, reliability);
        f.result.write(dataset + "_normalized", std::span<double const>(part));
      }
      for (std::size_t j = 0; s == 0 && j < values.size(); ++j)
        if (!std::isnan(values[j]) && (best[j] < 0 || sign * values[j] > sign * best_score[j]))
          best[j] = static_cast<std::int32_t>(l), best_score[j] = values[j];
    }
  }
  f.result.write("/best/layer", std::span<std::int32_t const>(best));
  f.result.write("/best/score", std::span<double const>(best_score));
  derive_permutation(f.config, f.inputs, f.layout, f.result);
  if (f.config.partition) derive_partition(f.config, f.inputs, f.result);
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
        map(f, f.result.read<double>(bootstrap_name(name, s, stat)), map_stem(f.config.output, safe[l], s + "_" + stat));
      if (f.config.bootstrap.n > 0)
        values.regions.push_back(
            region_intervals(f.config, f.inputs, f.layout, f.result, l, values.scores.size() - 1, values.scores.back()));
      for (auto const& stat : permutation_stats(f.config)) {
        auto const p = f.result.read<double>(permutation_name(name, s, stat));
        map(f, p, map_stem(f.config.output, safe[l], s + "_" + stat));
        if (s == f.config.scores[0]) values.p.push_back(p);
      }
      if (s != f.config.scores[0]) continue;
      for (auto const& stat : spatial_stats(f.config))
        map(f, f.result.read<double>(permutation_name(name, s, stat)), map_stem(f.config.output, safe[l], s + "_" + stat));
      for (auto const& stat : spatial_p(f.config)) values.p.push_back(f.result.read<double>(permutation_name(name, s, stat)));
    }
    for (auto const& s : normalised_scores(f)) {
      values.normalised.push_back(f.result.read<double>("/" + name + "/score/" + s + "_normalized"));
      map(f, values.normalised.back(), map_stem(f.config.output, safe[l], s + "_normalized"));
    }
    values.alpha = typical_choice(f, name);
    map(f, values.alpha, map_stem(f.config.output, safe[l], chooses(f)));
    auto const extras = averaged_extras(f), safe_extras = file_safe_names(extras);
    for (std::size_t e = 0; e < extras.size(); ++e)
      map(f, f.result.read<double>("/" + name + "/mean/" + extras[e]),
          map_stem(f.config.output, safe[l], safe_extras[e]));
    summary.add(l, values);
  }
  write_best(f);
  for (auto const& share : partition_datasets(f.config, f.inputs)) map(f, f.result.read<double>(share.name), maps / share_file(share.name));
  for (auto const& name : f.layout.ceilings())
    map(f, f.result.read<double>("/noise_ceiling/" + name), maps / ("noise-ceiling_stat-" + name));
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
    for (auto const& s : normalised_scores(f)) stems.push_back(map_stem(f.config.output, name, s + "_normalized"));
    stems.push_back(map_stem(f.config.output, name, chooses(f)));
    for (auto const& extra : file_safe_names(averaged_extras(f)))
      stems.push_back(map_stem(f.config.output, name, extra));
  }
  for (auto const& stat : best_permutation_stats(f.config, f.layout)) stems.push_back(maps / ("best-score_" + stat));
  for (auto const& share : partition_datasets(f.config, f.inputs)) stems.push_back(maps / share_file(share.name));
  for (auto const& name : f.layout.ceilings()) stems.push_back(maps / ("noise-ceiling_stat-" + name));
  for (auto& stem : stems) stem += extension;
  stems.push_back(maps / "best-layer.tsv");
  stems.push_back(f.config.output / "summary.tsv");
  return stems;
}

void remove_outputs(fs::path const& output) {
  std::error_code ignored;
  fs::remove(output / "summary.tsv", ignored);
  for (auto const& entry : fs::directory_iterator(output / "maps", ignored)) {
    std::string const name = entry.path().filename().string();
    bool const ours = (name.starts_with("layer-") && name.find("_stat-") != std::string::npos) ||
                      name.starts_with("best-layer.") || name.starts_with("best-score.") || name.starts_with("best-score_") || name.starts_with("unique_") || name.starts_with("shared_") ||
                      name.starts_with("noise-ceiling_stat-");
    std::error_code trouble;
    if (ours) fs::remove(entry.path(), trouble);
  }
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
    log::warn("{}: {} {} chose the greatest alpha: nothing was learnt there, or model.alphas ends too early", name, high,
              of);
  if (high > 0 && !alpha)
    log::warn("{}: {} {} chose the fewest components: little was learnt there, or model.components begins too late", name,
              high, of);
  if (dropped > 0 && alpha)
    log::warn("{}: {} alphas were dropped: too small for the rounding of the features", name, dropped);
  if (dropped > 0 && !alpha)
    log::warn("{}: {} numbers of components were left out: a training set has fewer rows, or features of lower rank",
              name, dropped);
}

void warn(Finish const& f) {
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
  }
}

}  // namespace striate::encode
