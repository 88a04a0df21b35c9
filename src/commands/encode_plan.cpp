#include "encode_plan.hpp"

#include <algorithm>
#include <numeric>

#include "encode_bootstrap.hpp"
#include "encode_maps.hpp"
#include "encode_tail.hpp"
#include "encode_whole.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::encode {

TestCost test_cost(Config const& config, Inputs const& in, Layout const& layout, Costs const& costs) {
  PermutationLayout const& p = layout.permutation;
  if (p.n == 0) return {};
  bool const model = config.permutation.scheme == "fixed_model", alpha = config.permutation.scheme == "fixed_alpha";
  auto const t = static_cast<double>(layout.t), n = static_cast<double>(p.n), folds = static_cast<double>(in.folds);
  double const moved =
      32 * static_cast<double>(in.n());  // a permutation's responses, or their products with predictions
  double const passes = model ? static_cast<double>(p.blocks) : n;  // through the folds, of each target
  TestCost cost{costs.folds_flops, costs.folds_work};
  for (ModelCost const& c : costs.layer) {
    if (p.refits) cost.flops += n * folds * c.refit_flops, cost.work += n * folds * c.refit_work;
    cost.flops += t * (n * moved + passes * folds * (alpha ? c.fixed_flops : c.flops_per_target));
    cost.work += t * (n * moved + passes * folds * (alpha ? c.fixed_work : c.work_per_target));
  }
  return cost;
}

double maps_bytes(Config const& config, Inputs const& in, Layout const& layout, int threads) {
  PermutationLayout const& p = layout.permutation;
  auto const t = static_cast<double>(layout.t), layers = static_cast<double>(in.layers.size());
  double most = 2 * threads * tail_bytes(config, layout);  // a round is computed while the one before is written
  if (config.keeps_maps()) {
    double const group = p.groups == 1 ? layers : 1;
    most += 2 * threads * 4.0 * group * static_cast<double>(p.block * p.tile);
    most = std::max(most, kept_maps_bytes(in, layout));
  }
  if (p.maps > 0) {  // read ahead for every thread; a map, its enhanced scores and what clusters are joined in
    double const unit = 4.0 * t * static_cast<double>(p.map_block);
    most = std::max(most, threads * (unit + 64 * t));
  }
  most = std::max(most, tail_fit_bytes(config, layout));
  return most;
}

double bootstrap_bytes(Config const& config, Inputs const& in, Layout const& layout, int threads) {
  BootstrapLayout const& b = layout.bootstrap;
  if (b.n == 0) return 0;
  auto const parts = first_parts(in, layout);
  std::size_t most = 0;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) most = std::max(most, parts[i + 1] - parts[i]);
  auto const rows = static_cast<double>(heldout_rows(in)), n = static_cast<double>(b.n),
             t = static_cast<double>(layout.t), tile = static_cast<double>(padded_cols(b.tile)),
             layers = static_cast<double>(layout.layers), values = layers * static_cast<double>(config.scores.size());
  // Responses and predictions with their squares, scores of all draws, weights of a block of them, what regions sum up.
  double const unit = 4 * tile * (rows * (2 + 4 * layers) + values * n) + 4 * 192 * (rows + 5 * tile) +
                      8 * 192 * tile * (config.aggregate == "concat" ? 6 * layers : values) +
                      8 * values * (3 * tile + static_cast<double>(most) * (n + 1));
  double const regions = 8 * (n + 1) * static_cast<double>(most + in.regions.size() + 2);
  return std::max(threads * unit, regions) + 8 * values * t;
}

double held_folds_bytes(Layout const& layout, Costs const& costs) {
  if (layout.permutation.n == 0) return 0;
  double const held = layout.permutation.groups == 1 ? std::accumulate(costs.kept.begin(), costs.kept.end(), 0.0)
                                                     : *std::ranges::max_element(costs.kept);
  double preparing = 0;
  for (ModelCost const& c : costs.layer) preparing = std::max(preparing, c.shared_bytes - c.shared_kept_bytes);
  // Every node holds the fits of a batch of permutations; those before it are gone when the first is full.
  return held + std::max(preparing, layout.permutation.refits ? most_trials_bytes : 0);
}

}  // namespace striate::encode
