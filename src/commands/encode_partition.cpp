#include "encode_partition.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

using Subset = unsigned;

/// Names of spaces, and which bands (layers) each has.
struct Space {
  std::string name;
  std::vector<std::size_t> bands;
};

std::vector<Space> spaces_of(Config const& config, Inputs const& in) {
  std::vector<Space> spaces;
  for (std::size_t b = 0; b < in.bands.size(); ++b) {
    LayerInput const& band = in.bands[b];
    std::string const& name = config.features.size() > 1 ? config.features[band.store].name : band.name;
    if (spaces.empty() || spaces.back().name != name) spaces.push_back({name, {}});
    spaces.back().bands.push_back(b);
  }
  return spaces;
}

/// By size, then by the order of spaces.
std::vector<Subset> subsets_of(std::size_t spaces) {
  std::vector<Subset> all;
  for (Subset s = 1; s < (1U << spaces); ++s) all.push_back(s);
  auto const reversed = [&](Subset s) {  // so that A+B comes before A+C
    Subset r = 0;
    for (std::size_t i = 0; i < spaces; ++i) r |= ((s >> i) & 1U) << (spaces - 1 - i);
    return r;
  };
  std::ranges::sort(all, [&](Subset a, Subset b) {
    return std::pair(std::popcount(a), ~reversed(a)) < std::pair(std::popcount(b), ~reversed(b));
  });
  return all;
}

std::string name_of(std::vector<Space> const& spaces, Subset s) {
  std::string name;
  for (std::size_t i = 0; i < spaces.size(); ++i)
    if ((s >> i) & 1U) name += (name.empty() ? "" : "+") + spaces[i].name;
  return name;
}

std::string dataset_of(std::vector<Space> const& spaces, Subset s) {
  return (std::popcount(s) == 1 ? "/unique/" : "/shared/") + name_of(spaces, s);
}

}  // namespace

Config partition_defaults() {
  Config c;
  c.partition = true;
  c.scores = {"r2"};
  return c;
}

void check_partition(Config const& config) {
  if (!config.partition) return;
  ModelRow const* const row = find_model(config.model.type);
  if (row != nullptr && row->joint)
    fail(Exit::config, "model.type: {} joins all feature spaces itself; partition needs a model of each subset, e.g. ridge",
         config.model.type);
  if (std::ranges::find(config.scores, "r2") == config.scores.end())
    fail(Exit::config, "scores: variance is partitioned by r2, which is not among them; add it");
  for (auto const& f : config.features) {
    if (f.transform.standardize != config.features[0].transform.standardize)
      fail(Exit::config, "features.transform.standardize: differs between stores; partition needs one for all");
    if (f.name == "unique" || f.name == "shared" || f.name == "best" || f.name.find('+') != std::string::npos)
      fail(Exit::config, "features.name: `{}` would be ambiguous in the results; choose another", f.name);
  }
}

void make_subsets(Config const& config, Inputs& in) {
  in.bands = std::move(in.layers);
  in.layers.clear();
  auto const spaces = spaces_of(config, in);
  if (spaces.size() < 2 || spaces.size() > 8)
    fail(Exit::data, "features: {} feature space{}; partition takes 2 to 8 (stores with names, or layers of one store)",
         spaces.size(), spaces.size() == 1 ? "" : "s");
  for (Subset s : subsets_of(spaces.size())) {
    LayerInput subset{0, "", name_of(spaces, s), 0, {}};
    for (std::size_t i = 0; i < spaces.size(); ++i)
      for (std::size_t b : spaces[i].bands)
        if ((s >> i) & 1U) subset.parts.push_back(b), subset.units += in.bands[b].units;
    in.layers.push_back(std::move(subset));
  }
}

std::vector<ResultDataset> partition_datasets(Config const& config, Inputs const& in) {
  std::vector<ResultDataset> d;
  if (!config.partition) return d;
  auto const spaces = spaces_of(config, in);
  for (Subset s : subsets_of(spaces.size())) d.push_back({dataset_of(spaces, s), h5::Dtype::f64, {in.t()}, 0});
  return d;
}

UniqueModels unique_models(Config const& config, Inputs const& in) {
  auto const spaces = spaces_of(config, in);
  auto const subsets = subsets_of(spaces.size());  // in the order of in.layers
  UniqueModels models;
  models.all = subsets.size() - 1;
  for (std::size_t i = 0; i < spaces.size(); ++i) {
    models.space.push_back(spaces[i].name);
    auto const rest = std::ranges::find(subsets, subsets.back() & ~(1U << i));
    models.without.push_back(static_cast<std::size_t>(rest - subsets.begin()));
  }
  return models;
}

std::string share_file(std::string const& dataset) {
  std::size_t const slash = dataset.find('/', 1);
  return dataset.substr(1, slash - 1) + "_" + file_safe(dataset.substr(slash + 1));
}

std::vector<double> commonality(std::vector<double> const& r2) {
  auto const all = static_cast<Subset>(r2.size() - 1);
  std::vector<double> share(r2.size(), 0);
  for (Subset s = 1; s <= all; ++s)
    for (Subset t = s;; t = (t - 1) & s) {  // every subset of s, s and the empty one included
      Subset const with = t | (all & ~s);
      double const value = with == 0 ? 0 : r2[with];
      share[s] += std::popcount(t) % 2 == 1 ? value : -value;
      if (t == 0) break;
    }
  return share;
}

namespace {

/// R² of all spaces below that of some of them makes shares of what the rest lacks. Chance differences do not count.
void warn_of_losses(std::vector<std::vector<double>> const& r2, std::vector<Space> const& spaces) {
  constexpr double least = 0.01, many = 0.1;
  std::size_t predicted = 0, worse = 0;
  std::vector<std::size_t> better(r2.size(), 0);
  for (std::size_t j = 0; j < r2.back().size(); ++j) {
    Subset best = 1;
    for (Subset s = 1; s < r2.size(); ++s)
      if (r2[s][j] > r2[best][j]) best = s;
    if (!(r2[best][j] > least)) continue;
    predicted += 1;
    if (r2.back()[j] < r2[best][j] - least) worse += 1, better[best] += 1;
  }
  if (static_cast<double>(worse) <= many * static_cast<double>(predicted)) return;
  auto const most = static_cast<Subset>(std::ranges::max_element(better) - better.begin());
  log::warn(
      "partition: R² of all spaces lies more than {} below that of fewer of them (most often {}) in {} of the {} "
      "targets that any predicts: shares there are too large or negative by as much; compare /unique with the scores",
      least, name_of(spaces, most), worse, predicted);
}

}  // namespace

void derive_partition(Config const& config, Inputs const& in, ResultFile& result) {
  auto const spaces = spaces_of(config, in);
  std::size_t const count = std::size_t{1} << spaces.size(), t = in.t();
  std::vector<std::vector<double>> r2(count), shares(count, std::vector<double>(t));
  for (Subset s = 1; s < count; ++s) r2[s] = result.read<double>(fmt::format("/{}/score/r2", name_of(spaces, s)));
  warn_of_losses(r2, spaces);
  std::vector<double> one(count, 0);
  for (std::size_t j = 0; j < t; ++j) {
    double sum = 0;
    for (Subset s = 1; s < count; ++s) one[s] = r2[s][j];
    auto const share = commonality(one);
    for (Subset s = 1; s < count; ++s) shares[s][j] = share[s], sum += share[s];
    if (std::abs(sum - one[count - 1]) > 1e-9 * (1 + std::abs(sum)))
      fail(Exit::internal, "partition: the shares of target {} sum to {} where R² of all spaces is {}", j, sum,
           one[count - 1]);
  }
  for (Subset s = 1; s < count; ++s) result.write(dataset_of(spaces, s), std::span<double const>(shares[s]));
}

}  // namespace striate::encode
