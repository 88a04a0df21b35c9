#include "encode_spatial.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "encode_permute.hpp"
#include "encode_scores.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/tail.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Neighbours neighbours_of(Config const& config, Inputs const& in) {
  return grid_neighbours({in.grid[0], in.grid[1], in.grid[2]}, in.index, static_cast<int>(config.permutation.connectivity));
}

/// Where units leave the maxima of one layer; a member each of SpatialNull.
struct Kept {
  char const* working;
  std::vector<double> SpatialNull::*values;
};
std::vector<Kept> kept(Config const& config) {
  std::vector<Kept> all;
  if (config.permutation.corrects("tfce")) all.push_back({"tfce", &SpatialNull::tfce});
  if (config.permutation.corrects("cluster"))
    all.insert(all.end(), {{"cluster_size", &SpatialNull::size}, {"cluster_mass", &SpatialNull::mass}});
  return all;
}

/// Maps are float32: what differs by their rounding alone counts as equal.
std::vector<double> less_rounding(std::vector<double> observed) {
  for (double& v : observed) v *= 1 - 1e-6;
  return observed;
}

/// By the maxima.
std::vector<double> map_p(std::vector<double> const& observed, std::vector<double> const& max) {
  return maximum_p(less_rounding(observed), max);
}

}  // namespace

std::vector<ResultDataset> spatial_results(Config const& config, std::string const& layer, std::size_t t,
                                           std::size_t permutations) {
  using h5::Dtype;
  std::vector<ResultDataset> d;
  auto const add = [&](char const* what, Dtype type, std::size_t size) {
    d.push_back({permutation_name(layer, config.scores[0], what), type, {size}, 0});
  };
  if (permutations > 0 && config.permutation.corrects("tfce")) {
    add("tfce", Dtype::f64, t);
    add("p_tfce", Dtype::f64, t);
    if (config.permutation.fits_tail()) add("p_tfce_gpd", Dtype::f64, t);
    add("null_tfce", Dtype::f64, permutations);
  }
  if (permutations > 0 && config.permutation.corrects("cluster")) {
    add("cluster", Dtype::i32, t);
    for (char const* what : {"cluster_size", "cluster_mass", "p_cluster", "p_cluster_mass"}) add(what, Dtype::f64, t);
    for (char const* what : {"null_cluster_size", "null_cluster_mass"}) add(what, Dtype::f64, permutations);
  }
  return d;
}

std::vector<ResultDataset> spatial_working(Config const& config, Inputs const& in, Layout const& layout) {
  std::vector<ResultDataset> d;
  PermutationLayout const& p = layout.permutation;
  if (!config.keeps_maps()) return d;
  for (LayerInput const& l : in.layers) {
    d.push_back({working_name(l.name, config.scores[0], "map"), h5::Dtype::f32, {layout.t * p.n}, 0});
    for (Kept const& k : config.permutation.spatial() ? kept(config) : std::vector<Kept>())
      d.push_back({working_name(l.name, config.scores[0], k.working), h5::Dtype::f64, {p.n}, 0});
  }
  return d;
}

std::vector<std::string> spatial_p(Config const& config) {
  std::vector<std::string> stats;
  if (!config.permutation.spatial()) return stats;
  if (config.permutation.corrects("tfce")) stats.emplace_back("p_tfce");
  if (config.permutation.corrects("tfce") && config.permutation.fits_tail()) stats.emplace_back("p_tfce_gpd");
  if (config.permutation.corrects("cluster")) stats.insert(stats.end(), {"p_cluster", "p_cluster_mass"});
  return stats;
}

std::vector<std::string> spatial_stats(Config const& config) {
  auto stats = spatial_p(config);
  if (!config.permutation.spatial()) return stats;
  if (config.permutation.corrects("tfce")) stats.emplace_back("tfce");
  if (config.permutation.corrects("cluster")) stats.emplace_back("cluster");
  return stats;
}

void SpatialNull::append(SpatialNull const& more) {
  tfce.insert(tfce.end(), more.tfce.begin(), more.tfce.end());
  size.insert(size.end(), more.size.begin(), more.size.end());
  mass.insert(mass.end(), more.mass.begin(), more.mass.end());
}

SpatialNull read_spatial(Config const& config, std::string const& layer, ResultFile const& result) {
  SpatialNull null;
  for (Kept const& k : kept(config)) null.*k.values = result.read<double>(working_name(layer, config.scores[0], k.working));
  return null;
}

void write_spatial(Config const& config, Inputs const& in, std::string const& layer, std::vector<double> const& score,
                   SpatialNull const& null, ResultFile& out) {
  Neighbours const neighbours = neighbours_of(config, in);
  std::vector<float> const scores(score.begin(), score.end());
  auto const maps = MapStatistics(config, neighbours).maps(scores);
  auto const write = [&](char const* what, std::vector<double> const& values) {
    out.write(permutation_name(layer, config.scores[0], what), std::span<double const>(values));
  };
  if (config.permutation.corrects("tfce")) {
    write("tfce", maps.tfce);
    write("p_tfce", map_p(maps.tfce, null.tfce));
    if (config.permutation.fits_tail()) write("p_tfce_gpd", tail_p(less_rounding(maps.tfce), null.tfce));
    write("null_tfce", null.tfce);
  }
  if (!config.permutation.corrects("cluster")) return;
  out.write(permutation_name(layer, config.scores[0], "cluster"), std::span<std::int32_t const>(maps.label));
  write("cluster_size", maps.size);
  write("cluster_mass", maps.mass);
  write("p_cluster", maximum_p(maps.size, null.size));
  write("p_cluster_mass", map_p(maps.mass, null.mass));
  write("null_cluster_size", null.size);
  write("null_cluster_mass", null.mass);
}

MapStatistics::MapStatistics(Config const& config, Neighbours const& neighbours)
    : test_(config.permutation), neighbours_(neighbours), better_(better(scores_of(config)[0])), tfce_(neighbours) {}

/// Calls `each` with a map in which greater is more extreme, and the sign of its scores.
template <class F>
void MapStatistics::sides(std::span<float const> scores, F const& each) {
  for (int const sign : {1, -1}) {
    if (test_.tail == (sign > 0 ? "left" : "right")) continue;
    side_.resize(scores.size());
    for (std::size_t i = 0; i < scores.size(); ++i) side_[i] = static_cast<float>(sign * better_) * scores[i];
    each(sign);
  }
}

MapStatistics::Maxima MapStatistics::maxima(std::span<float const> scores) {
  Maxima max;
  enhanced_.resize(scores.size());
  sides(scores, [&](int) {
    if (test_.corrects("tfce")) {
      tfce_.enhance(side_, enhanced_);
      for (double v : enhanced_) max.tfce = v > max.tfce ? v : max.tfce;  // NaN never
    }
    if (!test_.corrects("cluster")) return;
    Clusters const found = clusters(neighbours_, side_, *test_.cluster_threshold);
    if (!found.size.empty()) max.size = std::max(max.size, static_cast<double>(found.size[0]));
    for (double mass : found.mass) max.mass = std::max(max.mass, mass);
  });
  return max;
}

MapStatistics::Maps MapStatistics::maps(std::span<float const> scores) {
  std::size_t const t = scores.size();
  Maps out{std::vector<double>(t, 0), std::vector<double>(t, 0), std::vector<double>(t, 0), std::vector<std::int32_t>(t, 0)};
  enhanced_.resize(t);
  sides(scores, [&](int sign) {
    if (test_.corrects("tfce")) {
      tfce_.enhance(side_, enhanced_);
      for (std::size_t i = 0; i < t; ++i) out.tfce[i] += enhanced_[i];  // of the two signs one is 0
    }
    if (!test_.corrects("cluster")) return;
    Clusters const found = clusters(neighbours_, side_, *test_.cluster_threshold);
    int const of_label = test_.tail == "two" ? sign : 1;
    for (std::size_t i = 0; i < t; ++i) {
      if (found.label[i] == 0) continue;
      auto const k = static_cast<std::size_t>(found.label[i] - 1);
      out.label[i] = of_label * found.label[i];
      out.size[i] = static_cast<double>(found.size[k]), out.mass[i] = found.mass[k];
    }
  });
  for (std::size_t i = 0; i < t; ++i)
    if (std::isnan(scores[i])) out.tfce[i] = out.size[i] = out.mass[i] = nan;
  return out;
}

SpatialTiles::SpatialTiles(Shared const& shared, std::function<void(std::size_t)> said)
    : s_(shared),
      p_(shared.layout.permutation),
      said_(std::move(said)),
      neighbours_(neighbours_of(shared.config, shared.inputs)) {}

std::size_t SpatialTiles::from(std::size_t unit) const { return unit % p_.map_blocks * p_.map_block; }
std::size_t SpatialTiles::count(std::size_t unit) const { return std::min(p_.map_block, p_.n - from(unit)); }

void SpatialTiles::load(std::size_t unit) {
  std::size_t const t = s_.layout.t, P = count(unit);
  std::string const name = working_name(s_.inputs.layers[unit / p_.map_blocks].name, s_.config.scores[0], "map");
  std::vector<float> values(t * P);
  for (std::size_t first = 0; first < t; first += p_.tile) {
    std::size_t const T = std::min(p_.tile, t - first);
    s_.result.read_slice(name, first * p_.n + from(unit) * T, std::span(values).subspan(first * P, T * P));
  }
  loaded_.give(unit, std::move(values));
}

void SpatialTiles::compute(std::size_t unit) {
  auto const values = loaded_.take(unit);
  auto statistics = statistics_.take();
  if (*statistics == nullptr) *statistics = std::make_unique<MapStatistics>(s_.config, neighbours_);
  std::size_t const t = s_.layout.t, P = count(unit);
  std::vector<float> map(t);
  SpatialNull null;
  for (std::size_t i = 0; i < P; ++i) {
    for (std::size_t first = 0; first < t; first += p_.tile) {
      std::size_t const T = std::min(p_.tile, t - first);
      std::copy_n(values.data() + first * P + i * T, T, map.data() + first);
    }
    auto const max = (*statistics)->maxima(map);
    null.append({{max.tfce}, {max.size}, {max.mass}});
  }
  statistics_.give(std::move(statistics));
  ready_.give(unit, std::move(null));
}

void SpatialTiles::write(std::span<std::size_t const> mine) {
  for (std::size_t unit : mine) {
    SpatialNull const null = ready_.take(unit);
    std::string const& layer = s_.inputs.layers[unit / p_.map_blocks].name;
    for (Kept const& k : kept(s_.config))
      s_.result.write_slice(working_name(layer, s_.config.scores[0], k.working), 0, from(unit),
                            std::span<double const>(null.*k.values));
  }
}

}  // namespace striate::encode
