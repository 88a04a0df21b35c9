#include "encode_sequential.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "encode_scores.hpp"
#include "striate/stats/multiple.hpp"

namespace striate::encode {

std::string stop_name(std::string const& layer, std::string const& score) { return working_name(layer, score, "stop"); }

Sequential::Sequential(Shared const& shared, Observed const& observed, std::size_t first_layer, std::size_t layers)
    : s_(shared),
      observed_(observed),
      first_layer_(first_layer),
      layers_(layers),
      p_(shared.layout.permutation),
      best_(tests_best(shared.layout)) {
  for (std::size_t l = 0; l < layers; ++l)
    for (auto const& score : shared.config.scores) {
      std::string const& layer = shared.inputs.layers[first_layer + l].name;
      rows_.push_back({working_name(layer, score, "exceed"), stop_name(layer, score), {}, {}});
    }
  if (best_) rows_.push_back({best_working, best_stop, {}, {}});
  for (Row& row : rows_) row.before.assign(shared.layout.t, 0);
}

void Sequential::advance(std::size_t block) {
  std::vector<std::uint32_t> counts;
  if (block < read_) {  // other targets, whose counts were not there before
    for (Row& row : rows_) row.before.assign(s_.layout.t, 0);
    read_ = 0;
  }
  for (Row& row : rows_) {
    for (std::size_t b = read_; b < block; ++b)
      for (std::size_t first = 0; first < s_.layout.t; first += p_.tile) {
        std::size_t const T = std::min(p_.tile, s_.layout.t - first);
        counts.resize(T);
        s_.result.read_slice(row.exceed, first * p_.blocks + b * T, std::span(counts));
        for (std::size_t t = 0; t < T; ++t) row.before[first + t] += counts[t];
      }
    row.stopped = s_.result.read<std::uint64_t>(row.stop);
  }
  read_ = std::max(read_, block);
}

/// One unit on its way: which targets are still in it.
class Sequential::Run {
 public:
  Run(Sequential const& of, std::size_t tile, std::size_t block, MatrixView<float const> y)
      : of_(of),
        scores_(scores_of(of.s_.config)),
        first_(tile * of.p_.tile),
        from_(block * of.p_.block),
        T_(y.cols),
        y_(y),
        active_(of.rows_.size() * T_, 0),
        out_{std::vector<std::uint32_t>(active_.size(), 0), std::vector<std::uint64_t>(active_.size(), 0)} {
    for (std::size_t k = 0; k < of.rows_.size(); ++k)
      for (std::size_t t = 0; t < T_; ++t) {
        std::uint64_t const stop = of.rows_[k].stopped[first_ + t];
        // What a unit that was killed before its flag was set left of this block or later ones does not count.
        if (stop > 0 && stop <= from_)
          out_.stop[k * T_ + t] = stop;
        else
          active_[k * T_ + t] = 1;
      }
    seen_.assign(active_.size(), std::numeric_limits<double>::quiet_NaN());
    std::vector<double> all;
    for (std::size_t k = 0; k < plain(); ++k)
      for (std::size_t t = 0; t < T_; ++t)
        all.push_back(of.observed_.score[of.first_layer_ + k / scores_.size()][k % scores_.size()][first_ + t]);
    columns_.resize(T_);
    for (std::uint32_t t = 0; t < T_; ++t) columns_[t] = t;
    see(all);
  }

  Stopped go(std::size_t permutations, Rescorer& rescorer) {
    narrow();
    if (columns_.empty()) return std::move(out_);
    end_ = of_.p_.first + from_ + permutations;
    begin(rescorer);
    std::vector<double> values;
    for (std::size_t i = 0; i < permutations && !columns_.empty(); ++i) {
      rescorer.trial(of_.p_.first + from_ + i, values);
      count(values, from_ + i + 1);
      std::size_t const before = columns_.size(), live = live_count();
      if (2 * live > before) continue;  // fewer columns, anew: at most as much again as the first time, all together
      narrow();
      if (!columns_.empty()) begin(rescorer);
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::size_t plain() const { return of_.layers_ * scores_.size(); }
  [[nodiscard]] bool live(std::size_t t) const {
    for (std::size_t k = 0; k < of_.rows_.size(); ++k)
      if (active_[k * T_ + t] != 0) return true;
    return false;
  }
  [[nodiscard]] std::size_t live_count() const {
    return static_cast<std::size_t>(std::ranges::count_if(columns_, [&](auto t) { return live(t); }));
  }
  void narrow() {
    std::erase_if(columns_, [&](auto t) { return !live(t); });
  }
  void begin(Rescorer& rescorer) {
    moved_.resize(y_.rows * columns_.size());
    for (std::size_t c = 0; c < columns_.size(); ++c)
      std::copy_n(y_.col(columns_[c]), y_.rows, moved_.data() + c * y_.rows);
    rescorer.begin({.first = first_,
                    .y = MatrixView<float const>(moved_.data(), y_.rows, columns_.size()),
                    .columns = columns_,
                    .end = end_});
    if (auto const own = rescorer.identity(); !own.empty()) see(own);
  }
  /// values: [layer][score][column] → [row][column], as Extremity sees them; the best layer last.
  [[nodiscard]] std::vector<double> rows_of(std::vector<double> const& values) const {
    std::size_t const C = columns_.size(), S = scores_.size();
    std::vector<double> rows(of_.rows_.size() * C);
    for (std::size_t k = 0; k < plain(); ++k)
      for (std::size_t c = 0; c < C; ++c)
        rows[k * C + c] = extremity_(k % S, values[k * C + c]);
    if (!of_.best_) return rows;
    std::vector<std::vector<double>> layers;
    for (std::size_t l = 0; l < of_.layers_; ++l) {
      auto const at = rows.begin() + static_cast<std::ptrdiff_t>(l * S * C);
      layers.emplace_back(at, at + static_cast<std::ptrdiff_t>(C));
    }
    std::ranges::copy(best_of(layers), rows.begin() + static_cast<std::ptrdiff_t>(plain() * C));
    return rows;
  }
  /// The observed scores. A target without one is not tested.
  void see(std::vector<double> const& values) {
    auto const rows = rows_of(values);
    for (std::size_t k = 0; k < of_.rows_.size(); ++k)
      for (std::size_t c = 0; c < columns_.size(); ++c) {
        std::size_t const at = k * T_ + columns_[c];
        seen_[at] = rows[k * columns_.size() + c];
        if (std::isnan(seen_[at])) active_[at] = 0;
      }
  }
  void count(std::vector<double> const& values, std::size_t made) {
    auto const rows = rows_of(values);
    auto const enough = static_cast<std::uint64_t>(of_.s_.config.permutation.stop.exceed);
    for (std::size_t k = 0; k < of_.rows_.size(); ++k)
      for (std::size_t c = 0; c < columns_.size(); ++c) {
        std::size_t const at = k * T_ + columns_[c];
        double const value = rows[k * columns_.size() + c];
        if (active_[at] == 0 || !(std::isnan(value) || reaches(value, seen_[at]))) continue;
        if (of_.rows_[k].before[first_ + columns_[c]] + ++out_.exceed[at] < enough) continue;
        active_[at] = 0, out_.stop[at] = made;
      }
  }

  Sequential const& of_;
  std::vector<Score> scores_;
  Extremity extremity_{of_.s_.config.permutation.tail, scores_};
  std::size_t first_, from_, T_;
  MatrixView<float const> y_;
  std::vector<std::uint8_t> active_;  ///< [row][T]
  Stopped out_;
  std::vector<double> seen_;  ///< [row][T]
  std::vector<std::uint32_t> columns_;
  std::uint64_t end_ = 0;  ///< behind the last permutation of the unit
  std::vector<float> moved_;
};

Stopped Sequential::unit(std::size_t tile, std::size_t block, MatrixView<float const> y, Rescorer& rescorer) const {
  return Run(*this, tile, block, y).go(std::min(p_.block, p_.n - block * p_.block), rescorer);
}

void Sequential::write(std::size_t tile, std::size_t block, Stopped const& stopped) const {
  std::size_t const first = tile * p_.tile, T = std::min(p_.tile, s_.layout.t - first);
  for (std::size_t k = 0; k < rows_.size(); ++k) {
    s_.result.write_slice(rows_[k].exceed, 0, first * p_.blocks + block * T,
                          std::span(stopped.exceed).subspan(k * T, T));
    s_.result.write_slice(rows_[k].stop, 0, first, std::span(stopped.stop).subspan(k * T, T));
  }
}

}  // namespace striate::encode
