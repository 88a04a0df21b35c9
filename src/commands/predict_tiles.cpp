#include "predict_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/math/panel_product.hpp"
#include "striate/stats/ranks.hpp"
#include "striate/stats/scores.hpp"

namespace striate::predict {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
/// Features that a float32 product sums over before its result is added in float64.
constexpr std::size_t panel_depth = 512;
/// Targets, and stimuli, of a piece of work for a thread.
constexpr std::size_t piece = 64;

}  // namespace

struct Tiles::Tile {
  std::size_t tile = 0, first = 0, count = 0;
  std::vector<double> sum;     ///< [target][stimulus]
  std::vector<float> rows;     ///< coefficients of a panel, as they stand in the file
};

/// Features of a panel.
struct Tiles::Panel {
  std::vector<float> raw, packed;
};

double working_bytes(Inputs const& in, int threads) {
  auto const n = static_cast<double>(in.n()), t = static_cast<double>(std::min(in.tile, in.t()));
  double const thread = n * t * (8 + 4 + 4) + panel_depth * t * 4 + (padded_rows(in.n()) + panel_depth) * piece * 4.0;
  return threads * thread + 2 * panel_depth * static_cast<double>(padded_rows(in.n())) * 4;
}

Tiles::Tiles(Config const& config, Inputs const& inputs, std::size_t layer, encode::TargetBlock const* y,
             ResultFile& result, Team& team, std::function<void(std::size_t)> said)
    : config_(config),
      in_(inputs),
      layer_(inputs.layers[layer]),
      base_(layer * tiles()),
      y_(y),
      result_(result),
      team_(team),
      said_(std::move(said)),
      encode_(h5::File::open(inputs.result)) {
  for (auto const& store : inputs.stores) stores_.emplace_back(store.string());
}

void Tiles::write(std::span<std::size_t const> mine) {
  if (mine.empty()) return;
  std::size_t const n = in_.n();
  std::vector<Tile> tiles;
  for (std::size_t i : mine) {
    std::size_t const first = i * in_.tile, count = std::min(in_.tile, in_.t() - first);
    tiles.push_back({i, first, count, std::vector<double>(n * count, 0), std::vector<float>(panel_depth * count)});
  }
  Panel panel{std::vector<float>(n * panel_depth), std::vector<float>(packed_size(n, panel_depth), 0)};
  auto const coefficients = encode_.dataset("/" + layer_.name + "/coef");
  std::size_t row = 0;
  for (Part const& part : layer_.parts) {
    auto rows = in_.rows_of(part);
    std::vector<std::size_t> before;  // volumes that look back beyond their run
    for (std::size_t i = 0; i < n; ++i)
      if (rows[i] == Inputs::none) before.push_back(i), rows[i] = 0;
    for (std::size_t first = 0; first < part.units; first += panel_depth) {
      std::size_t const depth = std::min(panel_depth, part.units - first);
      stores_[part.store].read(part.layer, rows, first, depth, MatrixView<float>(panel.raw.data(), n, depth));
      for (std::size_t k = 0; k < depth; ++k)
        for (std::size_t i : before) panel.raw[k * n + i] = 0;
      for (Tile& tile : tiles)
        coefficients.read({row, tile.first}, {depth, tile.count}, h5::type_id(h5::Dtype::f32), tile.rows.data());
      multiply(panel, tiles, n, depth);
      row += depth;
    }
  }
  for (Tile& tile : tiles) finish(tile);
}

/// Adds the panel's products to the sums of all tiles.
void Tiles::multiply(Panel& panel, std::vector<Tile>& tiles, std::size_t n, std::size_t depth) {
  team_.local((n + piece - 1) / piece, [&](std::size_t u) {
    std::size_t const first = u * piece;
    pack_rows<float>({.from = panel.raw.data() + first, .row_stride = 1, .depth_stride = n}, std::min(piece, n - first),
                     depth, panel.packed.data() + first * depth);
  });
  // What follows the last panel of rows must be zero, and may be left over from a panel of other depth.
  std::fill(panel.packed.begin() + static_cast<std::ptrdiff_t>(panel_round(n) * depth),
            panel.packed.begin() + static_cast<std::ptrdiff_t>(packed_size(n, depth)), 0.0F);
  std::vector<std::pair<Tile*, std::size_t>> pieces;
  for (Tile& tile : tiles)
    for (std::size_t first = 0; first < tile.count; first += piece) pieces.emplace_back(&tile, first);
  team_.local(pieces.size(), [&](std::size_t u) {
    auto& [tile, first] = pieces[u];
    std::size_t const count = std::min(piece, tile->count - first), cols = padded_cols(count), ld = padded_rows(n);
    thread_local Buffer<float> columns, products, scratch;
    float* b = columns.grow(depth * cols);
    for (std::size_t c = 0; c < cols; ++c)
      for (std::size_t k = 0; k < depth; ++k) b[c * depth + k] = c < count ? tile->rows[k * tile->count + first + c] : 0.0F;
    float* p = products.grow(ld * cols);
    panel_product(panel.packed.data(), n, depth, b, depth, cols, p, scratch);
    for (std::size_t c = 0; c < count; ++c) {
      double* sum = tile->sum.data() + (first + c) * n;
      for (std::size_t i = 0; i < n; ++i) sum[i] += static_cast<double>(p[c * ld + i]);
    }
  });
}

/// Sums become deviations of the target, are scored, and are written in the units asked for.
void Tiles::finish(Tile& tile) {
  std::size_t const n = in_.n();
  std::vector<double> intercept(tile.count);
  encode_.dataset("/" + layer_.name + "/intercept")
      .read({tile.first}, {tile.count}, h5::type_id(h5::Dtype::f64), intercept.data());
  bool const back = config_.units == "responses";
  std::vector<float> prediction(n * tile.count);
  for (std::size_t c = 0; c < tile.count; ++c) {
    double const mean = in_.mean[tile.first + c], sd = in_.sd[tile.first + c];
    for (std::size_t i = 0; i < n; ++i) {
      double& value = tile.sum[c * n + i];
      value += intercept[c];
      if (!in_.encode.responses.standardize) value = (value - mean) / sd;
      prediction[c * n + i] = static_cast<float>(back ? value * sd + mean : value);
    }
  }
  result_.write_block("/" + layer_.name + "/prediction", 0, tile.first,
                      MatrixView<float const>(prediction.data(), n, tile.count));
  if (y_ != nullptr) score(tile);
}

void Tiles::score(Tile const& tile) {
  std::size_t const n = in_.n(), m = in_.scored.size(), S = config_.scores.size();
  auto const y = y_->columns(tile.first, tile.count);
  std::vector<std::vector<double>> scores(S, std::vector<double>(tile.count, nan));
  team_.local(tile.count, [&](std::size_t c) {
    double const mean = in_.mean[tile.first + c], sd = in_.sd[tile.first + c];
    Moments moments;
    std::vector<double> truth(m), predicted(m);
    for (std::size_t r = 0; r < m; ++r) {
      truth[r] = (y(r, c) - mean) / sd;
      predicted[r] = tile.sum[c * n + in_.scored[r]];
      moments.add(truth[r], predicted[r]);
    }
    if (!std::isfinite(moments.yy) || !std::isfinite(moments.ff)) return;
    for (std::size_t s = 0; s < S; ++s) {
      Score const which = *score_of(config_.scores[s]);
      scores[s][c] = of_moments(which) ? striate::score(which, moments) : spearman(truth, predicted);
      if (which == Score::mse && config_.units == "responses") scores[s][c] *= sd * sd;
    }
  });
  for (std::size_t s = 0; s < S; ++s)
    result_.write_slice("/" + layer_.name + "/score/" + config_.scores[s], 0, tile.first, std::span<double const>(scores[s]));
}

}  // namespace striate::predict
