#include "encode_permute.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "encode_rescore.hpp"
#include "encode_scores.hpp"
#include "encode_sequential.hpp"
#include "encode_spatial.hpp"
#include "encode_tail.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/models/table.hpp"
#include "striate/par/together.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/tail.hpp"

namespace striate::encode {
namespace {

constexpr double least = -std::numeric_limits<double>::infinity();

}  // namespace

Extremity::Extremity(std::string const& tail, std::vector<Score> const& scores) : two_tails_(tail == "two") {
  for (Score const s : scores) sign_.push_back(tail == "left" ? -better(s) : better(s));
}

std::string working_name(std::string const& layer, std::string const& score, char const* what) {
  return fmt::format("/.striate/permutation/{}/{}/{}", what, layer, score);
}

bool tests_best(Layout const& l) { return l.permutation.n > 0 && l.permutation.groups == 1 && l.layers > 1; }

std::vector<double> best_of(std::vector<std::vector<double>> const& layers) {
  std::vector<double> best = layers[0];
  for (auto const& one : layers)
    for (std::size_t j = 0; j < best.size(); ++j)
      if (!std::isnan(one[j]) && !(best[j] >= one[j])) best[j] = one[j];
  return best;
}

std::string permutation_name(std::string const& layer, std::string const& score, std::string const& what) {
  return fmt::format("/{}/permutation/{}/{}", layer, score, what);
}

std::vector<ResultDataset> permutation_results(Config const& config, Inputs const& in, Layout const& layout,
                                               std::size_t permutations) {
  using h5::Dtype;
  std::vector<ResultDataset> d;
  if (permutations == 0) return d;
  std::size_t const t = layout.t;
  Permutation const& c = config.permutation;
  auto const family = [&](std::string const& layer, std::string const& score, bool values) {
    auto const name = [&](char const* what) { return permutation_name(layer, score, what); };
    if (values) {
      d.push_back({name("exceed"), Dtype::u64, {t}, 0});
      d.push_back({name("p"), Dtype::f64, {t}, 0});
      if (c.fits_targets()) d.push_back({name("p_gpd"), Dtype::f64, {t}, 0});
      if (c.stop.exceed > 0) d.push_back({name("permutations"), Dtype::u64, {t}, 0});
      if (c.corrects("fdr")) d.push_back({name("q_fdr"), Dtype::f64, {t}, 0});
      if (c.corrects("fdr_by")) d.push_back({name("q_fdr_by"), Dtype::f64, {t}, 0});
    }
    if (c.corrects("max")) {
      d.push_back({name("p_max"), Dtype::f64, {t}, 0});
      d.push_back({name("null_max"), Dtype::f64, {permutations}, 0});
      if (c.fits_tail()) d.push_back({name("p_max_gpd"), Dtype::f64, {t}, 0});
    }
  };
  for (LayerInput const& l : in.layers)
    for (auto const& s : config.scores) family(l.name, s, true);
  for (LayerInput const& l : in.layers)
    for (auto const& one : spatial_results(config, l.name, t, permutations)) d.push_back(one);
  if (in.layers.size() > 1) family("best", config.scores[0], tests_best(layout));
  return d;
}

std::vector<ResultDataset> permutation_working(Config const& config, Inputs const& in, Layout const& layout) {
  using h5::Dtype;
  PermutationLayout const& p = layout.permutation;
  std::vector<ResultDataset> d;
  if (p.n == 0) return d;
  for (LayerInput const& l : in.layers)
    for (auto const& s : config.scores) {
      d.push_back({working_name(l.name, s, "exceed"), Dtype::u32, {p.blocks * layout.t}, 0});
      if (config.permutation.stop.exceed > 0)
        d.push_back({stop_name(l.name, s), Dtype::u64, {layout.t}, 0});
      else
        d.push_back({working_name(l.name, s, "max"), Dtype::f64, {p.tiles * p.n}, 0});
      if (config.permutation.fits_targets())
        d.push_back({tail_name(l.name, s), Dtype::f32, {tail_values(p) * layout.t}, 0});
    }
  if (tests_best(layout) && config.permutation.fits_targets())
    d.push_back({best_tail, Dtype::f32, {tail_values(p) * layout.t}, 0});
  if (tests_best(layout)) d.push_back({best_working, Dtype::u32, {p.blocks * layout.t}, 0});
  if (tests_best(layout) && config.permutation.stop.exceed > 0) d.push_back({best_stop, Dtype::u64, {layout.t}, 0});
  for (auto const& one : spatial_working(config, in, layout)) d.push_back(one);
  return d;
}

std::vector<std::string> permutation_stats(Config const& config) {
  if (config.permutation.n == 0) return {};
  std::vector<std::string> stats{"p"};
  if (config.permutation.fits_targets()) stats.emplace_back("p_gpd");
  if (config.permutation.corrects("fdr")) stats.emplace_back("q_fdr");
  if (config.permutation.corrects("fdr_by")) stats.emplace_back("q_fdr_by");
  if (config.permutation.corrects("max")) stats.emplace_back("p_max");
  if (config.permutation.corrects("max") && config.permutation.fits_tail()) stats.emplace_back("p_max_gpd");
  return stats;
}

std::vector<std::string> best_permutation_stats(Config const& config, Layout const& layout) {
  auto stats = layout.layers > 1 ? permutation_stats(config) : std::vector<std::string>();
  if (!tests_best(layout)) std::erase_if(stats, [](auto const& s) { return !s.starts_with("p_max"); });
  return stats;
}

std::vector<std::uint32_t> used_rows(Inputs const& in) {
  std::vector<std::uint8_t> used(in.n(), 0);
  for (std::size_t f = 0; f < in.folds; ++f) {
    for (auto r : in.passes[f].outer.train) used[r] = 1;
    for (auto r : in.passes[f].outer.test) used[r] = 1;
  }
  std::vector<std::uint32_t> rows;
  for (std::uint32_t r = 0; r < used.size(); ++r)
    if (used[r] != 0) rows.push_back(r);
  return rows;
}

Permuter make_permuter(Config const& config, Inputs const& in, std::vector<std::uint32_t> const& rows,
                       std::size_t stream) {
  Permutation const& c = config.permutation;
  PermutationSpec spec;
  spec.shuffle = shuffle_of(c.shuffle).value_or(Shuffle::rows);
  spec.length = static_cast<std::size_t>(c.block);
  spec.seed = static_cast<std::uint64_t>(config.seed);
  spec.stream = stream;
  auto const unit = number_labels(in.columns.id);
  auto const block = number_labels(in.exchange);
  for (auto r : rows) {
    spec.unit.push_back(unit[r]);
    if (!block.empty()) spec.block.push_back(block[r]);
  }
  try {
    return Permuter(spec, rows.size());
  } catch (Error const& error) {
    std::string const where = stream == 0 ? "" : fmt::format("among the test rows of fold {} ", stream - 1);
    throw Error(error.code(), fmt::format("permutation.{}: {}{}; choose another shuffle, exchange or scheme",
                                          c.exchange ? "exchange" : "shuffle", where, error.what()));
  }
}

namespace {

/// A shift in time needs the rows of a run side by side.
void check_circular(Config const& config, Inputs const& in) {
  if (config.permutation.shuffle != "circular" || in.exchange.empty()) return;
  std::map<std::string, std::uint32_t> last;  // row of each label
  auto const rows = used_rows(in);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string const& label = in.exchange[rows[i]];
    auto const [at, fresh] = last.try_emplace(label, rows[i]);
    if (!fresh && in.exchange[rows[i - 1]] != label)
      fail(
          Exit::data,
          "permutation.exchange: shuffle: circular moves the rows of each {} on in time, but those of {} do not follow "
          "one another (rows of {} stand between {} and {}); sort the rows by {} and time, or use another shuffle",
          *config.permutation.exchange, label, in.exchange[rows[i - 1]], in.columns.id[at->second],
          in.columns.id[rows[i]], *config.permutation.exchange);
    at->second = rows[i];
  }
}

}  // namespace

void check_permutation(Config const& config, Inputs const& in) {
  Permutation const& c = config.permutation;
  if (c.n == 0) return;
  check_circular(config, in);
  if (c.spatial() && in.grid.empty())
    fail(Exit::data,
         "permutation.correct: tfce and cluster need neighbours, which the responses, an array, do not have; give an "
         "image as responses.data, or use max or fdr");
  if (in.series.runs() > 0 && (c.shuffle == "rows" || c.shuffle == "sign"))
    log::warn(
        "permutation.shuffle: {} breaks up the correlation of neighbouring volumes, so p-values are too small; use "
        "shuffle: circular and exchange: {}",
        c.shuffle, config.responses.run.value_or(""));
  double arrangements = 0;
  if (c.scheme == "fixed_model") {
    if (in.folds > 1)
      log::warn(
          "permutation.scheme: fixed_model over {} folds gives p-values that are too small (held-out responses also "
          "trained the other folds' models); trust it with one test set (cv.split), else use refit or fixed_alpha",
          in.folds);
    for (std::size_t f = 0; f < in.folds; ++f)
      arrangements += make_permuter(config, in, in.passes[f].outer.test, f + 1).log10_arrangements();
  } else {
    auto const rows = used_rows(in);
    Permuter const permuter = make_permuter(config, in, rows, 0);
    arrangements = permuter.log10_arrangements();
    if (permuter.fixed_rows() > 0)
      log::warn("permutation: {} of {} rows have no equal to change places with and stay where they are",
                permuter.fixed_rows(), rows.size());
  }
  if (arrangements < std::log10(static_cast<double>(c.n)))
    log::warn("permutation: only {:.0f} arrangements exist for {} permutations; no p can be below {:.2g}",
              std::pow(10.0, arrangements), c.n, std::pow(10.0, -arrangements));
}

Observed read_observed(Comm const& comm, Config const& config, Inputs const& in, ResultFile const& result) {
  Observed o;
  o.score.assign(in.layers.size(), std::vector<std::vector<double>>(config.scores.size()));
  o.alpha.assign(in.layers.size(), {});
  bool const alphas =
      config.permutation.n > 0 && (config.permutation.scheme == "fixed_alpha" || !config.model.alpha_per_target);
  std::string const chosen = std::string("/") + find_model(config.model.type)->chooses;
  together(comm, [&] {
    for (std::size_t l = 0; comm.root() && l < in.layers.size(); ++l) {
      for (std::size_t s = 0; s < config.scores.size(); ++s) o.score[l][s] = layer_scores(config, in, result, l, s);
      if (alphas) o.alpha[l] = result.read<double>("/" + in.layers[l].name + chosen);
    }
  });
  for (std::size_t l = 0; l < in.layers.size(); ++l) {
    for (auto& values : o.score[l]) comm.broadcast(values, 0);
    if (alphas) comm.broadcast(o.alpha[l], 0);
  }
  return o;
}

/// What a unit leaves until it is written.
struct Left {
  std::size_t tile = 0, block = 0;
  std::vector<std::uint32_t> exceed;       ///< [layer][score][T]
  std::vector<double> max;                 ///< [layer][score][permutations of the block]
  std::vector<std::uint32_t> best_exceed;  ///< [T]
  std::vector<float> maps;                 ///< [layer][permutations of the block][T], as scores; for whole maps
  std::vector<float> tail;                 ///< [layer][score], then the best layer: [T][tail_width]
};

struct PermutationTiles::Impl {
  Shared const& shared;
  TargetBlock const& y;
  Observed const& observed;
  std::size_t layers, group, first_layer;
  std::function<std::unique_ptr<Rescorer>()> make;
  std::function<void(std::size_t)> said;
  PermutationLayout const& p;
  std::vector<Score> scores;
  Pool<std::unique_ptr<Rescorer>> rescorers;
  Handover<Left> ready;
  std::unique_ptr<Sequential> sequential;  ///< where targets stop
  Handover<Stopped> stopped;
  Extremity extremity{shared.config.permutation.tail, scores};

  [[nodiscard]] std::size_t first(std::size_t tile) const { return tile * p.tile; }
  [[nodiscard]] std::size_t width(std::size_t tile) const { return std::min(p.tile, shared.layout.t - tile * p.tile); }
  [[nodiscard]] std::size_t from(std::size_t block) const { return block * p.block; }
  [[nodiscard]] std::size_t count(std::size_t block) const { return std::min(p.block, p.n - block * p.block); }

  /// [layer][score][T], as Extremity sees them; those of the rescorer where its numbers are its own.
  std::vector<double> observed_of(std::size_t tile, std::vector<double> const& own) const {
    std::size_t const T = width(tile), S = scores.size();
    std::vector<double> out(layers * S * T);
    for (std::size_t l = 0; l < layers; ++l)
      for (std::size_t s = 0; s < S; ++s)
        for (std::size_t t = 0; t < T; ++t) {
          double const value =
              own.empty() ? observed.score[first_layer + l][s][first(tile) + t] : own[(l * S + s) * T + t];
          out[(l * S + s) * T + t] = extremity(s, value);
        }
    return out;
  }
  [[nodiscard]] std::vector<double> best(std::vector<double> const& all, std::size_t T) const {
    std::vector<std::vector<double>> each;
    for (std::size_t l = 0; l < layers; ++l) {
      auto const at = all.begin() + static_cast<std::ptrdiff_t>(l * scores.size() * T);
      each.emplace_back(at, at + static_cast<std::ptrdiff_t>(T));
    }
    return best_of(each);
  }

  /// Without branches: a trial of fixed_model costs little more than this.
  static void count_trial(double const* value, double const* seen, std::size_t T, std::uint32_t* exceed, double& max) {
    double greatest = max;
    for (std::size_t t = 0; t < T; ++t) {
      bool const has = !std::isnan(seen[t]);
      // A score that a rearrangement does not have (a constant fold) counts against the observed one.
      exceed[t] += static_cast<std::uint32_t>(has & (std::isnan(value[t]) | reaches(value[t], seen[t])));
      greatest = has && value[t] > greatest ? value[t] : greatest;
    }
    max = greatest;
  }

  Left unit(std::size_t tile, std::size_t block, Rescorer& rescorer) const {
    std::size_t const T = width(tile), S = scores.size(), L = layers, P = count(block);
    bool const with_best = tests_best(shared.layout);
    Left left{tile, block, std::vector<std::uint32_t>(L * S * T, 0), std::vector<double>(L * S * P, least), {}, {}, {}};
    bool const with_tail = shared.config.permutation.fits_targets();
    Greatest tail(with_tail ? (L * S + (with_best ? 1 : 0)) * T : 0, tail_width(p, block));
    rescorer.begin({.first = first(tile), .y = y.columns(first(tile), T), .end = p.first + from(block) + P});
    auto const seen = observed_of(tile, rescorer.identity());
    auto const best_seen = best(seen, T);
    left.best_exceed.assign(with_best ? T : 0, 0);
    left.maps.resize(shared.config.keeps_maps() ? L * P * T : 0);
    std::vector<double> values;
    for (std::size_t i = 0; i < P; ++i) {
      rescorer.trial(p.first + from(block) + i, values);
      for (std::size_t at = 0; at < left.maps.size() / P; ++at) {  // scores[0] of each layer
        std::size_t const k = at / T * S * T + at % T;
        left.maps[(at / T * P + i) * T + at % T] = static_cast<float>(std::isnan(seen[k]) ? seen[k] : values[k]);
      }
      for (std::size_t k = 0; k < L * S; ++k) {
        double* const value = values.data() + k * T;
        for (std::size_t t = 0; t < T; ++t) value[t] = extremity(k % S, value[t]);
        count_trial(value, seen.data() + k * T, T, left.exceed.data() + k * T, left.max[k * P + i]);
        for (std::size_t t = 0; with_tail && t < T; ++t)
          if (!std::isnan(seen[k * T + t])) tail.add(k * T + t, kept(value[t]));
      }
      if (!with_best) continue;
      auto const greatest = best(values, T);
      for (std::size_t t = 0; t < T; ++t) {
        if (std::isnan(best_seen[t])) continue;
        left.best_exceed[t] += std::isnan(greatest[t]) || reaches(greatest[t], best_seen[t]) ? 1 : 0;
        if (with_tail) tail.add(L * S * T + t, kept(greatest[t]));
      }
    }
    left.tail = tail.take();
    return left;
  }
  /// No score at all counts as the most extreme one.
  [[nodiscard]] static float kept(double value) { return static_cast<float>(std::isnan(value) ? -least : value); }

  void write(Left const& left) const {
    std::size_t const T = width(left.tile), S = scores.size(), P = count(left.block);
    std::size_t const counts_at = first(left.tile) * p.blocks + left.block * T;
    ResultFile& out = shared.result;
    for (std::size_t k = 0; k < layers * S; ++k) {
      std::string const& layer = shared.inputs.layers[first_layer + k / S].name;
      std::string const& score = shared.config.scores[k % S];
      out.write_slice(working_name(layer, score, "exceed"), 0, counts_at, std::span(left.exceed).subspan(k * T, T));
      out.write_slice(working_name(layer, score, "max"), 0, left.tile * p.n + from(left.block),
                      std::span(left.max).subspan(k * P, P));
    }
    for (std::size_t l = 0; !left.maps.empty() && l < layers; ++l)
      out.write_slice(working_name(shared.inputs.layers[first_layer + l].name, shared.config.scores[0], "map"), 0,
                      first(left.tile) * p.n + from(left.block) * T,
                      std::span<float const>(left.maps).subspan(l * P * T, P * T));
    if (!left.best_exceed.empty())
      out.write_slice(best_working, 0, counts_at, std::span<std::uint32_t const>(left.best_exceed));
    std::size_t const tail_of = T * tail_width(p, left.block), tail_to = tail_at(p, left.tile, T, left.block);
    for (std::size_t k = 0; k * tail_of < left.tail.size(); ++k)
      out.write_slice(k == layers * S
                          ? best_tail
                          : tail_name(shared.inputs.layers[first_layer + k / S].name, shared.config.scores[k % S]),
                      0, tail_to, std::span<float const>(left.tail).subspan(k * tail_of, tail_of));
  }
};

PermutationTiles::PermutationTiles(Shared const& shared, TargetBlock const& y, Observed const& observed,
                                   std::size_t group, std::size_t layers,
                                   std::function<std::unique_ptr<Rescorer>()> make,
                                   std::function<void(std::size_t)> said)
    : impl_(new Impl{shared,
                     y,
                     observed,
                     layers,
                     group,
                     shared.layout.permutation.groups == 1 ? 0 : group,
                     std::move(make),
                     std::move(said),
                     shared.layout.permutation,
                     scores_of(shared.config),
                     {},
                     {},
                     nullptr,
                     {}}) {
  if (shared.config.permutation.stop.exceed > 0)
    impl_->sequential = std::make_unique<Sequential>(shared, observed, impl_->first_layer, layers);
}
PermutationTiles::~PermutationTiles() = default;

void PermutationTiles::compute(std::size_t tile) {
  Impl& m = *impl_;
  auto rescorer = m.rescorers.take();
  if (*rescorer == nullptr) *rescorer = m.make();
  std::size_t const at = tile / m.p.blocks, block = tile % m.p.blocks;
  if (m.sequential != nullptr)
    m.stopped.give(tile, m.sequential->unit(at, block, m.y.columns(m.first(at), m.width(at)), **rescorer));
  else
    m.ready.give(tile, m.unit(at, block, **rescorer));
  m.rescorers.give(std::move(rescorer));
}

void PermutationTiles::write(std::span<std::size_t const> mine) {
  Impl& m = *impl_;
  for (std::size_t tile : mine)
    if (m.sequential != nullptr)
      m.sequential->write(tile / m.p.blocks, tile % m.p.blocks, m.stopped.take(tile));
    else
      m.write(m.ready.take(tile));
}

void PermutationTiles::mark(std::span<std::size_t const> mine) {
  impl_->shared.result.mark(mine, impl_->shared.layout.fits() + impl_->group * impl_->p.tiles * impl_->p.blocks);
}

void PermutationTiles::advance(std::size_t block) {
  if (impl_->sequential != nullptr) impl_->sequential->advance(block);
}

void PermutationTiles::flush() { impl_->shared.result.flush(); }
void PermutationTiles::progress(std::size_t done) { impl_->said(done); }

}  // namespace striate::encode
