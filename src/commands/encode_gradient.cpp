#include "encode_gradient.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "encode_fold_draws.hpp"
#include "encode_joint.hpp"
#include "encode_maps.hpp"
#include "encode_permute.hpp"
#include "encode_scores.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/responses.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/ranks.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t fewest = 3;  ///< targets of a correlation

std::vector<std::string> kinds_of(GradientConfig const& g) {
  std::vector<std::string> kinds;
  if (!g.rois.empty()) kinds.emplace_back("rois");
  if (g.axis) kinds.emplace_back("axis");
  if (g.values) kinds.emplace_back("values");
  return kinds;
}

/// Nets with something to order.
std::vector<Net> nets_with_layers(Config const& config, Inputs const& in) {
  auto nets = nets_of(config, in);
  std::erase_if(nets, [](Net const& net) { return net.count < 2; });
  return nets;
}

/// "/gradient/KIND/what", of several stores "/gradient/NET/KIND/what".
std::string name_of(Config const& config, Net const& net, std::string const& kind, char const* what) {
  return fmt::format("/gradient/{}{}/{}", config.features.size() > 1 ? net.name + "/" : "", kind, what);
}

std::vector<double> by_rois(Config const& config, Inputs const& in) {
  std::vector<double> position(in.t(), nan);
  std::vector<std::string> known;
  for (Roi const& roi : in.root.rois) known.push_back(roi.name);
  for (std::size_t i = 0; i < config.gradient.rois.size(); ++i) {
    auto const at = std::ranges::find(known, config.gradient.rois[i]);
    if (at == known.end())
      fail(Exit::data, "gradient.rois: no targets lie in `{}`; rois has {}", config.gradient.rois[i],
           first_three(known));
    for (std::size_t j : in.root.rois[static_cast<std::size_t>(at - known.begin())].targets)
      position[j] = static_cast<double>(i);
  }
  return position;
}

/// World coordinate in mm.
std::vector<double> by_axis(Config const& config, Inputs const& in) {
  Space const& space = in.root.responses->space();
  if (!space.is_volume() || !space.oriented)
    fail(Exit::data, "gradient.axis: {} {}; give places as gradient.values", space.source,
         space.is_volume() ? "does not say how it lies (no sform, no qform)" : "is no volume");
  auto const& row = space.affine[static_cast<std::size_t>((*config.gradient.axis)[0] - 'x')];
  std::vector<double> position;
  for (std::uint64_t const flat : in.index) {
    std::uint64_t const z = flat % space.shape[2], xy = flat / space.shape[2];
    position.push_back(row[0] * static_cast<double>(xy / space.shape[1]) +
                       row[1] * static_cast<double>(xy % space.shape[1]) + row[2] * static_cast<double>(z) + row[3]);
  }
  return position;
}

/// A place of each target, and NaN where there is none.
std::vector<double> by_values(Config const& config, Inputs const& in) {
  auto const all = read_map(*config.gradient.values, in.root.responses->space(), "gradient.values", "file of values");
  std::vector<double> position;
  for (std::uint64_t const flat : in.index) position.push_back(std::isfinite(all.at(flat)) ? all[flat] : nan);
  return position;
}

/// A gradient of a net. Targets: on it, with a score, and past the threshold.
struct Case {
  Gradient const* gradient;
  Net net;
  std::vector<std::size_t> targets;
  double rho = nan;
  std::vector<double> null = {};
};

/// Of some targets: first score per layer → index of the best layer of a net, and the best score of any layer.
class Best {
 public:
  Best(double better, std::size_t t) : better_(better), layer_(t), net_score_(t), score_(t) {}
  template <class T>
  void find(Net const& net, std::vector<std::span<T const>> const& layers) {
    std::ranges::fill(layer_, -1), std::ranges::fill(net_score_, nan), std::ranges::fill(score_, nan);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      bool const mine = l >= net.first && l < net.first + net.count;
      for (std::size_t j = 0; j < score_.size(); ++j) {
        double const value = better_ * static_cast<double>(layers[l][j]);
        if (value > score_[j] || (std::isnan(score_[j]) && !std::isnan(value))) score_[j] = value;
        if (mine && (value > net_score_[j] || (std::isnan(net_score_[j]) && !std::isnan(value))))
          net_score_[j] = value, layer_[j] = static_cast<std::int32_t>(l - net.first);
      }
    }
  }
  [[nodiscard]] std::vector<std::int32_t> const& layer() const { return layer_; }  ///< from 0; -1: none
  [[nodiscard]] std::vector<double> const& score() const { return score_; }        ///< greater is better

 private:
  double better_;
  std::vector<std::int32_t> layer_;
  std::vector<double> net_score_, score_;
};

double correlation(Gradient const& g, std::vector<std::int32_t> const& layer, std::vector<std::size_t> const& targets) {
  std::vector<double> place, index;
  for (std::size_t j : targets) place.push_back(g.position[j]), index.push_back(layer[j]);
  return targets.size() < fewest ? nan : rank_correlation(place, index);
}

class Deriver {
 public:
  Deriver(Config const& config, Inputs const& in, Layout const& layout, ResultFile& result)
      : c_(config),
        in_(in),
        layout_(layout),
        out_(result),
        better_(better(scores_of(config)[0])),
        best_(better_, layout.t) {}

  void run() {
    for (LayerInput const& l : in_.layers)
      observed_.push_back(out_.read<double>("/" + l.name + "/score/" + c_.scores[0]));
    auto const passed = past_threshold();
    std::vector<std::span<double const>> const layers(observed_.begin(), observed_.end());
    for (Gradient const& g : in_.root.gradients)
      for (Net const& net : nets_with_layers(c_, in_)) {
        best_.find(net, layers);
        Case one{&g, net, {}};
        for (std::size_t j = 0; j < layout_.t; ++j)
          if (passed[j] && best_.layer()[j] >= 0 && !std::isnan(g.position[j])) one.targets.push_back(j);
        one.rho = correlation(g, best_.layer(), one.targets);
        describe(one);
        if (!c_.keeps_maps())
          log::info("gradient by {}{}: rho {:.3f} over {} targets; p needs save: permutations", g.kind,
                    c_.features.size() > 1 ? " of " + net.name : "", one.rho, one.targets.size());
        cases_.push_back(std::move(one));
      }
    if (c_.keeps_maps()) test();
  }

 private:
  template <class T>
  void write(Case const& one, char const* what, std::vector<T> const& values) {
    out_.write(name_of(c_, one.net, one.gradient->kind, what), std::span<T const>(values));
  }

  [[nodiscard]] std::vector<std::uint8_t> past_threshold() const {
    GradientConfig const& g = c_.gradient;
    std::vector<std::uint8_t> passed(layout_.t, 1);
    if (!g.threshold) return passed;
    bool const score = g.by == "score";
    auto const values = out_.read<double>(score ? "/best/score" : permutation_name("best", c_.scores[0], g.by));
    for (std::size_t j = 0; j < passed.size(); ++j)
      passed[j] = score ? better_ * values[j] >= better_ * *g.threshold : values[j] <= *g.threshold;
    return passed;
  }

  /// The best layers as they are, and over draws of folds.
  void describe(Case const& one) {
    std::size_t const R = one.gradient->kind == "rois" ? c_.gradient.rois.size() : 0;
    std::vector<std::uint64_t> count(R, 0);
    for (std::size_t j : one.targets)
      if (R > 0) ++count[static_cast<std::size_t>(one.gradient->position[j])];
    auto const of = [&](std::vector<std::int32_t> const& layer) {
      std::vector<double> values{correlation(*one.gradient, layer, one.targets), 0};
      values.resize(2 + R, 0);
      for (std::size_t j : one.targets) {
        values[1] += layer[j] + 1;
        if (R > 0) values[2 + static_cast<std::size_t>(one.gradient->position[j])] += layer[j] + 1;
      }
      values[1] /= static_cast<double>(one.targets.size());
      for (std::size_t r = 0; r < R; ++r) values[2 + r] /= static_cast<double>(count[r]);
      return values;
    };
    auto const values = of(best_.layer());
    std::vector<std::vector<double>> drawn;
    for (auto const& layer : best_over_fold_draws(c_, in_, out_, one.net.first, one.net.count, one.targets))
      drawn.push_back(of(layer));
    auto const se = fold_draw_errors(c_, in_, drawn, values.size());
    write(one, "targets", std::vector<std::uint64_t>{one.targets.size()});
    write(one, "rho", std::vector{values[0]}), write(one, "rho_se", std::vector{se[0]});
    write(one, "layer_mean", std::vector{values[1]}), write(one, "layer_mean_se", std::vector{se[1]});
    if (R == 0) return;
    write(one, "roi_targets", count);
    write(one, "roi_layer_mean", std::vector(values.begin() + 2, values.end()));
    write(one, "roi_layer_mean_se", std::vector(se.begin() + 2, se.end()));
  }

  /// In each rearrangement the same number of targets, those of its own best scores: the choice of targets is repeated.
  [[nodiscard]] std::vector<std::size_t> chosen(Case const& one) const {
    std::vector<std::size_t> on;
    for (std::size_t j = 0; j < layout_.t; ++j)
      if (best_.layer()[j] >= 0 && !std::isnan(one.gradient->position[j])) on.push_back(j);
    if (!c_.gradient.threshold || on.size() <= one.targets.size()) return on;
    auto const& score = best_.score();
    auto const end = on.begin() + static_cast<std::ptrdiff_t>(one.targets.size());
    std::ranges::nth_element(on, end,
                             [&](auto a, auto b) { return score[a] != score[b] ? score[a] > score[b] : a < b; });
    on.erase(end, on.end());
    std::ranges::sort(on);
    return on;
  }

  void test() {
    each_permuted_map(c_, in_, layout_, out_, [&](std::vector<std::span<float const>> const& layers) {
      for (Case& one : cases_) {
        best_.find(one.net, layers);
        one.null.push_back(correlation(*one.gradient, best_.layer(), chosen(one)));
      }
    });
    for (Case const& one : cases_) {
      std::size_t reached = 1;
      for (double v : one.null) reached += std::isnan(v) || reaches(std::abs(v), std::abs(one.rho)) ? 1 : 0;
      double const p = static_cast<double>(reached) / static_cast<double>(one.null.size() + 1);
      write(one, "p", std::vector{std::isnan(one.rho) ? nan : p});
      write(one, "null", one.null);
      log::info("gradient by {}{}: rho {:.3f} over {} targets, p {:.3g}", one.gradient->kind,
                c_.features.size() > 1 ? " of " + one.net.name : "", one.rho, one.targets.size(),
                std::isnan(one.rho) ? nan : p);
    }
  }

  Config const& c_;
  Inputs const& in_;
  Layout const& layout_;
  ResultFile& out_;
  double better_;
  Best best_;
  std::vector<std::vector<double>> observed_;
  std::vector<Case> cases_;
};

}  // namespace

void check_gradient(Config const& c) {
  GradientConfig const& g = c.gradient;
  if (kinds_of(g).empty()) {
    if (g.threshold || g.by != "score")
      fail(Exit::config, "gradient: names no order of targets; give rois, axis or values");
    return;
  }
  if (c.partition || joins(c))
    fail(Exit::config, "gradient: orders layers that are fitted one by one, which {} does not; remove it",
         c.partition ? "striate partition" : "model.type: " + c.model.type);
  if (!g.rois.empty() && c.rois.empty())
    fail(Exit::config, "gradient.rois: names regions, but there is no `rois`; give the label image");
  if (g.rois.size() == 1) fail(Exit::config, "gradient.rois: names one region; an order needs two or more");
  for (std::size_t i = 0; i < g.rois.size(); ++i)
    if (std::ranges::count(g.rois, g.rois[i]) > 1)
      fail(Exit::config, "gradient.rois: {} stands twice; keep one", g.rois[i]);
  if (g.by == "score") return;
  Permutation const& p = c.permutation;
  if (!g.threshold)
    fail(Exit::config, "gradient.by: is {} but there is no gradient.threshold; give one, e.g. 0.05", g.by);
  if (p.n == 0)
    fail(Exit::config, "gradient.by: {} needs a permutation test; set permutation.n, or use by: score", g.by);
  if (g.by == "p_max" ? !p.corrects("max") : g.by == "q_fdr" && !p.corrects("fdr"))
    fail(Exit::config, "gradient.by: {} is not computed; add {} to permutation.correct", g.by,
         g.by == "p_max" ? "max" : "fdr");
  if (g.by != "p_max" && !p.best_layer)
    fail(Exit::config, "gradient.by: {} is of each target's best layer; set permutation.best_layer: true, or use p_max",
         g.by);
}

std::vector<Gradient> load_gradients(Config const& config, Inputs const& in) {
  std::vector<Gradient> all;
  GradientConfig const& g = config.gradient;
  if (!kinds_of(g).empty() && nets_with_layers(config, in).empty())
    fail(Exit::config, "gradient: there is one layer only; name two or more in features.layers");
  if (!g.rois.empty()) all.push_back({"rois", by_rois(config, in)});
  if (g.axis) all.push_back({"axis", by_axis(config, in)});
  if (g.values) all.push_back({"values", by_values(config, in)});
  return all;
}

void add_gradients(Config const& config, Inputs const& in, Layout const& layout, ResultSpec& spec) {
  using h5::Dtype;
  if (kinds_of(config.gradient).empty()) return;
  for (Net const& net : nets_with_layers(config, in))
    for (auto const& kind : kinds_of(config.gradient)) {
      auto const add = [&](char const* what, Dtype type, std::vector<std::size_t> const& shape) {
        spec.datasets.push_back({name_of(config, net, kind, what), type, shape, 0});
      };
      add("targets", Dtype::u64, {});
      for (char const* what : {"rho", "rho_se", "layer_mean", "layer_mean_se"}) add(what, Dtype::f64, {});
      if (config.keeps_maps()) add("p", Dtype::f64, {}), add("null", Dtype::f64, {layout.permutation.n});
      if (kind != "rois") continue;
      add("roi_targets", Dtype::u64, {config.gradient.rois.size()});
      for (char const* what : {"roi_layer_mean", "roi_layer_mean_se"})
        add(what, Dtype::f64, {config.gradient.rois.size()});
      spec.texts.emplace_back(name_of(config, net, kind, "roi"), config.gradient.rois);
    }
}

void derive_gradients(Config const& config, Inputs const& in, Layout const& layout, ResultFile& result) {
  if (!in.root.gradients.empty()) Deriver(config, in, layout, result).run();
}

std::string gradient_table(Config const& config, Inputs const& in, ResultFile const& result) {
  std::string text = "gradient\tnet\troi\ttargets\tlayer_mean\tlayer_mean_se\trho\trho_se\tp\n";
  auto const cell = [](double v) { return std::isnan(v) ? std::string("n/a") : fmt::format("{:.6g}", v); };
  for (Net const& net : nets_with_layers(config, in))
    for (auto const& kind : kinds_of(config.gradient)) {
      auto const read = [&](char const* what) { return result.read<double>(name_of(config, net, kind, what)); };
      text += fmt::format("{}\t{}\tall\t{}\t{}\t{}\t{}\t{}\t{}\n", kind, net.name, read("targets")[0],
                          cell(read("layer_mean")[0]), cell(read("layer_mean_se")[0]), cell(read("rho")[0]),
                          cell(read("rho_se")[0]), config.keeps_maps() ? cell(read("p")[0]) : "n/a");
      if (kind != "rois") continue;
      auto const count = read("roi_targets"), mean = read("roi_layer_mean"), se = read("roi_layer_mean_se");
      for (std::size_t r = 0; r < count.size(); ++r)
        text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\tn/a\tn/a\tn/a\n", kind, net.name, config.gradient.rois[r],
                            count[r], cell(mean[r]), cell(se[r]));
    }
  return text;
}

}  // namespace striate::encode
