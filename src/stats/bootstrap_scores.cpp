#include "striate/stats/bootstrap_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/math/panel_product.hpp"

namespace striate {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t block = 192;       ///< draws at a time: their products stay in the cache
constexpr std::size_t moment_count = 6;  ///< n, y, yy, f, ff, yf
/// A spread below this share of the squares is the rounding of float32 sums: nothing varies.
constexpr double least_spread = 1e-5;

}  // namespace

BootstrapScores::BootstrapScores(BootstrapShape const& shape, Resampler const& resampler)
    : shape_(shape),
      resampler_(resampler),
      y_(shape.tests.size()),
      f_(shape.tests.size() * shape.layers),
      packed_(shape.tests.size()),
      drawn_rows_(shape.tests.size()),
      weights_(shape.rows) {}

void BootstrapScores::begin(std::size_t targets, std::size_t draws) {
  targets_ = targets, draws_ = draws;
  width_ = padded_cols(targets);
  std::size_t const k = shape_.tests.size();
  for (std::size_t f = 0; f < k; ++f) {
    std::size_t const e = shape_.tests[f].size();
    std::fill_n(y_[f].grow(e * 2 * width_), e * 2 * width_, 0.0F);
    for (std::size_t l = 0; l < shape_.layers; ++l)
      std::fill_n(f_[l * k + f].grow(e * 3 * width_), e * 3 * width_, 0.0F);
  }
  means_.assign(shape_.layers * k * targets, {});
  scores_.resize(shape_.layers * shape_.scores.size() * targets * draws);
}

void BootstrapScores::set_responses(std::size_t fold, std::size_t target, std::span<double const> y) {
  std::size_t const e = y.size();
  double mean = 0;
  for (double v : y) mean += v / static_cast<double>(e);
  float* const plain = y_[fold].data() + target * e;
  float* const square = plain + width_ * e;
  for (std::size_t i = 0; i < e; ++i) {
    double const v = y[i] - mean;
    plain[i] = static_cast<float>(v), square[i] = static_cast<float>(v * v);
  }
  for (std::size_t l = 0; l < shape_.layers; ++l) means_[at(l, fold, target)].y = mean;
}

void BootstrapScores::set_predictions(std::size_t layer, std::size_t fold, std::size_t target,
                                      std::span<double const> f) {
  std::size_t const e = f.size();
  auto const count = static_cast<double>(e);
  Means& means = means_[at(layer, fold, target)];
  Moments all;
  for (double v : f) all.add(0, v);
  means.f = all.f / count;
  bool const constant = constant_prediction(all);
  float const* const y = y_[fold].data() + target * e;
  float* const plain = f_[layer * shape_.tests.size() + fold].data() + target * e;
  float* const square = plain + width_ * e;
  float* const product = square + width_ * e;
  double spread = 0;
  for (std::size_t i = 0; i < e; ++i) {
    double const v = constant && std::isfinite(f[i]) ? 0 : f[i] - means.f, error = y[i] - v;
    plain[i] = static_cast<float>(v), square[i] = static_cast<float>(v * v), product[i] = static_cast<float>(y[i] * v);
    spread += error * error;
  }
  double const offset = means.y - means.f, chance = e > 1 ? spread / (count - 1) / count : 0;
  means.offset = shape_.concat ? offset : std::copysign(std::sqrt(std::max(0.0, offset * offset - chance)), offset);
}

double BootstrapScores::of_fold(Score s, Sums const& m, Means const& means) const {
  double const offset = s == Score::r2 ? means.offset : means.y - means.f;
  double const residual = m.yy - 2 * m.yf + m.ff + 2 * offset * (m.y - m.f) + m.n * offset * offset;
  if (s == Score::mse) return residual / m.n;
  double const total = m.yy - m.y * m.y / m.n;
  if (!(total > least_spread * m.yy)) return nan;
  double const spread = m.ff - m.f * m.f / m.n, product = m.yf - m.y * m.f / m.n;
  if (s == Score::r2) return 1 - residual / total;
  if (s == Score::explained_variance) return 1 - (total - 2 * product + spread) / total;
  if (std::isnan(spread)) return nan;
  return spread > least_spread * m.ff ? product / std::sqrt(total * spread) : 0;
}

/// Draws [first, first + count), as panel_product takes them; and how many rows of each fold they hold.
void BootstrapScores::pack(std::size_t first, std::size_t count) {
  std::size_t const k = shape_.tests.size();
  for (std::size_t f = 0; f < k; ++f) {
    std::size_t const size = packed_size(count, shape_.tests[f].size());
    std::fill_n(packed_[f].grow(size), size, 0.0F);
    drawn_rows_[f].assign(count, 0);
  }
  for (std::size_t b = 0; b < count; ++b) {
    resampler_.make(first + b, weights_);
    for (std::size_t f = 0; f < k; ++f) {
      auto const& test = shape_.tests[f];
      float* const to = packed_[f].data() + b / panel_rows * panel_rows * test.size() + b % panel_rows;
      double rows = 0;
      for (std::size_t i = 0; i < test.size(); ++i) {
        float const w = weights_[test[i]];
        to[i * panel_rows] = w;
        rows += w;
      }
      drawn_rows_[f][b] = rows;
    }
  }
}

/// Adds a fold's share to sums_ for `count` draws.
void BootstrapScores::add_fold(std::size_t layer, std::size_t fold, std::size_t count, std::span<float const> by_y,
                               std::span<float const> by_f, std::size_t stride) {
  std::size_t const S = shape_.scores.size();
  double const rows = static_cast<double>(shape_.tests[fold].size());
  for (std::size_t t = 0; t < targets_; ++t) {
    Means const& means = means_[at(layer, fold, t)];
    float const* const y = by_y.data() + t * stride;
    float const* const yy = y + width_ * stride;
    float const* const f = by_f.data() + t * stride;
    float const* const ff = f + width_ * stride;
    float const* const yf = ff + width_ * stride;
    for (std::size_t b = 0; b < count; ++b) {
      double const n = drawn_rows_[fold][b];
      if (n == 0) continue;
      Sums const m{n, y[b], yy[b], f[b], ff[b], yf[b]};
      if (shape_.concat) {
        double const a = means.y, c = means.f;
        double const all[moment_count] = {n,
                                          m.y + n * a,
                                          m.yy + 2 * a * m.y + n * a * a,
                                          m.f + n * c,
                                          m.ff + 2 * c * m.f + n * c * c,
                                          m.yf + c * m.y + a * m.f + n * a * c};
        for (std::size_t i = 0; i < moment_count; ++i)
          sums_[((layer * moment_count + i) * targets_ + t) * block + b] += all[i];
        continue;
      }
      double const weight = shape_.weight[fold] * (resampler_.stratified() ? 1 : n / rows);
      for (std::size_t s = 0; s < S; ++s)
        sums_[((layer * S + s) * targets_ + t) * block + b] += weight * of_fold(shape_.scores[s], m, means);
    }
  }
}

void BootstrapScores::run() {
  std::size_t const k = shape_.tests.size(), S = shape_.scores.size(), L = shape_.layers;
  centres();
  for (std::size_t first = 0; first < draws_; first += block) {
    std::size_t const count = std::min(block, draws_ - first), stride = padded_rows(count);
    pack(first, count);
    sums_.assign(L * (shape_.concat ? moment_count : S) * targets_ * block, 0);
    total_.assign(count, 0);
    for (std::size_t f = 0; f < k; ++f) {
      std::size_t const e = shape_.tests[f].size();
      for (std::size_t b = 0; b < count; ++b)
        if (drawn_rows_[f][b] > 0)
          total_[b] += shape_.weight[f] * (resampler_.stratified() ? 1 : drawn_rows_[f][b] / static_cast<double>(e));
      float* const by_y = by_y_.grow(stride * 2 * width_);
      panel_product(packed_[f].data(), count, e, y_[f].data(), e, 2 * width_, by_y, scratch_);
      for (std::size_t l = 0; l < L; ++l) {
        float* const by_f = by_f_.grow(stride * 3 * width_);
        panel_product(packed_[f].data(), count, e, f_[l * k + f].data(), e, 3 * width_, by_f, scratch_);
        add_fold(l, f, count, {by_y, stride * 2 * width_}, {by_f, stride * 3 * width_}, stride);
      }
    }
    for (std::size_t l = 0; l < L; ++l)
      for (std::size_t s = 0; s < S; ++s)
        for (std::size_t t = 0; t < targets_; ++t)
          for (std::size_t b = 0; b < count; ++b) {
            double value = 0;
            if (shape_.concat) {
              double m[moment_count];
              for (std::size_t i = 0; i < moment_count; ++i)
                m[i] = sums_[((l * moment_count + i) * targets_ + t) * block + b];
              value = std::isnan(m[5]) ? nan : striate::score(shape_.scores[s], {m[0], m[1], m[2], m[3], m[4], m[5]});
            } else {
              value = sums_[((l * S + s) * targets_ + t) * block + b] / total_[b];
            }
            scores_[((l * S + s) * targets_ + t) * draws_ + first + b] = static_cast<float>(value);
          }
  }
}

/// Every row once.
void BootstrapScores::centres() {
  std::size_t const k = shape_.tests.size(), S = shape_.scores.size();
  centre_.assign(shape_.layers * S * targets_, 0);
  double total = 0;
  for (double w : shape_.weight) total += w;
  for (std::size_t l = 0; l < shape_.layers; ++l)
    for (std::size_t t = 0; t < targets_; ++t) {
      Moments all;
      for (std::size_t f = 0; f < k; ++f) {
        std::size_t const e = shape_.tests[f].size();
        float const* const y = y_[f].data() + t * e;
        float const* const p = f_[l * k + f].data() + t * e;
        Means const& means = means_[at(l, f, t)];
        Sums m{static_cast<double>(e), 0, 0, 0, 0, 0};
        for (std::size_t i = 0; i < e; ++i) {
          double const a = y[i], c = p[i];
          m.y += a, m.yy += a * a, m.f += c, m.ff += c * c, m.yf += a * c;
          if (shape_.concat) all.add(a + means.y, c + means.f);
        }
        for (std::size_t s = 0; s < S && !shape_.concat; ++s)
          centre_[(l * S + s) * targets_ + t] += shape_.weight[f] / total * of_fold(shape_.scores[s], m, means);
      }
      for (std::size_t s = 0; s < S && shape_.concat; ++s)
        centre_[(l * S + s) * targets_ + t] = striate::score(shape_.scores[s], all);
    }
}

std::span<float const> BootstrapScores::drawn(std::size_t layer, std::size_t score, std::size_t target) const {
  return {scores_.data() + ((layer * shape_.scores.size() + score) * targets_ + target) * draws_, draws_};
}

double BootstrapScores::centre(std::size_t layer, std::size_t score, std::size_t target) const {
  return centre_[(layer * shape_.scores.size() + score) * targets_ + target];
}

}  // namespace striate
