#include "encode_bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "encode_scores.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/stats/bootstrap_scores.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t few_groups = 20;
/// Scores of regions add up as whole multiples of 2⁻²⁶ of their scale, limited to ±2¹⁶ of it: no sum rounds.
constexpr double quantum = 0x1p26, limit = 0x1p16;

std::vector<std::uint32_t> labels(Config const& config, Inputs const& in) {
  return number_labels(config.bootstrap.over == "stimuli" ? in.columns.id : in.resample);
}

/// A tile's part of a region: where its sums of each draw stand.
struct RegionPart {
  std::size_t region = 0;
  std::vector<std::uint32_t> targets;  ///< within the tile
};
/// Of all targets, then of each region that the tile meets.
std::vector<RegionPart> parts_of(Inputs const& in, Layout const& layout, std::size_t tile) {
  std::size_t const first = layout.bootstrap.first(tile), count = layout.bootstrap.width(tile, layout.t);
  std::vector<RegionPart> parts(1);
  for (std::uint32_t t = 0; t < count; ++t) parts[0].targets.push_back(t);
  for (std::size_t r = 0; r < in.regions.size(); ++r) {
    RegionPart part{r + 1, {}};
    auto const& region = in.regions[r];  // ascending
    auto const end = std::ranges::lower_bound(region, first + count);
    for (auto at = std::ranges::lower_bound(region, first); at != end; ++at)
      part.targets.push_back(static_cast<std::uint32_t>(*at - first));
    if (!part.targets.empty()) parts.push_back(std::move(part));
  }
  return parts;
}

/// A power of two that no observed score exceeds, 1 at least: of mse, whose units are the data's.
double scale_of(std::vector<double> const& observed) {
  double greatest = 1;
  for (double v : observed)
    if (std::isfinite(v)) greatest = std::max(greatest, std::abs(v));
  return std::exp2(std::ceil(std::log2(greatest)));
}

std::int64_t whole(double value, double scale) {
  return std::llround(std::clamp(value / scale, -limit, limit) * quantum);
}

std::string region_name(std::string const& layer, std::string const& score) {
  return fmt::format("/.striate/bootstrap/region/{}/{}", layer, score);
}

/// Bounds do not leave what a score can be.
double bounded(Score s, double value) {
  if (s == Score::mse) return value < 0 ? 0 : value;
  return s == Score::pearson ? std::clamp(value, -1.0, 1.0) : std::min(value, 1.0);
}

}  // namespace

std::vector<std::size_t> first_parts(Inputs const& in, Layout const& layout) {
  std::vector<std::size_t> first{0};
  for (std::size_t i = 0; i < layout.bootstrap.tiles; ++i)
    first.push_back(first.back() + parts_of(in, layout, i).size());
  return first;
}

std::string bootstrap_name(std::string const& layer, std::string const& score, std::string const& what) {
  return fmt::format("/{}/bootstrap/{}/{}", layer, score, what);
}
std::string heldout_name(std::string const& layer) { return "/.striate/heldout/" + layer; }

std::size_t heldout_rows(Inputs const& in) {
  std::size_t rows = 0;
  for (std::size_t f = 0; f < in.folds; ++f) rows += in.passes[f].outer.test.size();
  return rows;
}

std::size_t heldout_at(Inputs const& in, Layout const& layout, std::size_t tile, std::size_t fold) {
  std::size_t before = 0;
  for (std::size_t f = 0; f < fold; ++f) before += in.passes[f].outer.test.size();
  return layout.first(tile) * heldout_rows(in) + layout.width(tile) * before;
}

std::vector<std::vector<float>> read_heldout(Shared const& s, std::vector<std::size_t> const& layers, std::size_t first,
                                             std::size_t count) {
  std::size_t const k = s.inputs.folds, tile = first / s.layout.tile;
  std::vector<std::vector<float>> values(layers.size() * k);
  for (std::size_t l = 0; l < layers.size(); ++l)
    for (std::size_t f = 0; f < k; ++f) {
      std::size_t const e = s.inputs.passes[f].outer.test.size();
      auto& one = values[l * k + f];
      one.resize(e * count);
      s.result.read_slice(heldout_name(s.inputs.layers[layers[l]].name),
                          heldout_at(s.inputs, s.layout, tile, f) + (first - s.layout.first(tile)) * e, std::span(one));
    }
  return values;
}

std::vector<std::string> bootstrap_stats(Config const& config) {
  if (config.bootstrap.n == 0) return {};
  return {"low", "high"};
}

std::vector<ResultDataset> bootstrap_datasets(Config const& config, Inputs const& in, Layout const& layout) {
  using h5::Dtype;
  std::vector<ResultDataset> d;
  if (config.bootstrap.n == 0) return d;
  std::size_t const w = layout.bootstrap.tile, parts = first_parts(in, layout).back();
  for (LayerInput const& l : in.layers) {
    d.push_back({heldout_name(l.name), Dtype::f32, {heldout_rows(in) * layout.t}, 0});
    for (auto const& s : config.scores) {
      for (char const* what : {"low", "high", "se"})
        d.push_back({bootstrap_name(l.name, s, what), Dtype::f64, {layout.t}, w});
      d.push_back({region_name(l.name, s), Dtype::i64, {parts * (layout.bootstrap.n + 1)}, 0});
    }
  }
  if (in.layers.size() > 1) d.push_back({"/best/bootstrap_share", Dtype::f64, {in.layers.size(), layout.t}, w});
  return d;
}

Resampler make_resampler(Config const& config, Inputs const& in) {
  try {
    return {labels(config, in), in.fold_of_row(), static_cast<std::uint64_t>(config.seed)};
  } catch (Error const& error) {
    throw Error(error.code(), fmt::format("bootstrap.over: {}: {}", config.bootstrap.over, error.what()));
  }
}

void check_bootstrap(Config const& config, Inputs const& in) {
  if (config.bootstrap.n == 0) return;
  Resampler const resampler = make_resampler(config, in);
  std::size_t const groups = resampler.groups(), strata = resampler.strata();
  log::info("bootstrap: {} groups of test rows ({}) are drawn {}", groups, config.bootstrap.over,
            resampler.stratified() ? "inside each fold's test set" : "among all folds together");
  if (groups < few_groups * strata)
    log::warn(
        "bootstrap: only {} groups ({}) are there to draw from in {}; intervals of so few can be too narrow (or, of "
        "r2, too wide)",
        groups / strata, config.bootstrap.over, resampler.stratified() ? "a fold" : "all");
}

void say_bootstrap(Config const& config, Inputs const& in, ResultFile const& result) {
  if (config.bootstrap.n == 0 || std::ranges::find(config.scores, "r2") == config.scores.end()) return;
  for (LayerInput const& l : in.layers) {
    auto const score = result.read<double>(fmt::format("/{}/score/r2", l.name));
    auto const low = result.read<double>(bootstrap_name(l.name, "r2", "low"));
    auto const high = result.read<double>(bootstrap_name(l.name, "r2", "high"));
    std::size_t out = 0;
    for (std::size_t t = 0; t < score.size(); ++t) out += score[t] < low[t] || score[t] > high[t] ? 1 : 0;
    if (out > 0)
      log::info(
          "{}: intervals of r2 leave r2 itself out in {} of {} targets: of {} test rows a fold r2 is too low, which "
          "they mend (docs/encoding.md, Confidence intervals)",
          l.name, out, score.size(), in.passes[0].outer.test.size());
  }
}

double bootstrap_flops(Config const& config, Inputs const& in) {
  auto const rows = static_cast<double>(heldout_rows(in)), layers = static_cast<double>(in.layers.size());
  return static_cast<double>(config.bootstrap.n) *
         (rows * 2 * (2 + 3 * layers) + 40 * layers * static_cast<double>(in.folds));
}

std::vector<BootstrapInterval> region_intervals(Config const& config, Inputs const& in, Layout const& layout,
                                                ResultFile const& result, std::size_t layer, std::size_t score,
                                                std::vector<double> const& observed) {
  std::size_t const B = layout.bootstrap.n;
  std::string const name = region_name(in.layers[layer].name, config.scores[score]);
  std::vector<std::int64_t> part_sums;
  std::vector<std::vector<std::int64_t>> sums(in.regions.size() + 1, std::vector<std::int64_t>(B + 1, 0));
  std::vector<double> total(sums.size(), 0), valid(sums.size(), 0);
  for (std::size_t i = 0, first = 0; i < layout.bootstrap.tiles; ++i) {
    auto const parts = parts_of(in, layout, i);
    part_sums.resize(parts.size() * (B + 1));
    result.read_slice(name, first, std::span(part_sums));
    first += part_sums.size();
    std::size_t at = 0;
    for (RegionPart const& part : parts) {
      for (std::size_t b = 0; b <= B; ++b) sums[part.region][b] += part_sums[at++];
      for (auto t : part.targets) {
        double const v = observed[layout.bootstrap.first(i) + t];
        if (!std::isnan(v)) total[part.region] += v, valid[part.region] += 1;
      }
    }
  }
  Resampler const resampler = make_resampler(config, in);
  double const tail = interval_tail(config.bootstrap.level, resampler.groups(), resampler.strata());
  double const unit = scale_of(observed) / quantum;
  Score const which = scores_of(config)[score];
  std::vector<BootstrapInterval> out;
  for (std::size_t r = 0; r < sums.size(); ++r) {
    std::vector<double> draws(B);
    for (std::size_t b = 0; b < B; ++b) draws[b] = static_cast<double>(sums[r][b]) * unit / valid[r];
    double const centre = static_cast<double>(sums[r][B]) * unit / valid[r];
    auto interval = bootstrap_interval(draws, valid[r] > 0 ? total[r] / valid[r] : nan, centre, tail);
    interval.low = bounded(which, interval.low), interval.high = bounded(which, interval.high);
    out.push_back(interval);
  }
  return out;
}

/// What a unit leaves until it is written.
struct Drawn {
  std::vector<double> low, high, se;  ///< [layer][score][T]
  std::vector<double> share;          ///< [layer][T]
  std::vector<std::int64_t> regions;  ///< [layer][score][part][draw, then the centre]
};

struct BootstrapTiles::Impl {
  Shared const& s;
  TargetBlock const& y;
  Observed const& observed;
  std::function<void(std::size_t)> said;
  BootstrapLayout const& b;
  Resampler resampler;
  std::vector<std::size_t> first_part;
  BootstrapShape shape;
  double tail;
  std::vector<std::vector<double>> scale;  ///< [layer][score]
  Pool<std::unique_ptr<BootstrapScores>> workers;
  Handover<std::vector<std::vector<float>>> loaded;  ///< [layer × fold]: rows × T
  Handover<Drawn> ready;

  void give(std::size_t tile, std::vector<std::vector<float>> const& predicted, BootstrapScores& scores) const {
    std::size_t const T = b.width(tile, s.layout.t), first = b.first(tile), k = s.inputs.folds;
    auto const values = y.columns(first, T);
    std::vector<double> column;
    for (std::size_t f = 0; f < k; ++f) {
      FoldPlan const& plan = s.inputs.passes[f];
      auto const& test = plan.outer.test;
      column.resize(test.size());
      for (std::size_t t = 0; t < T; ++t) {
        Units const units = units_of(s.config, plan, values, t);
        for (std::size_t i = 0; i < test.size(); ++i) column[i] = (values(test[i], t) - units.shift) / units.sd;
        scores.set_responses(f, t, column);
        for (std::size_t l = 0; l < shape.layers; ++l) {
          float const* const from = predicted[l * k + f].data() + t * test.size();
          for (std::size_t i = 0; i < test.size(); ++i) column[i] = from[i] - units.predicted_shift;
          scores.set_predictions(l, f, t, column);
        }
      }
    }
  }

  Drawn intervals(std::size_t tile, BootstrapScores const& scores) const {
    std::size_t const T = b.width(tile, s.layout.t), S = shape.scores.size(), L = shape.layers;
    Drawn out;
    std::vector<double> draws;
    for (std::size_t l = 0; l < L; ++l)
      for (std::size_t k = 0; k < S; ++k)
        for (std::size_t t = 0; t < T; ++t) {
          auto const drawn = scores.drawn(l, k, t);
          draws.assign(drawn.begin(), drawn.end());
          auto const i =
              bootstrap_interval(draws, observed.score[l][k][b.first(tile) + t], scores.centre(l, k, t), tail);
          out.low.push_back(bounded(shape.scores[k], i.low));
          out.high.push_back(bounded(shape.scores[k], i.high));
          out.se.push_back(i.se);
        }
    return out;
  }

  /// How often each layer is the best, by the first score; of equals the first.
  std::vector<double> shares(std::size_t T, BootstrapScores const& scores) const {
    double const sign = better(shape.scores[0]);
    std::vector<double> share(shape.layers * T, 0);
    for (std::size_t t = 0; t < T && shape.layers > 1; ++t) {
      double counted = 0;
      for (std::size_t d = 0; d < b.n; ++d) {
        std::size_t best = shape.layers;
        double greatest = nan;
        for (std::size_t l = 0; l < shape.layers; ++l) {
          double const v = sign * scores.drawn(l, 0, t)[d];
          if (!std::isnan(v) && !(greatest >= v)) greatest = v, best = l;
        }
        if (best < shape.layers) share[best * T + t] += 1, counted += 1;
      }
      for (std::size_t l = 0; l < shape.layers; ++l) share[l * T + t] = counted > 0 ? share[l * T + t] / counted : nan;
    }
    return share;
  }

  /// Sums over the targets of each region that have a score. A draw without one counts as the score itself.
  std::vector<std::int64_t> regions(std::size_t tile, BootstrapScores const& scores) const {
    auto const parts = parts_of(s.inputs, s.layout, tile);
    std::size_t const S = shape.scores.size(), P = parts.size(), width = b.n + 1;
    std::vector<std::int64_t> sums(shape.layers * S * P * width, 0);
    for (std::size_t at = 0; at < shape.layers * S * P; ++at) {
      std::size_t const l = at / P / S, k = at / P % S;
      for (auto t : parts[at % P].targets) {
        double const seen = observed.score[l][k][b.first(tile) + t];
        if (std::isnan(seen)) continue;
        auto const drawn = scores.drawn(l, k, t);
        for (std::size_t d = 0; d < b.n; ++d)
          sums[at * width + d] += whole(std::isnan(drawn[d]) ? seen : drawn[d], scale[l][k]);
        sums[at * width + b.n] += whole(scores.centre(l, k, t), scale[l][k]);
      }
    }
    return sums;
  }

  void write(std::size_t tile, Drawn const& drawn) const {
    std::size_t const T = b.width(tile, s.layout.t), S = shape.scores.size(),
                      P = first_part[tile + 1] - first_part[tile];
    ResultFile& out = s.result;
    for (std::size_t k = 0; k < shape.layers * S; ++k) {
      std::string const& layer = s.inputs.layers[k / S].name;
      std::string const& score = s.config.scores[k % S];
      for (auto const& [what, values] :
           {std::pair{"low", &drawn.low}, std::pair{"high", &drawn.high}, std::pair{"se", &drawn.se}})
        out.write_slice(bootstrap_name(layer, score, what), 0, b.first(tile), std::span(*values).subspan(k * T, T));
      out.write_slice(region_name(layer, score), 0, first_part[tile] * (b.n + 1),
                      std::span(drawn.regions).subspan(k * P * (b.n + 1), P * (b.n + 1)));
    }
    for (std::size_t l = 0; l < shape.layers && shape.layers > 1; ++l)
      out.write_slice("/best/bootstrap_share", l, b.first(tile), std::span(drawn.share).subspan(l * T, T));
  }
};

BootstrapTiles::BootstrapTiles(Shared const& shared, TargetBlock const& y, Observed const& observed,
                               std::function<void(std::size_t)> said)
    : impl_(new Impl{shared,
                     y,
                     observed,
                     std::move(said),
                     shared.layout.bootstrap,
                     make_resampler(shared.config, shared.inputs),
                     first_parts(shared.inputs, shared.layout),
                     {},
                     0,
                     {},
                     {},
                     {},
                     {}}) {
  Impl& m = *impl_;
  BootstrapShape& shape = m.shape;
  shape.scores = scores_of(shared.config);
  shape.concat = shared.config.aggregate == "concat";
  for (std::size_t f = 0; f < shared.inputs.folds; ++f) shape.tests.push_back(shared.inputs.passes[f].outer.test);
  shape.weight = fold_weights(shared.config, shared.inputs);
  shape.layers = shared.inputs.layers.size();
  shape.rows = shared.inputs.n();
  m.tail = interval_tail(shared.config.bootstrap.level, m.resampler.groups(), m.resampler.strata());
  for (auto const& layer : observed.score) {
    m.scale.emplace_back();
    for (auto const& values : layer) m.scale.back().push_back(scale_of(values));
  }
}
BootstrapTiles::~BootstrapTiles() = default;

void BootstrapTiles::load(std::size_t tile) {
  Impl& m = *impl_;
  std::vector<std::size_t> layers(m.shape.layers);
  std::iota(layers.begin(), layers.end(), std::size_t{0});
  m.loaded.give(tile, read_heldout(m.s, layers, m.b.first(tile), m.b.width(tile, m.s.layout.t)));
}

void BootstrapTiles::compute(std::size_t tile) {
  Impl& m = *impl_;
  auto const predicted = m.loaded.take(tile);
  auto worker = m.workers.take();
  if (*worker == nullptr) *worker = std::make_unique<BootstrapScores>(m.shape, m.resampler);
  std::size_t const T = m.b.width(tile, m.s.layout.t);
  (*worker)->begin(T, m.b.n);
  m.give(tile, predicted, **worker);
  (*worker)->run();
  Drawn drawn = m.intervals(tile, **worker);
  drawn.share = m.shares(T, **worker);
  drawn.regions = m.regions(tile, **worker);
  m.workers.give(std::move(worker));
  m.ready.give(tile, std::move(drawn));
}

void BootstrapTiles::write(std::span<std::size_t const> mine) {
  for (std::size_t tile : mine) impl_->write(tile, impl_->ready.take(tile));
}
void BootstrapTiles::mark(std::span<std::size_t const> mine) { impl_->s.result.mark(mine, impl_->s.layout.maps()); }
void BootstrapTiles::flush() { impl_->s.result.flush(); }
void BootstrapTiles::progress(std::size_t done) { impl_->said(done); }

}  // namespace striate::encode
