#include "encode_tail.hpp"

#include <algorithm>
#include <cmath>

#include "encode_permute.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/tail.hpp"

namespace striate::encode {
namespace {

constexpr std::size_t held_targets = 65536;                ///< whose tails are in memory at once: 66 MB
constexpr std::size_t fitted_targets = 32;                 ///< of a piece of work
constexpr std::size_t read_values = std::size_t{1} << 22;  ///< of tails, at once

class Reader {
 public:
  explicit Reader(TailSource const& source) : source_(source) {
    if (source.open == nullptr) file_ = h5::File::open(source.file);
  }
  void read(std::string const& name, std::size_t first, std::span<float> values) const {
    if (source_.open != nullptr) return source_.open->read_slice(name, first, values);
    file_.dataset(name).read({first}, {values.size()}, h5::type_id(h5::Dtype::f32), values.data());
  }

 private:
  TailSource const& source_;
  h5::File file_;
};

/// Adds the kept values of targets [first, first + count), of `t` in all, that `wanted` names.
void gather(TailSource const& source, std::string const& name, std::size_t first, std::size_t count, std::size_t t,
            std::vector<std::uint8_t> const& wanted, Greatest& to) {
  Reader const reader(source);
  PermutationLayout const& p = source.layout;
  std::vector<float> values;
  for (std::size_t tile = first / p.tile; tile * p.tile < first + count; ++tile) {
    std::size_t const begin = tile * p.tile, T = std::min(p.tile, t - begin);
    std::size_t const from = std::max(first, begin), end = std::min(first + count, begin + T);
    if (std::find(wanted.begin() + static_cast<std::ptrdiff_t>(from), wanted.begin() + static_cast<std::ptrdiff_t>(end),
                  std::uint8_t{1}) == wanted.begin() + static_cast<std::ptrdiff_t>(end))
      continue;
    std::size_t const together = std::max<std::size_t>(1, read_values / (T * tail_width(p, 0)));  // blocks
    for (std::size_t b = 0; b < p.blocks; b += together) {
      std::size_t const last = std::min(b + together, p.blocks), at = tail_at(p, tile, T, b);
      values.resize(tail_at(p, tile, T, last - 1) + T * tail_width(p, last - 1) - at);
      reader.read(name, at, std::span(values));
      for (std::size_t c = b; c < last; ++c)
        for (std::size_t j = from; j < end; ++j) {
          if (wanted[j] == 0) continue;
          std::size_t const w = tail_width(p, c);
          float const* const of = values.data() + tail_at(p, tile, T, c) - at + (j - begin) * w;
          for (std::size_t i = 0; i < w && !std::isnan(of[i]); ++i) to.add(j - first, of[i]);
        }
    }
  }
}

}  // namespace

std::string tail_name(std::string const& layer, std::string const& score) { return working_name(layer, score, "tail"); }

std::size_t tail_width(PermutationLayout const& p, std::size_t block) {
  return std::min(kept_tail, std::min(p.block, p.n - block * p.block));
}

std::size_t tail_values(PermutationLayout const& p) {
  return p.n == 0 ? 0 : (p.blocks - 1) * tail_width(p, 0) + tail_width(p, p.blocks - 1);
}

std::size_t tail_at(PermutationLayout const& p, std::size_t tile, std::size_t targets, std::size_t block) {
  return tile * p.tile * tail_values(p) + targets * block * tail_width(p, 0);
}

double tail_bytes(Config const& config, Layout const& layout) {
  PermutationLayout const& p = layout.permutation;
  if (!config.permutation.fits_targets() || p.n == 0) return 0;
  std::size_t const rows = (p.groups == 1 ? layout.layers : 1) * config.scores.size() + (tests_best(layout) ? 1 : 0);
  return 4.0 * static_cast<double>(rows * std::min(p.tile, layout.t) * tail_width(p, 0));
}

double tail_fit_bytes(Config const& config, Layout const& layout) {
  if (!config.permutation.fits_targets()) return 0;
  return 4.0 * static_cast<double>(2 * std::min(held_targets, layout.t) * kept_tail + read_values);
}

std::vector<double> target_tail_p(std::vector<TailSource> const& sources, std::string const& name,
                                  std::vector<double> const& observed, std::vector<std::uint64_t> const& exceed,
                                  std::size_t n, ShapePrior const& prior, Team& team) {
  std::size_t const t = observed.size();
  auto p = permutation_p(observed, exceed, n);
  std::vector<std::uint8_t> wanted(t);  // of the others p is that of counting
  for (std::size_t j = 0; j < t; ++j) wanted[j] = !std::isnan(observed[j]) && exceed[j] < counted_exceed ? 1 : 0;
  for (std::size_t first = 0; first < t; first += held_targets) {
    std::size_t const count = std::min(held_targets, t - first);
    Greatest greatest(count, kept_tail);
    for (TailSource const& source : sources) gather(source, name, first, count, t, wanted, greatest);
    std::vector<float> const kept = greatest.take();
    team.local((count + fitted_targets - 1) / fitted_targets, [&](std::size_t piece) {
      for (std::size_t i = piece * fitted_targets; i < std::min(count, (piece + 1) * fitted_targets); ++i) {
        if (wanted[first + i] == 0) continue;
        auto values = std::span(kept).subspan(i * kept_tail, kept_tail);
        p[first + i] = NullTail(values.first(std::min(kept_tail, n)), n, prior).p(observed[first + i], exceed[first + i]);
      }
    });
  }
  return p;
}

}  // namespace striate::encode
