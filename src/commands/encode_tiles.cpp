#include "encode_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "encode_bootstrap.hpp"
#include "encode_joint.hpp"
#include "encode_scores.hpp"
#include "encode_unique.hpp"
#include "striate/math/skinny.hpp"
#include "striate/models/table.hpp"
#include "striate/stats/ranks.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t mixed_panel = 1024;         ///< features whose coefficients a prior's root makes at a time
constexpr double coefficient_panel_bytes = 16e6;  ///< of features, read for the coefficients of a round of tiles

/// Rows [first, first + count) of all columns' weights, p × T.
void keep_rows(float const* w, std::size_t first, std::size_t count, std::size_t p, std::size_t T,
               std::vector<double>& all) {
  all.resize(p * T);
  for (std::size_t c = 0; c < T; ++c)
    std::copy_n(w + c * count, count, all.begin() + static_cast<std::ptrdiff_t>(c * p + first));
}

}  // namespace

void Tiles::compute(std::size_t tile) {
  std::size_t const first = s_.layout.first(tile), count = s_.layout.width(tile);
  auto made = s_.pools.made.take();
  auto work = s_.pools.work.take();
  compute(first, y_.columns(first, count), *made, *work);
  s_.pools.work.give(std::move(work));
  ready_.give(tile, std::move(made));
}

void Tiles::write(std::span<std::size_t const> mine) {
  std::vector<Ready> tiles;
  for (std::size_t tile : mine)
    tiles.push_back({tile, s_.layout.first(tile), s_.layout.width(tile), ready_.take(tile)});
  write(tiles);
  for (Ready& ready : tiles) s_.pools.made.give(std::move(ready.made));
}

FoldTiles::FoldTiles(Shared const& shared, TargetBlock const& y, FittedFold const& fold, NodeSource const& source,
                     std::size_t layer, std::size_t pass, std::optional<double> alpha,
                     std::function<void(std::size_t)> said)
    : Tiles(shared, y, shared.layout.unit(layer, pass, 0), std::move(said)),
      fold_(fold),
      source_(source),
      pass_(pass),
      alpha_(alpha),
      root_("/" + shared.inputs.layers[layer].name),
      plan_(shared.inputs.passes[pass]),
      refit_(pass >= shared.inputs.folds),
      coefficients_(shared.config.saves("coefficients") && (refit_ || !shared.config.outer())),
      heldout_(!refit_ && keeps_heldout(shared.config, shared.inputs, layer)),
      scales_(coefficients_ && layer == 0) {
  ModelRow const& model = *find_model(shared.config.model.type);
  chooses_ = model.chooses;
  extras_ = model.make(model_options(shared.config, shared.inputs))->extras();
  auto const fold_of_row = shared.inputs.fold_of_row();
  for (auto row : plan_.outer.test)
    if (fold_of_row[row] == static_cast<std::int32_t>(pass)) scored_rows_.push_back(row);
}

void FoldTiles::fit(MatrixView<float const> y, TileResult& r, Workspace& work) const {
  if (!alpha_) return fold_.tile(y, r, work);
  fold_.tile_at(y, std::vector<double>(y.cols, *alpha_), r, work);
  bool const choice = fold_.report().alphas.size() > 1;
  auto const fits = choice ? static_cast<std::size_t>(std::ranges::count(r.flag, TargetFlag::ok)) : 0;
  r.edge_low = *alpha_ == fold_.report().alphas.front() ? fits : 0;
  r.edge_high = *alpha_ == fold_.report().alphas.back() ? fits : 0;
}

void FoldTiles::compute(std::size_t, MatrixView<float const> y, Made& made, Workspace& work) {
  fit(y, made.result, work);
  if (scales_) response_scales(plan_, y, made.result, made.mean, made.sd);
  if (s_.config.aggregate == "concat" && !refit_) fold_moments(s_.config, plan_, y, made.result, made.moments);
  if (!refit_) add_spearman(s_.config, plan_, y, made.result);
}

void FoldTiles::write(std::vector<Ready> const& tiles) {
  for (Ready const& ready : tiles) {
    write_scores(ready);
    if (s_.config.saves("predictions") && !refit_) write_predictions(ready);
    if (heldout_) write_heldout(ready);
  }
  if (coefficients_) write_coefficients(tiles);
}

void FoldTiles::write_scores(Ready const& ready) {
  ResultFile& out = s_.result;
  TileResult const& r = ready.made->result;
  std::size_t const T = ready.count, scores = s_.config.scores.size();
  auto const part = [T](std::vector<double> const& all, std::size_t at) { return std::span(all).subspan(at * T, T); };
  if (!refit_) {
    for (std::size_t s = 0; s < scores; ++s) {
      std::string const name = root_ + "/score/" + s_.config.scores[s] + "_fold";
      if (s_.config.outer()) {
        out.write_slice(name, pass_, ready.first, part(r.score, s));
      } else {
        for (std::size_t f = 0; f < inner_rows(plan_); ++f)
          out.write_slice(name, f, ready.first, part(r.inner_score, f * scores + s));
      }
    }
    out.write_slice(fmt::format("{}/{}", root_, chooses_), pass_, ready.first, part(r.alpha, 0));
    for (std::size_t e = 0; e < extras_.size(); ++e)
      out.write_slice(root_ + "/" + extras_[e], pass_, ready.first, part(r.extra, e));
    if (s_.config.aggregate == "concat")
      for (std::size_t k = 0; k < moment_rows; ++k)
        out.write_slice(moments_name(root_.substr(1)), pass_ * moment_rows + k, ready.first,
                        part(ready.made->moments, k));
  }
  auto const flagged = [&](TargetFlag f) { return static_cast<std::uint64_t>(std::ranges::count(r.flag, f)); };
  std::uint64_t const counted[counts] = {flagged(TargetFlag::not_finite), flagged(TargetFlag::constant), r.degenerate,
                                         r.edge_low, r.edge_high};
  out.write_slice(counts_name, base_ + ready.tile, 0, std::span<std::uint64_t const>(counted));
}

/// Neighbouring rows go in one piece. The first fold also says NaN for the rows that no fold tests.
void FoldTiles::write_predictions(Ready const& ready) {
  auto const& test = plan_.outer.test;
  std::size_t const e = test.size(), T = ready.count;
  std::string const name = root_ + "/prediction";
  float const* const predicted = ready.made->result.prediction.data();
  std::vector<float> block;
  auto const write_rows = [&](std::span<std::uint32_t const> rows, auto const& value) {
    for (std::size_t i = 0, end = 0; i < rows.size(); i = end) {
      for (end = i + 1; end < rows.size() && rows[end] == rows[end - 1] + 1;) ++end;
      block.resize((end - i) * T);
      for (std::size_t c = 0; c < T; ++c)
        for (std::size_t r = i; r < end; ++r) block[c * (end - i) + r - i] = value(rows[r], c);
      s_.result.write_block(name, rows[i], ready.first, MatrixView<float const>(block.data(), end - i, T));
    }
  };
  write_rows(scored_rows_, [&](std::uint32_t row, std::size_t c) {
    auto const at = static_cast<std::size_t>(std::ranges::lower_bound(test, row) - test.begin());
    return predicted[c * e + at];
  });
  if (pass_ != 0) return;
  std::vector<std::uint32_t> never;
  auto const fold_of_row = s_.inputs.fold_of_row();
  for (std::uint32_t r = 0; r < fold_of_row.size(); ++r)
    if (fold_of_row[r] < 0) never.push_back(r);
  write_rows(never, [](std::uint32_t, std::size_t) { return std::numeric_limits<float>::quiet_NaN(); });
}

/// All predictions of test rows, NaN for targets without a score: for the bootstrap, and the flips of `partition`.
void FoldTiles::write_heldout(Ready const& ready) {
  TileResult const& r = ready.made->result;
  std::size_t const e = plan_.outer.test.size();
  std::vector<float> values(r.prediction.begin(), r.prediction.begin() + static_cast<std::ptrdiff_t>(e * ready.count));
  for (std::size_t c = 0; c < ready.count; ++c)
    if (r.flag[c] != TargetFlag::ok) std::fill_n(values.data() + c * e, e, std::numeric_limits<float>::quiet_NaN());
  s_.result.write_slice(heldout_name(root_.substr(1)), 0, heldout_at(s_.inputs, s_.layout, ready.tile, pass_),
                        std::span<float const>(values));
}

/// Weights of columns to those of features.
void FoldTiles::write_mixed(std::vector<Ready> const& tiles, std::vector<std::vector<double>> const& weights) {
  MatrixView<double const> const root = source_.mixing();
  for (std::size_t first = 0; first < root.rows; first += mixed_panel) {
    std::size_t const count = std::min(mixed_panel, root.rows - first);
    std::vector<std::vector<float>> out(tiles.size());
    s_.team.local(tiles.size(), [&](std::size_t i) {
      std::vector<double> w(count * tiles[i].count);
      skinny_product(count, root.cols, root.data + first, root.stride, weights[i].data(), tiles[i].count, w.data());
      out[i].assign(w.begin(), w.end());
    });
    for (std::size_t i = 0; i < tiles.size(); ++i)
      s_.result.write_block(root_ + "/coef", first, tiles[i].first,
                            MatrixView<float const>(out[i].data(), count, tiles[i].count));
  }
}

/// Coefficients of a round of tiles: the layer is walked once in panels whose width depends on its shape alone, so that
/// no bit depends on who computes what.
void FoldTiles::write_coefficients(std::vector<Ready> const& tiles) {
  std::size_t const n = source_.rows(), p = source_.cols(), m = fold_.weight_rows();
  bool const mixed = source_.mixing().data != nullptr;
  std::vector<std::vector<double>> all(mixed ? tiles.size() : 0);
  auto const wanted = static_cast<std::size_t>(coefficient_panel_bytes / (4.0 * static_cast<double>(n)));
  // Whole chunks of the dataset where they are that small.
  std::size_t const width =
      wanted >= 512 ? std::min<std::size_t>(wanted / 512 * 512, 8192) : std::max<std::size_t>(wanted, 64);
  Buffer<float> x(n * std::min(width, p));
  std::vector<Buffer<float>> w(tiles.size());
  for (std::size_t first = 0; first < p; first += width) {
    std::size_t const count = std::min(width, p - first);
    source_.read_alone(first, count, x.data());
    s_.team.local(tiles.size(), [&](std::size_t i) {
      auto const& weights = tiles[i].made->result.weights;
      fold_.coefficients({x.data(), n, count}, first, {weights.data(), m, tiles[i].count},
                         w[i].grow(width * tiles[i].count));
      if (mixed) keep_rows(w[i].data(), first, count, p, tiles[i].count, all[i]);
      if (!source_.scales().empty())
        for (std::size_t k = 0; k < count * tiles[i].count; ++k)
          w[i][k] = static_cast<float>(w[i][k] * source_.scales()[first + k % count]);
    });
    for (std::size_t i = 0; i < tiles.size() && !mixed; ++i)
      s_.result.write_block(root_ + "/coef", first, tiles[i].first,
                            MatrixView<float const>(w[i].data(), count, tiles[i].count));
  }
  if (mixed) write_mixed(tiles, all);
  for (Ready const& ready : tiles) {
    TileResult const& r = ready.made->result;
    s_.result.write_slice(root_ + "/intercept", 0, ready.first, std::span<double const>(r.intercept));
    if (scales_) {
      s_.result.write_slice("/targets/mean", 0, ready.first, std::span<double const>(ready.made->mean));
      s_.result.write_slice("/targets/sd", 0, ready.first, std::span<double const>(ready.made->sd));
    }
    if (refit_) s_.result.write_slice(fmt::format("{}/coef_{}", root_, chooses_), 0, ready.first, std::span<double const>(r.alpha));
  }
}

}  // namespace striate::encode
