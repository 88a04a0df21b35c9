#include "encode_summary.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "encode_permute.hpp"
#include "encode_partition.hpp"
#include "encode_scores.hpp"
#include "encode_spatial.hpp"
#include "encode_unique.hpp"
#include "striate/base/log.hpp"
#include "striate/models/table.hpp"
#include "striate/stats/multiple.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  if (values.empty()) return nan;
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  double const upper = *middle;
  return values.size() % 2 == 1 ? upper : 0.5 * (upper + *std::max_element(values.begin(), middle));
}

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

/// Without those that are NaN.
struct Mean {
  std::size_t n = 0;
  double mean = nan, sem = nan;
};
Mean mean_of(std::vector<double> const& values) {
  Mean m;
  double sum = 0, square = 0;
  for (double v : values)
    if (!std::isnan(v)) sum += v, ++m.n;
  if (m.n == 0) return m;
  auto const n = static_cast<double>(m.n);
  m.mean = sum / n;
  for (double v : values)
    if (!std::isnan(v)) square += (v - m.mean) * (v - m.mean);
  if (m.n > 1) m.sem = std::sqrt(square / (n - 1) / n);
  return m;
}

std::string cell(double value) { return std::isnan(value) ? "n/a" : fmt::format("{:.6g}", value); }

std::vector<double> of(Roi const& region, std::vector<double> const& all) {
  std::vector<double> part;
  for (std::size_t j : region.targets) part.push_back(all[j]);
  return part;
}

/// Mean score over mean ceiling, of the targets that have both.
double ratio_of_means(Roi const& region, std::vector<double> const& score, std::vector<double> const& ceiling) {
  double above = 0, below = 0;
  for (std::size_t j : region.targets)
    if (!std::isnan(score[j]) && !std::isnan(ceiling[j])) above += score[j], below += ceiling[j];
  return below > 0 ? above / below : nan;
}

std::vector<std::string> p_columns(Config const& config) {
  auto stats = permutation_stats(config);
  for (auto const& stat : spatial_p(config)) stats.push_back(stat);
  return stats;
}

}  // namespace

Typical typical(Config const& config) {
  return find_model(config.model.type)->nominal ? Typical{"mode", mode} : Typical{"median", median};
}

std::vector<std::string> normalised_scores(Config const& config, Layout const& layout) {
  std::vector<std::string> names;
  for (auto const& s : config.scores)
    if (layout.noise_tiles > 0 && normalises(s)) names.push_back(s);
  return names;
}

std::vector<double> ceiling_of(Config const& config, std::string const& score, std::vector<double> const& reliability) {
  std::vector<double> out;
  for (double r : reliability) {
    double const ceiling = score == "pearson" ? std::sqrt(std::max(0.0, r)) : r;
    out.push_back(ceiling >= config.noise_ceiling_floor ? ceiling : nan);
  }
  return out;
}

std::string without_tabs(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

Summary::Summary(Finish const& f)
    : f_(f),
      better_(better(scores_of(f.config)[0])),
      nets_(nets_of(f.config, f.inputs)),
      best_(f.result.read<std::int32_t>("/best/layer")) {
  for (char const* name : {"pearson", "between_lower", "between_upper"})
    if (std::ranges::count(f.layout.ceilings(), name) > 0)
      ceilings_.push_back(f.result.read<double>(std::string("/noise_ceiling/") + name));
  for (auto const& s : normalised_scores(f.config, f.layout))
    divisors_.push_back(ceiling_of(f.config, s, f.result.read<double>("/noise_ceiling/row_reliability")));
  regions_.push_back({"all", 0, {}});
  regions_[0].targets.resize(f.layout.t);
  std::iota(regions_[0].targets.begin(), regions_[0].targets.end(), std::size_t{0});
  for (auto const& roi : f.inputs.root.rois) regions_.push_back(roi);
}

Summary::Cell Summary::describe(Roi const& region, LayerValues const& values) const {
  Cell c;
  auto const names = normalised_scores(f_.config, f_.layout);
  Mean const first = mean_of(of(region, values.scores[0]));
  c.valid = first.n, c.mean = first.mean, c.sem = first.sem, c.normalised = c.ratio = nan;
  std::string means, normalised;
  for (std::size_t s = 0; s < values.scores.size(); ++s) {
    auto const part = of(region, values.scores[s]);
    means += fmt::format("\t{}\t{}", cell(mean_of(part).mean), cell(median(part)));
    if (!values.regions.empty()) {
      auto const& interval = values.regions[s][static_cast<std::size_t>(&region - regions_.data())];
      means += fmt::format("\t{}\t{}", cell(interval.low), cell(interval.high));
    }
    c.after.append("\t").append(cell(mean_of(part).sem));
  }
  means.append("\t").append(cell(typical(f_.config).of(of(region, values.choice))));
  for (auto const& column : ceilings_) means.append("\t").append(cell(median(of(region, column))));
  for (std::size_t s = 0; s < names.size(); ++s) {
    auto const part = of(region, values.normalised[s]);
    auto const place = std::ranges::find(f_.config.scores, names[s]) - f_.config.scores.begin();
    double const mean = mean_of(part).mean,
                 ratio = ratio_of_means(region, values.scores[static_cast<std::size_t>(place)], divisors_[s]);
    normalised.append("\t").append(cell(median(part)));
    c.after += fmt::format("\t{}\t{}", cell(mean), cell(ratio));
    if (place == 0) c.normalised = mean, c.ratio = ratio;
  }
  std::string counts;
  for (auto const& p : values.p) {
    auto const count = std::ranges::count_if(of(region, p), [](double v) { return v <= 0.05; });
    counts += fmt::format("\t{}", count);
    c.after.append("\t").append(cell(c.valid == 0 ? nan : static_cast<double>(count) / static_cast<double>(c.valid)));
  }
  c.before = fmt::format("{}\t{}", region.targets.size(), c.valid) + means + normalised + counts;
  return c;
}

void Summary::add(LayerValues const& values) {
  std::vector<Cell> row;
  for (Roi const& region : regions_) row.push_back(describe(region, values));
  std::size_t const layer = cells_.size();
  log::info("{}: mean {} {:.4f}, median {:.4f}; best in {} of {} targets", f_.inputs.layers[layer].name,
            f_.config.scores[0], row[0].mean, median(values.scores[0]),
            std::ranges::count(best_, static_cast<std::int32_t>(layer)), best_.size());
  cells_.push_back(std::move(row));
  first_.push_back(values.scores[0]);
}

/// Among the layers of its net, from 1 for the best mean; equals share the lower number.
std::string Summary::rank(std::size_t layer, std::size_t region) const {
  auto const net = std::ranges::find_if(nets_, [&](Net const& n) { return layer < n.first + n.count; });
  if (std::isnan(cells_[layer][region].mean)) return "n/a";
  std::size_t rank = 1;
  for (std::size_t l = net->first; l < net->first + net->count; ++l)
    rank += better_ * cells_[l][region].mean > better_ * cells_[layer][region].mean ? 1 : 0;
  return std::to_string(rank);
}

std::string Summary::text() const {
  Config const& c = f_.config;
  std::string text = "layer\troi\ttargets\tvalid";
  for (auto const& s : c.scores) {
    text += fmt::format("\t{}_mean\t{}_median", s, s);
    if (c.bootstrap.n > 0) text += fmt::format("\t{}_mean_low\t{}_mean_high", s, s);
  }
  text += fmt::format("\t{}_{}", find_model(c.model.type)->chooses, typical(c).name);
  if (f_.layout.noise_tiles > 0) text += "\tnoise_ceiling_median";
  if (f_.layout.between_tiles > 0) text += "\tbetween_lower_median\tbetween_upper_median";
  auto const names = normalised_scores(c, f_.layout), p = p_columns(c);
  for (auto const& s : names) text += fmt::format("\t{}_normalized_median", s);
  for (auto const& stat : p) text += fmt::format("\t{}_below_0.05", stat);
  text += "\tbest\tnet\trank";
  for (auto const& s : c.scores) text += fmt::format("\t{}_sem", s);
  for (auto const& s : names) text += fmt::format("\t{}_normalized_mean\t{}_normalized_of_means", s, s);
  for (auto const& stat : p) text += fmt::format("\t{}_share_below_0.05", stat);
  text += "\n";
  for (std::size_t l = 0; l < cells_.size(); ++l)
    for (std::size_t r = 0; r < regions_.size(); ++r) {
      auto const best = std::ranges::count_if(regions_[r].targets,
                                              [&](std::size_t j) { return best_[j] == static_cast<std::int32_t>(l); });
      auto const net = std::ranges::find_if(nets_, [&](Net const& n) { return l < n.first + n.count; });
      text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}{}\n", without_tabs(f_.inputs.layers[l].name),
                          without_tabs(regions_[r].name), cells_[l][r].before, best, without_tabs(net->name),
                          rank(l, r), cells_[l][r].after);
    }
  return text;
}

/// By the mean of the first score; net.first + net.count where none has one.
std::size_t Summary::best_of(Net const& net, std::size_t region) const {
  std::size_t best = net.first + net.count;
  for (std::size_t l = net.first; l < net.first + net.count; ++l) {
    double const mean = cells_[l][region].mean;
    if (!std::isnan(mean) && (best == net.first + net.count || better_ * mean > better_ * cells_[best][region].mean))
      best = l;
  }
  return best;
}

/// [net][region]: the best mean of the net's layers against the best mean of each permutation. NaN without whole maps.
std::vector<double> Summary::p_of_best() const {
  std::vector<double> p(nets_.size() * regions_.size(), nan), observed(p.size(), nan);
  if (!f_.config.keeps_maps()) return p;
  for (std::size_t i = 0; i < p.size(); ++i) {
    Net const& net = nets_[i / regions_.size()];
    std::size_t const best = best_of(net, i % regions_.size());
    if (best < net.first + net.count) observed[i] = better_ * cells_[best][i % regions_.size()].mean;
  }
  std::vector<std::size_t> reached(p.size(), 1);
  each_permuted_map(f_.config, f_.inputs, f_.layout, f_.result, [&](std::vector<std::span<float const>> const& layers) {
    for (std::size_t i = 0; i < p.size(); ++i) {
      Net const& net = nets_[i / regions_.size()];
      double best = nan;
      for (std::size_t l = net.first; l < net.first + net.count; ++l) {
        double sum = 0;
        std::size_t n = 0;
        for (std::size_t j : regions_[i % regions_.size()].targets)
          if (!std::isnan(layers[l][j])) sum += static_cast<double>(layers[l][j]), ++n;
        double const mean = n == 0 ? nan : better_ * sum / static_cast<double>(n);
        if (std::isnan(best) || mean > best) best = mean;
      }
      // Maps are float32. A mean that a rearrangement does not have counts against the observed one.
      reached[i] += std::isnan(best) || best >= observed[i] - 1e-6 * std::abs(observed[i]) ? 1 : 0;
    }
  });
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isnan(observed[i]))
      p[i] = static_cast<double>(reached[i]) / static_cast<double>(f_.layout.permutation.n + 1);
  return p;
}

std::string Summary::best_layers() const {
  std::string const& score = f_.config.scores[0];
  std::string text = fmt::format("net\troi\tlayer\tvalid\t{}_mean\t{}_sem", score, score);
  bool const normalised = !divisors_.empty() && normalises(score);
  if (normalised) text += fmt::format("\t{}_normalized_mean\t{}_normalized_of_means", score, score);
  text += "\tp_best\n";
  auto const p = p_of_best();
  for (std::size_t i = 0; i < p.size(); ++i) {
    Net const& net = nets_[i / regions_.size()];
    std::size_t const r = i % regions_.size(), best = best_of(net, r);
    bool const none = best == net.first + net.count;
    Cell const& c = cells_[none ? net.first : best][r];
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}", without_tabs(net.name), without_tabs(regions_[r].name),
                        none ? "n/a" : without_tabs(f_.inputs.layers[best].name), c.valid, cell(c.mean), cell(c.sem));
    if (normalised) text += fmt::format("\t{}\t{}", cell(c.normalised), cell(c.ratio));
    text.append("\t").append(cell(p[i])).append("\n");
  }
  return text;
}

std::string Summary::shares() const {
  auto const tests = unique_maps(f_.config, f_.inputs);  // SPACE after SPACE the same p
  std::vector<std::string> stats;
  for (auto const& [name, stem] : tests) {
    std::string const stat = name.substr(name.rfind('/') + 1);
    if (std::ranges::count(stats, stat) == 0) stats.push_back(stat);
  }
  std::string text = "share\troi\ttargets\tvalid\tmean\tmedian\tsem";
  for (auto const& stat : stats) text += fmt::format("\t{}_below_0.05", stat);
  text += "\n";
  for (auto const& share : partition_datasets(f_.config, f_.inputs)) {
    auto const values = f_.result.read<double>(share.name);
    std::vector<std::vector<double>> p;
    for (auto const& [name, stem] : tests)
      if (name.starts_with("/permutation" + share.name + "/")) p.push_back(f_.result.read<double>(name));
    for (Roi const& region : regions_) {
      Mean const m = mean_of(of(region, values));
      text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}", without_tabs(share.name.substr(1)), without_tabs(region.name),
                          region.targets.size(), m.n, cell(m.mean), cell(median(of(region, values))), cell(m.sem));
      for (std::size_t k = 0; k < stats.size(); ++k)
        text += p.empty() ? "\tn/a" : fmt::format("\t{}", std::ranges::count_if(of(region, p[k]), [](double v) {
                                                    return v <= 0.05;
                                                  }));
      text += "\n";
    }
  }
  return text;
}

}  // namespace striate::encode
