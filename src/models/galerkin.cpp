#include "galerkin.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "small_solve.hpp"
#include "striate/math/clones.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

using Doubles = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));
constexpr std::size_t lanes = 8;

/// Σ a_i b_i in float64, in lanes: the same order on every CPU.
STRIATE_CLONES double dot(float const* a, float const* b, std::size_t n) {
  Doubles sum{};
  std::size_t const whole = n / lanes * lanes;
  for (std::size_t i = 0; i < whole; i += lanes) {
    Floats x, y;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    sum += __builtin_convertvector(x, Doubles) * __builtin_convertvector(y, Doubles);
  }
  double all = 0;
  for (std::size_t l = 0; l < lanes; ++l) all += sum[l];
  for (std::size_t i = whole; i < n; ++i) all += static_cast<double>(a[i]) * b[i];
  return all;
}

STRIATE_CLONES void add_scaled(double* to, double factor, float const* from, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) to[i] += factor * static_cast<double>(from[i]);
}

}  // namespace

Galerkin::Galerkin(std::size_t bands, bool dual, std::size_t blocks, std::size_t kernels, std::size_t most,
                   std::vector<double> y, std::vector<float> right, std::vector<std::size_t> const* edges)
    : bands_(bands),
      blocks_(blocks),
      kernels_(kernels),
      most_(most),
      dual_(dual),
      y_(std::move(y)),
      right_(std::move(right)),
      edges_(edges),
      fixed_(most * most, 0.0),
      of_band_(bands * most * most, 0.0),
      right_small_(most, 0.0),
      scale_(bands, 1.0),
      f_(y_.size(), 0.0) {
  space_.reserve(most * depth());
  products_.reserve(most * kernels * panel_round(depth()));
  test_.reserve(most * blocks * panel_round(y_.size()));
}

bool Galerkin::begin(float* direction) {
  std::size_t const m = depth();
  double const before = std::sqrt(dot(direction, direction, m));
  if (!(before > 0) || !std::isfinite(before) || size_ == most_) return false;
  std::vector<double> v(direction, direction + m);
  for (int pass = 0; pass < 2; ++pass) {
    for (std::size_t j = 0; j < size_; ++j) {
      float const* old = space_.data() + j * m;
      add_scaled(v.data(), -dot(old, direction, m), old, m);
      std::copy(v.begin(), v.end(), direction);
    }
  }
  double const after = std::sqrt(dot(direction, direction, m));
  if (!(after > 1e-6 * before)) return false;
  for (std::size_t i = 0; i < m; ++i) direction[i] = static_cast<float>(v[i] / after);
  return true;
}

void Galerkin::add(float const* direction, float const* products, float const* test) {
  std::size_t const m = depth(), j = size_, one = panel_round(m);
  space_.insert(space_.end(), direction, direction + m);
  products_.insert(products_.end(), products, products + kernels_ * one);
  test_.insert(test_.end(), test, test + blocks_ * panel_round(y_.size()));
  right_small_[j] = dot(direction, right_.data(), m);
  for (std::size_t i = 0; i <= j; ++i) {
    float const* v = space_.data() + i * m;
    entry(fixed_, 0, i, j) = entry(fixed_, 0, j, i) = dot(v, dual_ ? direction : products, m);
    for (std::size_t b = 0; b < bands_; ++b) {
      std::size_t const from = dual_ ? 0 : (*edges_)[b], count = dual_ ? m : (*edges_)[b + 1] - from;
      double const x = dot(v + from, dual_ ? products + b * one : direction + from, count);
      entry(of_band_, b, i, j) = entry(of_band_, b, j, i) = x;
    }
  }
  ++size_;
}

bool Galerkin::solve(std::vector<double> const& delta) {
  std::size_t const d = size_, e = y_.size(), stride = panel_round(e);
  for (std::size_t b = 0; b < bands_; ++b) scale_[b] = std::exp(delta[b]);
  factor_.assign(d * d, 0.0);
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double x = entry(fixed_, 0, i, j);
      for (std::size_t b = 0; b < bands_; ++b) x += factor(b) * entry(of_band_, b, i, j);
      factor_[i * d + j] = x;
    }
  }
  if (!factor_small(factor_.data(), d)) return false;
  c_.assign(right_small_.begin(), right_small_.begin() + static_cast<std::ptrdiff_t>(d));
  solve_small(factor_.data(), d, c_.data());
  sums_.assign(d * e, 0.0);  // Σ over blocks of test products
  std::fill(f_.begin(), f_.end(), 0.0);
  for (std::size_t j = 0; j < d; ++j) {
    double* sum = sums_.data() + j * e;
    for (std::size_t b = 0; b < blocks_; ++b) add_scaled(sum, weight(b), test_.data() + (j * blocks_ + b) * stride, e);
    for (std::size_t i = 0; i < e; ++i) f_[i] += c_[j] * sum[i];
  }
  return true;
}

Moments Galerkin::moments() const {
  Moments m;
  for (std::size_t i = 0; i < y_.size(); ++i) m.add(y_[i], f_[i]);
  return m;
}

/// Derivatives of the predictions by δ, test rows × bands.
std::vector<double> Galerkin::directions() {
  std::size_t const d = size_, e = y_.size(), stride = panel_round(e);
  std::vector<double> out(e * bands_, 0.0), x(d);
  for (std::size_t b = 0; b < bands_; ++b) {
    double* to = out.data() + b * e;
    double const change = dual_ ? -factor(b) : factor(b);  // of −A by δ_b
    for (std::size_t i = 0; i < d; ++i) {
      x[i] = 0;
      for (std::size_t j = 0; j < d; ++j) x[i] += change * entry(of_band_, b, i, j) * c_[j];
    }
    solve_small(factor_.data(), d, x.data());
    for (std::size_t j = 0; j < d; ++j) {
      double const* sum = sums_.data() + j * e;
      for (std::size_t i = 0; i < e; ++i) to[i] += x[j] * sum[i];
      if (dual_) add_scaled(to, scale_[b] * c_[j], test_.data() + (j * blocks_ + b) * stride, e);
    }
  }
  return out;
}

/// R² is 1 − ‖y − f‖² / ‖y − ȳ‖²; Pearson is 1 − ‖ỹ − f̃‖² / 2 of centred vectors of length 1.
void Galerkin::climb(Score which, std::vector<double>& matrix, std::vector<double>& gradient) {
  std::size_t const e = y_.size();
  std::vector<double> j = directions(), off(e);
  Moments const m = moments();
  double const sst = m.yy - m.y * m.y / m.n, ssf = m.ff - m.f * m.f / m.n;
  double unit = 1 / sst;
  if (which == Score::pearson) {
    if (constant_prediction(m)) return;
    double const length = std::sqrt(ssf), of_y = std::sqrt(sst);
    std::vector<double> f(e);
    for (std::size_t i = 0; i < e; ++i) {
      f[i] = (f_[i] - m.f / m.n) / length;
      off[i] = (y_[i] - m.y / m.n) / of_y - f[i];
    }
    for (std::size_t b = 0; b < bands_; ++b) {
      double* of = j.data() + b * e;
      double mean = 0, along = 0;
      for (std::size_t i = 0; i < e; ++i) mean += of[i] / m.n, along += of[i] * f[i];
      for (std::size_t i = 0; i < e; ++i) of[i] = (of[i] - mean - along * f[i]) / length;
    }
    unit = 1;
  } else {
    for (std::size_t i = 0; i < e; ++i) off[i] = y_[i] - f_[i];
  }
  for (std::size_t a = 0; a < bands_; ++a) {
    for (std::size_t i = 0; i < e; ++i) gradient[a] += unit * j[a * e + i] * off[i];
    for (std::size_t b = 0; b < bands_; ++b) {
      for (std::size_t i = 0; i < e; ++i) matrix[a * bands_ + b] += unit * j[a * e + i] * j[b * e + i];
    }
  }
}

void Galerkin::residual(float* out) const {
  std::size_t const m = depth(), one = panel_round(m);
  std::vector<double> r(right_.begin(), right_.end());
  for (std::size_t j = 0; j < size_; ++j) {
    float const* v = space_.data() + j * m;
    float const* products = products_.data() + j * kernels_ * one;
    add_scaled(r.data(), -c_[j], dual_ ? v : products, m);
    for (std::size_t b = 0; b < bands_; ++b) {
      std::size_t const from = dual_ ? 0 : (*edges_)[b], count = dual_ ? m : (*edges_)[b + 1] - from;
      add_scaled(r.data() + from, -c_[j] * factor(b), dual_ ? products + b * one : v + from, count);
    }
  }
  std::copy(r.begin(), r.end(), out);
}

void Galerkin::turn(std::size_t band, float* out) const {
  std::size_t const m = depth();
  if (dual_) {
    std::copy_n(products_.data() + band * panel_round(m), m, out);
  } else {
    std::fill_n(out, m, 0.0F);
    std::copy(space_.data() + (*edges_)[band], space_.data() + (*edges_)[band + 1], out + (*edges_)[band]);
  }
}

void Galerkin::solution(double* out) const {
  std::fill_n(out, depth(), 0.0);
  for (std::size_t j = 0; j < size_; ++j) add_scaled(out, c_[j], space_.data() + j * depth(), depth());
}

void Galerkin::parts(double* out) const {
  std::size_t const e = y_.size(), stride = panel_round(e);
  std::fill_n(out, blocks_ * e, 0.0);
  for (std::size_t j = 0; j < size_; ++j) {
    for (std::size_t b = 0; b < blocks_; ++b) {
      add_scaled(out + b * e, c_[j] * weight(b), test_.data() + (j * blocks_ + b) * stride, e);
    }
  }
}

/// Dual fits leave w of the responses, so that those change as w does; primal ones change by X times the difference.
double Galerkin::fitted_change(std::vector<double> const& others) const {
  std::vector<double> off(c_);
  for (std::size_t j = 0; j < others.size(); ++j) off[j] -= others[j];
  double sum = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    for (std::size_t j = 0; j < size_; ++j) sum += off[i] * fixed_[i * most_ + j] * off[j];
  }
  return sum;
}

}  // namespace striate::detail
