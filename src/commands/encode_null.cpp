#include "encode_null.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "encode_scores.hpp"
#include "encode_sequential.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/tail.hpp"

namespace striate::encode {
namespace {

constexpr double least = -std::numeric_limits<double>::infinity();

std::vector<std::uint64_t> summed(Layout const& layout, std::vector<std::uint32_t> const& counts) {
  PermutationLayout const& p = layout.permutation;
  std::vector<std::uint64_t> sum(layout.t, 0);
  for (std::size_t first = 0; first < layout.t; first += p.tile) {
    std::size_t const T = std::min(p.tile, layout.t - first);
    for (std::size_t b = 0; b < p.blocks; ++b)
      for (std::size_t t = 0; t < T; ++t) sum[first + t] += counts[first * p.blocks + b * T + t];
  }
  return sum;
}

std::vector<double> greatest(PermutationLayout const& p, std::vector<double> const& tiles) {
  std::vector<double> max(p.n, least);
  for (std::size_t i = 0; i < tiles.size(); ++i) max[i % p.n] = std::max(max[i % p.n], tiles[i]);
  return max;
}

/// Maxima as scores, not as extremities.
std::vector<double> as_scores(std::string const& tail, Score score, std::vector<double> values) {
  double const sign = tail == "two" ? 1 : better(score) * (tail == "left" ? -1 : 1);
  for (double& v : values) v *= sign;
  return values;
}

void add(std::vector<std::uint64_t>& to, std::vector<std::uint64_t> const& more) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += more[i];
}

class Writer {
 public:
  Writer(Config const& config, Null const& null, Team& team, ResultFile& out)
      : c_(config), null_(null), team_(team), out_(out), scores_(scores_of(config)) {}

  void run(Inputs const& in, std::vector<std::vector<std::vector<double>>> const& score) {
    std::vector<std::vector<double>> first_scores;
    std::vector<std::uint64_t> const none;
    std::vector<double> over_layers(null_.n, least);
    Extremity const extremity(c_.permutation.tail, scores_);
    for (std::size_t l = 0; l < in.layers.size(); ++l)
      for (std::size_t s = 0; s < scores_.size(); ++s) {
        auto observed = score[l][s];
        for (double& v : observed) v = extremity(s, v);
        auto const& max = null_.max[l][s];
        each(in.layers[l].name, s, observed, null_.exceed[l][s], null_.stop.empty() ? none : null_.stop[l][s]);
        family(in.layers[l].name, s, observed, max);
        if (s > 0) continue;
        if (!null_.spatial.empty()) write_spatial(c_, in, in.layers[l].name, score[l][0], null_.spatial[l], out_);
        first_scores.push_back(observed);
        for (std::size_t i = 0; i < max.size(); ++i) over_layers[i] = std::max(over_layers[i], max[i]);
      }
    if (in.layers.size() < 2) return;
    auto const best = best_of(first_scores);
    if (!null_.best_exceed.empty()) each("best", 0, best, null_.best_exceed, null_.best_stop);
    family("best", 0, best, over_layers);
  }

 private:
  void write(std::string const& layer, std::size_t s, char const* what, std::vector<double> const& values) {
    out_.write(permutation_name(layer, c_.scores[s], what), std::span<double const>(values));
  }
  void each(std::string const& layer, std::size_t s, std::vector<double> const& observed,
            std::vector<std::uint64_t> const& exceed, std::vector<std::uint64_t> const& stop) {
    out_.write(permutation_name(layer, c_.scores[s], "exceed"), std::span<std::uint64_t const>(exceed));
    auto const p = stop.empty() ? permutation_p(observed, exceed, null_.n) : sequential_p(observed, exceed, stop, null_.n);
    if (!stop.empty()) {
      auto made = stop;
      for (std::size_t j = 0; j < made.size(); ++j)
        if (made[j] == 0) made[j] = std::isnan(observed[j]) ? 0 : null_.n;
      out_.write(permutation_name(layer, c_.scores[s], "permutations"), std::span<std::uint64_t const>(made));
    }
    write(layer, s, "p", p);
    if (c_.permutation.fits_targets()) {
      std::string const tails = layer == "best" ? best_tail : tail_name(layer, c_.scores[s]);
      bool const squares = scores_[s] != Score::pearson && scores_[s] != Score::spearman;
      write(layer, s, "p_gpd", target_tail_p(null_.tails, tails, observed, exceed, null_.n,
                                             squares ? squares_shape : score_shape, team_));
    }
    if (c_.permutation.corrects("fdr")) write(layer, s, "q_fdr", fdr_bh(p));
    if (c_.permutation.corrects("fdr_by")) write(layer, s, "q_fdr_by", fdr_by(p));
  }
  void family(std::string const& layer, std::size_t s, std::vector<double> const& observed,
              std::vector<double> const& max) {
    if (!c_.permutation.corrects("max")) return;
    write(layer, s, "p_max", maximum_p(observed, max));
    if (c_.permutation.fits_tail()) write(layer, s, "p_max_gpd", tail_p(observed, max));
    write(layer, s, "null_max", as_scores(c_.permutation.tail, scores_[s], max));
  }

  Config const& c_;
  Null const& null_;
  Team& team_;
  ResultFile& out_;
  std::vector<Score> scores_;
};

}  // namespace

void Null::append(Null const& more) {
  if (n == 0) {
    *this = more;
    return;
  }
  n += more.n;
  for (std::size_t l = 0; l < exceed.size(); ++l)
    for (std::size_t s = 0; s < exceed[l].size(); ++s) {
      add(exceed[l][s], more.exceed[l][s]);
      max[l][s].insert(max[l][s].end(), more.max[l][s].begin(), more.max[l][s].end());
    }
  add(best_exceed, more.best_exceed);
  for (std::size_t l = 0; l < spatial.size(); ++l) spatial[l].append(more.spatial[l]);
  tails.insert(tails.end(), more.tails.begin(), more.tails.end());
}

Null read_null(Config const& config, Inputs const& in, Layout const& layout, ResultFile const& result) {
  Null null;
  null.n = layout.permutation.n;
  null.exceed.resize(in.layers.size());
  null.max.resize(in.layers.size());
  for (std::size_t l = 0; l < in.layers.size(); ++l)
    for (auto const& s : config.scores) {
      auto const name = [&](char const* what) { return working_name(in.layers[l].name, s, what); };
      null.exceed[l].push_back(summed(layout, result.read<std::uint32_t>(name("exceed"))));
      if (config.permutation.stop.exceed > 0) {
        null.stop.resize(in.layers.size());
        null.stop[l].push_back(result.read<std::uint64_t>(stop_name(in.layers[l].name, s)));
        null.max[l].emplace_back();
      } else {
        null.max[l].push_back(greatest(layout.permutation, result.read<double>(name("max"))));
      }
    }
  if (config.permutation.spatial())
    for (LayerInput const& l : in.layers) null.spatial.push_back(read_spatial(config, l.name, result));
  if (tests_best(layout) && config.permutation.stop.exceed > 0) null.best_stop = result.read<std::uint64_t>(best_stop);
  if (tests_best(layout)) null.best_exceed = summed(layout, result.read<std::uint32_t>(best_working));
  return null;
}

void write_permutation(Config const& config, Inputs const& in, Null const& null,
                       std::vector<std::vector<std::vector<double>>> const& score, Team& team, ResultFile& out) {
  Writer(config, null, team, out).run(in, score);
}

void derive_permutation(Config const& config, Inputs const& in, Layout const& layout, Team& team, ResultFile& result) {
  if (layout.permutation.n == 0) return;
  std::vector<std::vector<std::vector<double>>> score(in.layers.size());
  for (std::size_t l = 0; l < in.layers.size(); ++l)
    for (std::size_t s = 0; s < config.scores.size(); ++s)
      score[l].push_back(layer_scores(config, in, result, l, s));
  Null null = read_null(config, in, layout, result);
  null.tails = {{layout.permutation, &result, {}}};
  write_permutation(config, in, null, score, team, result);
}

}  // namespace striate::encode
