#include "encode_maps.hpp"

#include <algorithm>
#include <set>

#include "encode_permute.hpp"
#include "striate/brain/array.hpp"

namespace striate::encode {
namespace {

constexpr std::size_t held_scores = std::size_t{1} << 24;  ///< of a block of permutations, all layers: 64 MiB

/// "stores/alexnet.act.h5" → alexnet; "f.h5:/conv1" → f.
std::string stem_of(std::filesystem::path const& store) {
  auto const h5 = split_h5_name(store);
  std::string const name = (h5 ? h5->first : store).filename().string();
  return name.substr(0, name.find('.', 1));
}

std::string name_of(Config const& config, std::size_t store) {
  FeatureSet const& f = config.features[store];
  return f.name.empty() ? stem_of(f.store) : f.name;
}

/// Permutations that are read at once.
std::size_t block_of(Inputs const& in, Layout const& layout) {
  return std::clamp<std::size_t>(held_scores / (layout.t * in.layers.size()), 1,
                                 std::max<std::size_t>(1, layout.permutation.n));
}

}  // namespace

double kept_maps_bytes(Inputs const& in, Layout const& layout) {
  auto const scores = static_cast<double>(block_of(in, layout) * layout.t);
  return 4 * scores * static_cast<double>(in.layers.size() + 1);
}

void each_permuted_map(Config const& config, Inputs const& in, Layout const& layout, ResultFile const& result,
                       std::function<void(std::vector<std::span<float const>> const&)> const& use) {
  PermutationLayout const& p = layout.permutation;
  std::size_t const t = layout.t, L = in.layers.size();
  std::size_t const block = block_of(in, layout);
  std::vector<std::vector<float>> maps(L);
  std::vector<float> tile;
  for (std::size_t from = 0; from < p.n; from += block) {
    std::size_t const P = std::min(block, p.n - from);
    for (std::size_t l = 0; l < L; ++l) {
      std::string const name = working_name(in.layers[l].name, config.scores[0], "map");
      maps[l].resize(P * t);
      for (std::size_t first = 0; first < t; first += p.tile) {
        std::size_t const T = std::min(p.tile, t - first);
        tile.resize(P * T);
        result.read_slice(name, first * p.n + from * T, std::span(tile));
        for (std::size_t i = 0; i < P; ++i) std::copy_n(tile.data() + i * T, T, maps[l].data() + i * t + first);
      }
    }
    std::vector<std::span<float const>> one(L);
    for (std::size_t i = 0; i < P; ++i) {
      for (std::size_t l = 0; l < L; ++l) one[l] = std::span<float const>(maps[l]).subspan(i * t, t);
      use(one);
    }
  }
}

std::vector<Net> nets_of(Config const& config, Inputs const& in) {
  std::vector<Net> nets;
  if (!in.bands.empty()) {
    std::set<std::size_t> stores;
    for (auto const& band : in.bands) stores.insert(band.store);
    std::string name;
    for (std::size_t s : stores) name.append(name.empty() ? "" : "+").append(name_of(config, s));
    return {{name, 0, in.layers.size()}};
  }
  for (std::size_t l = 0; l < in.layers.size(); ++l) {
    if (l == 0 || in.layers[l].store != in.layers[l - 1].store)
      nets.push_back({name_of(config, in.layers[l].store), l, 0});
    ++nets.back().count;
  }
  return nets;
}

}  // namespace striate::encode
