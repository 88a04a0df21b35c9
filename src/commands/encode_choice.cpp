#include "encode_choice.hpp"

#include <algorithm>
#include <cmath>

#include "encode_joint.hpp"
#include "striate/models/table.hpp"
#include "striate/par/together.hpp"

namespace striate::encode {
namespace {

__extension__ using Wide = __int128;

/// In units of 2⁻⁴⁰. A score beyond ±1e18 counts as that.
Wide fixed_point(double score) {
  constexpr double most = 1e18;
  return static_cast<Wide>(std::nearbyint(std::clamp(score, -most, most) * 0x1p40));
}

std::size_t candidates(Config const& config, Inputs const& in) {
  return find_model(config.model.type)->make(model_options(config, in))->candidates();
}

}  // namespace

bool shares_alpha(Config const& config, Inputs const& in) {
  return !config.model.alpha_per_target && candidates(config, in) > 1;
}

std::vector<ResultDataset> choice_working(Config const& config, Inputs const& in, Layout const& layout) {
  std::vector<ResultDataset> d;
  for (std::size_t l = 0; layout.stages > 1 && l < in.layers.size(); ++l)
    d.push_back({choice_name(in.layers[l].name),
                 h5::Dtype::u64,
                 {layout.passes * layout.tiles, 2 * candidates(config, in)},
                 0});
  return d;
}

ChoiceTiles::ChoiceTiles(Shared const& shared, TargetBlock const& y, FittedFold const& fold, std::size_t layer,
                         std::size_t pass, std::function<void(std::size_t)> said)
    : Tiles(shared, y, shared.layout.choice_unit(layer, pass, 0), std::move(said)),
      fold_(fold),
      name_(choice_name(shared.inputs.layers[layer].name)),
      pass_(pass) {}

void ChoiceTiles::compute(std::size_t, MatrixView<float const> y, Made& made, Workspace& work) {
  TileResult& r = made.result;
  fold_.choices(y, r.score, r.flag, work);
  std::size_t const a = r.score.size() / y.cols;
  made.choice.assign(2 * a, 0);
  for (std::size_t i = 0; i < a; ++i) {
    Wide sum = 0;
    for (std::size_t t = 0; t < y.cols; ++t)
      if (r.flag[t] == TargetFlag::ok) sum += fixed_point(r.score[t * a + i]);
    made.choice[2 * i] = static_cast<std::uint64_t>(sum);
    made.choice[2 * i + 1] = static_cast<std::uint64_t>(sum >> 64);
  }
}

void ChoiceTiles::write(std::vector<Ready> const& tiles) {
  for (Ready const& ready : tiles)
    s_.result.write_slice(name_, pass_ * s_.layout.tiles + ready.tile, 0,
                          std::span<std::uint64_t const>(ready.made->choice));
}

double shared_alpha(Comm const& comm, Shared const& shared, FittedFold const& fold, std::size_t layer,
                    std::size_t pass) {
  auto const& alphas = fold.report().alphas;
  std::uint64_t best = alphas.size() - 1;
  shared.result.flush();  // sums that other ranks wrote
  together(comm, [&] {
    if (!comm.root()) return;
    std::string const name = choice_name(shared.inputs.layers[layer].name);
    auto const words = shared.result.read<std::uint64_t>(name);
    std::size_t const tiles = shared.layout.tiles, across = words.size() / (shared.layout.passes * tiles);
    std::vector<Wide> sum(alphas.size(), 0);
    for (std::size_t i = 0; i < tiles; ++i)
      for (std::size_t j = 0; j < alphas.size(); ++j) {
        std::uint64_t const* const at = &words[(pass * tiles + i) * across + 2 * j];
        sum[j] += static_cast<Wide>(at[1]) << 64 | at[0];
      }
    for (std::size_t j = alphas.size() - 1; j-- > 0;) best = sum[j] > sum[best] ? j : best;
  });
  comm.broadcast(best, 0);
  return alphas[best];
}

}  // namespace striate::encode
