#include "encode_unique.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "encode_bootstrap.hpp"
#include "encode_partition.hpp"
#include "encode_scores.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"
#include "striate/stats/flips.hpp"
#include "striate/stats/multiple.hpp"

namespace striate::encode {
namespace {

/// Of a unit: 30 s of a slow core.
constexpr double unit_flops = 5e10;

/// Which rows are flipped together, and how.
struct Flips {
  std::vector<std::uint32_t> block;  ///< of each row
  std::size_t blocks = 0;
  Permuter permuter;
};

/// Whether each stimulus is flipped by itself.
bool flips_alone(Config const& config, Inputs const& in) {
  return config.permutation.shuffle == "rows" || (config.permutation.shuffle == "sign" && in.exchange.empty());
}

/// What moves as one when responses are rearranged is flipped as one; rows that change places with each other are apart
/// (but for repeats of a stimulus).
Flips make_flips(Config const& config, Inputs const& in) {
  Permutation const& c = config.permutation;
  auto const exchange = number_labels(in.exchange), id = number_labels(in.columns.id);
  bool const alone = flips_alone(config, in);
  std::vector<std::uint8_t> tested(in.n(), 0);
  for (std::size_t f = 0; f < in.folds; ++f)
    for (auto r : in.passes[f].outer.test) tested[r] = 1;
  auto const length = static_cast<std::uint32_t>(c.block);
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> number;
  std::map<std::uint32_t, std::uint32_t> seen;  // rows of each label
  std::vector<std::uint32_t> block;
  for (std::size_t r = 0; r < in.n(); ++r) {
    std::uint32_t const label = exchange.empty() ? 0 : exchange[r];
    std::pair<std::uint32_t, std::uint32_t> key{label, 0};
    if (alone)
      key = {id[r], 0};
    else if (c.shuffle == "blocks" && length > 0)
      key = {label, seen[label]++ / length};
    block.push_back(tested[r] == 0 ? 0 : number.emplace(key, number.size()).first->second);  // of others none is looked at
  }
  PermutationSpec spec;
  spec.shuffle = Shuffle::sign;
  spec.seed = static_cast<std::uint64_t>(config.seed);
  spec.stream = 0xFFFFFFFF;  // no fold's
  return {block, number.size(), Permuter(spec, number.size())};
}

}  // namespace

bool tests_unique(Config const& config) { return config.partition && config.permutation.n > 0 && config.outer(); }

bool keeps_heldout(Config const& config, Inputs const& in, std::size_t layer) {
  if (config.bootstrap.n > 0) return true;
  if (!tests_unique(config)) return false;
  auto const models = unique_models(config, in);
  return layer == models.all || std::ranges::find(models.without, layer) != models.without.end();
}

std::string unique_name(std::string const& space, std::string const& what) {
  return fmt::format("/permutation/unique/{}/{}", space, what);
}
namespace {
std::string maxima_name(std::string const& space) { return "/.striate/permutation_unique/max/" + space; }

std::vector<std::string> unique_stats(Config const& config) {
  std::vector<std::string> stats{"p"};
  for (auto const& [how, stat] :
       {std::pair{"fdr", "q_fdr"}, std::pair{"fdr_by", "q_fdr_by"}, std::pair{"max", "p_max"}})
    if (config.permutation.corrects(how)) stats.emplace_back(stat);
  return stats;
}
}  // namespace

BootstrapLayout unique_layout(Config const& config, Inputs const& in, Layout const& l) {
  if (!tests_unique(config)) return {};
  auto const models = static_cast<double>(unique_models(config, in).without.size() + 1);
  double const bytes = models * (4 * static_cast<double>(heldout_rows(in)) + 8 * static_cast<double>(in.n()));
  return draw_layout(l, static_cast<std::size_t>(config.permutation.n), bytes, unique_flops(config, in), unit_flops);
}

std::vector<ResultDataset> unique_datasets(Config const& config, Inputs const& in, Layout const& layout) {
  using h5::Dtype;
  std::vector<ResultDataset> d;
  if (!tests_unique(config)) return d;
  BootstrapLayout const& u = layout.unique;
  for (std::size_t l = 0; l < in.layers.size() && config.bootstrap.n == 0; ++l)
    if (keeps_heldout(config, in, l))
      d.push_back({heldout_name(in.layers[l].name), Dtype::f32, {heldout_rows(in) * layout.t}, 0});
  for (auto const& space : unique_models(config, in).space) {
    d.push_back({unique_name(space, "statistic"), Dtype::f64, {layout.t}, u.tile});
    d.push_back({unique_name(space, "exceed"), Dtype::u64, {layout.t}, u.tile});
    for (auto const& stat : unique_stats(config)) d.push_back({unique_name(space, stat), Dtype::f64, {layout.t}, 0});
    if (!config.permutation.corrects("max")) continue;
    d.push_back({unique_name(space, "null_max"), Dtype::f64, {u.n}, 0});
    d.push_back({maxima_name(space), Dtype::f64, {u.tiles * u.n}, 0});
  }
  return d;
}

std::vector<std::pair<std::string, std::string>> unique_maps(Config const& config, Inputs const& in) {
  std::vector<std::pair<std::string, std::string>> maps;
  if (!tests_unique(config)) return maps;
  for (auto const& space : unique_models(config, in).space)
    for (auto const& stat : unique_stats(config))
      maps.emplace_back(unique_name(space, stat), fmt::format("unique_{}_stat-{}", file_safe(space), stat));
  return maps;
}

void check_unique(Config const& config, Inputs const& in) {
  if (!tests_unique(config)) return;
  Flips const flips = make_flips(config, in);
  double const arrangements = flips.permuter.log10_arrangements();
  if (config.cv.group && flips_alone(config, in))
    log::warn(
        "permutation: cv.group keeps the rows of a {} together, but the test of unique variance flips each by itself; "
        "where they are correlated, use shuffle: blocks and exchange: {}",
        *config.cv.group, *config.cv.group);
  if (arrangements < std::log10(static_cast<double>(config.permutation.n)))
    log::warn(
        "permutation: the improvement by a space is flipped in {} blocks (permutation.exchange, block), so that only "
        "{:.0f} flips exist for {} permutations; no p of unique variance can be below {:.2g}",
        flips.blocks, std::pow(10.0, arrangements), config.permutation.n, std::pow(10.0, -arrangements));
}

double unique_flops(Config const& config, Inputs const& in) {
  auto const models = static_cast<double>(unique_models(config, in).without.size() + 1);
  return models * (2 * static_cast<double>(config.permutation.n) * static_cast<double>(make_flips(config, in).blocks) +
                   10 * static_cast<double>(heldout_rows(in)));
}

double unique_bytes(Config const& config, Inputs const& in, Layout const& layout, int threads) {
  if (!tests_unique(config)) return 0;
  auto const models = static_cast<double>(unique_models(config, in).without.size() + 1);
  double const one = models * (4 * static_cast<double>(heldout_rows(in)) +
                               16 * static_cast<double>(make_flips(config, in).blocks));
  return threads * static_cast<double>(layout.unique.tile) * one;
}

void derive_unique(Config const& config, Inputs const& in, Layout const& layout, ResultFile& result) {
  if (!tests_unique(config)) return;
  std::size_t const n = layout.unique.n;
  for (auto const& space : unique_models(config, in).space) {
    auto const seen = result.read<double>(unique_name(space, "statistic"));
    auto const write = [&](char const* what, std::vector<double> const& values) {
      result.write(unique_name(space, what), std::span<double const>(values));
    };
    auto const p = permutation_p(seen, result.read<std::uint64_t>(unique_name(space, "exceed")), n);
    write("p", p);
    if (config.permutation.corrects("fdr")) write("q_fdr", fdr_bh(p));
    if (config.permutation.corrects("fdr_by")) write("q_fdr_by", fdr_by(p));
    if (!config.permutation.corrects("max")) continue;
    auto const tiles = result.read<double>(maxima_name(space));
    std::vector<double> max(n, -std::numeric_limits<double>::infinity());
    for (std::size_t i = 0; i < tiles.size(); ++i) max[i % n] = std::max(max[i % n], tiles[i]);
    write("p_max", maximum_p(seen, max));
    write("null_max", max);
  }
}

struct UniqueTiles::Impl {
  Shared const& s;
  TargetBlock const& y;
  std::function<void(std::size_t)> said;
  BootstrapLayout const& u;
  UniqueModels models;
  std::vector<std::size_t> layers;  ///< whose predictions are read: those that lack a space, then all spaces
  Flips flips;
  std::vector<double> weight;                        ///< of each fold
  Handover<std::vector<std::vector<float>>> loaded;  ///< [of layers][fold]: rows × T
  Handover<FlipCounts> ready;

  /// Adds the improvements of a fold, in shares of the variance of its test responses (with aggregate: concat in the
  /// units of the model), so that all of them together are the difference of R².
  void add_fold(std::size_t f, std::size_t tile, std::vector<std::vector<float>> const& predicted,
                std::vector<double>& sums) const {
    std::size_t const T = u.width(tile, s.layout.t), first = u.first(tile), k = s.inputs.folds,
                      m = models.without.size();
    FoldPlan const& plan = s.inputs.passes[f];
    auto const& test = plan.outer.test;
    auto const y_tile = y.columns(first, T);
    bool const concat = s.config.aggregate == "concat";
    for (std::size_t t = 0; t < T; ++t) {
      Units const units = units_of(s.config, plan, y_tile, t);
      double mean = 0, test_mean = 0, square = 0;
      for (auto r : plan.outer.train) mean += y_tile(r, t);
      mean = (mean / static_cast<double>(plan.outer.train.size()) - units.shift) / units.sd;
      auto const response = [&](std::size_t i) { return (y_tile(test[i], t) - units.shift) / units.sd; };
      auto const error = [&](std::size_t layer, std::size_t i) {
        double const e = response(i) - (predicted[layer * k + f][t * test.size() + i] - units.predicted_shift);
        return e * e;
      };
      for (std::size_t i = 0; i < test.size(); ++i) test_mean += response(i) / static_cast<double>(test.size());
      for (std::size_t i = 0; i < test.size(); ++i) square += (response(i) - test_mean) * (response(i) - test_mean);
      double const scale = concat ? 1 : weight[f] / square;
      for (std::size_t i = 0; i < test.size(); ++i) {
        double const all = error(m, i), of_mean = (response(i) - mean) * (response(i) - mean);
        std::size_t const at = flips.block[test[i]] * T + t;
        for (std::size_t l = 0; l < m; ++l) sums[l * flips.blocks * T + at] += scale * (error(l, i) - all);
        sums[m * flips.blocks * T + at] += scale * (of_mean - all);
      }
    }
  }
};

UniqueTiles::UniqueTiles(Shared const& shared, TargetBlock const& y, std::function<void(std::size_t)> said)
    : impl_(new Impl{shared,
                     y,
                     std::move(said),
                     shared.layout.unique,
                     unique_models(shared.config, shared.inputs),
                     {},
                     make_flips(shared.config, shared.inputs),
                     fold_weights(shared.config, shared.inputs),
                     {},
                     {}}) {
  impl_->layers = impl_->models.without;
  impl_->layers.push_back(impl_->models.all);
  double total = 0;
  for (double w : impl_->weight) total += w;
  for (double& w : impl_->weight) w /= total;
}
UniqueTiles::~UniqueTiles() = default;

void UniqueTiles::load(std::size_t tile) {
  Impl& m = *impl_;
  m.loaded.give(tile, read_heldout(m.s, m.layers, m.u.first(tile), m.u.width(tile, m.s.layout.t)));
}

void UniqueTiles::compute(std::size_t tile) {
  Impl& m = *impl_;
  std::size_t const T = m.u.width(tile, m.s.layout.t), tests = m.models.without.size();
  auto const predicted = m.loaded.take(tile);
  std::vector<double> sums((tests + 1) * m.flips.blocks * T, 0);
  for (std::size_t f = 0; f < m.s.inputs.folds; ++f) m.add_fold(f, tile, predicted, sums);
  m.ready.give(tile, flip_improvements(std::move(sums), tests, m.flips.blocks, T, m.flips.permuter, m.u.n));
}

void UniqueTiles::write(std::span<std::size_t const> mine) {
  Impl& m = *impl_;
  for (std::size_t tile : mine) {
    FlipCounts const counts = m.ready.take(tile);
    std::size_t const T = m.u.width(tile, m.s.layout.t), first = m.u.first(tile);
    ResultFile& out = m.s.result;
    for (std::size_t k = 0; k < m.models.space.size(); ++k) {
      std::string const& space = m.models.space[k];
      out.write_slice(unique_name(space, "statistic"), 0, first, std::span(counts.statistic).subspan(k * T, T));
      out.write_slice(unique_name(space, "exceed"), 0, first, std::span(counts.exceed).subspan(k * T, T));
      if (m.s.config.permutation.corrects("max"))
        out.write_slice(maxima_name(space), 0, tile * m.u.n, std::span(counts.max).subspan(k * m.u.n, m.u.n));
    }
  }
}
void UniqueTiles::mark(std::span<std::size_t const> mine) { impl_->s.result.mark(mine, impl_->s.layout.draws()); }
void UniqueTiles::flush() { impl_->s.result.flush(); }
void UniqueTiles::progress(std::size_t done) { impl_->said(done); }

}  // namespace striate::encode
