#include "encode_plan.hpp"

#include <algorithm>
#include <numeric>

#include "encode_maps.hpp"
#include "encode_tail.hpp"

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

double held_folds_bytes(Layout const& layout, Costs const& costs) {
  if (layout.permutation.n == 0) return 0;
  double const held = layout.permutation.groups == 1 ? std::accumulate(costs.kept.begin(), costs.kept.end(), 0.0)
                                                     : *std::ranges::max_element(costs.kept);
  double preparing = 0;
  for (ModelCost const& c : costs.layer) preparing = std::max(preparing, c.shared_bytes - c.shared_kept_bytes);
  return held + preparing;
}

}  // namespace striate::encode
