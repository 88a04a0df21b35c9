#include "descent.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sparse_kernels.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t lanes = 8;
constexpr std::size_t most_sweeps = 100000, most_crossings = 8;

/// Larger memory with the old contents at its front; the rest zero.
void widen(Buffer<double>& buffer, std::size_t kept, std::size_t size) {
  Buffer<double> larger(size);
  std::copy_n(buffer.data(), kept, larger.data());
  std::fill_n(larger.data() + kept, size - kept, 0.0);
  buffer = std::move(larger);
}

}  // namespace

void Descent::start(PanelGram const& gram, double const* c, double yy) {
  for (auto j : coordinate_) {
    held_[j] = 0;
  }
  held_.resize(gram.p, 0);
  coordinate_.clear();
  gram_ = gram;
  all_c_ = c;
  yy_ = yy;
  count_ = 0;
}

void Descent::reserve(std::size_t count) {
  if (count <= stride_) {
    return;
  }
  std::size_t const wider = round_up(std::max<std::size_t>({count, stride_ + stride_ / 2, 64}), lanes);
  Buffer<double> larger(wider * wider);
  std::fill_n(larger.data(), wider * wider, 0.0);
  for (std::size_t i = 0; i < count_; ++i) {
    std::copy_n(matrix_.data() + i * stride_, count_, larger.data() + i * wider);
  }
  matrix_ = std::move(larger);
  for (auto* v : {&w_, &q_, &c_, &diagonal_, &step_}) {
    widen(*v, count_, wider);
  }
  stride_ = wider;
}

void Descent::add(std::span<std::uint32_t const> coordinates) {
  reserve(count_ + coordinates.size());
  for (auto j : coordinates) {
    held_[j] = 1;
    coordinate_.push_back(j);
    std::size_t const at = count_++;
    double* row = matrix_.data() + at * stride_;
    double const* from = gram_.data + j / gram_rows * gram_rows * gram_.p + j % gram_rows;
    double product = 0;
    for (std::size_t k = 0; k < at; ++k) {
      double const g = from[coordinate_[k] * gram_rows];
      row[k] = matrix_[k * stride_ + at] = g;
      product += g * w_[k];
    }
    row[at] = diagonal_[at] = from[j * gram_rows];
    w_[at] = 0;
    c_[at] = all_c_[j];
    q_[at] = c_[at] - product;
  }
}

/// Duality gap with the largest |gradient| of the coordinates out of the working set. The dual point is the residual,
/// scaled into the feasible set: r̃ = (y − Xw, −√(l2·n) w), s = min(1, l1/‖X̃ᵀr̃/n‖∞).
double Descent::gap(Penalty const& penalty, double outside) const {
  double largest = outside, norm1 = 0, wq = 0, wc = 0, wr = 0, ww = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    double const slope = q_[i] - penalty.l2 * w_[i];
    largest = std::max(largest, std::fabs(slope));
    norm1 += std::fabs(w_[i]);
    wq += w_[i] * slope;
    wc += w_[i] * c_[i];
    wr += w_[i] * q_[i];
    ww += w_[i] * w_[i];
  }
  double const s = largest > penalty.l1 ? penalty.l1 / largest : 1;
  double const residual = std::max(0.0, yy_ - wc - wr + penalty.l2 * ww);
  return penalty.l1 * norm1 - s * wq + 0.5 * (1 - s) * (1 - s) * residual;
}

/// Passes after which an exact step costs no more than they did: a Cholesky factorisation against passes in which a
/// coordinate takes some forty cycles and a vector operation for each eight of the working set.
std::size_t Descent::patience() const {
  auto const active = static_cast<double>(
      std::count_if(w_.data(), w_.data() + count_, [](double w) { return w != 0; }));
  return 4 + static_cast<std::size_t>(active * active / (24 * (40 + static_cast<double>(count_) / lanes)));
}

void Descent::solve(Penalty const& penalty, Buffer<double>& scratch) {
  for (std::size_t i = 0; i < count_; ++i) {
    double const d = diagonal_[i] + penalty.l2;
    step_[i] = d > 0 ? 1 / d : 0;
  }
  std::size_t wait = patience();
  for (std::size_t sweep = 0; sweep < most_sweeps; ++sweep) {
    double const change = descend(matrix_.data(), stride_, count_, penalty.l1, w_.data(), q_.data(), diagonal_.data(),
                                  step_.data());
    if (change == 0 || gap(penalty, 0) <= 0.3 * penalty.gap) {
      return;
    }
    if (--wait == 0) {
      exact_step(penalty, scratch);
      wait = patience();
    }
  }
}

/// Newton steps within the orthant of w; a coordinate that comes to zero first leaves, and the rest steps on.
void Descent::exact_step(Penalty const& penalty, Buffer<double>& scratch) {
  std::vector<std::size_t> active;
  for (std::size_t i = 0; i < count_; ++i) {
    if (w_[i] != 0) {
      active.push_back(i);
    }
  }
  double* direction = scratch.grow(active.size() * (active.size() + 1));
  double* matrix = direction + active.size();
  for (std::size_t k = 0; k < most_crossings && !active.empty(); ++k) {
    std::size_t crosses = active.size();
    if (!newton(penalty, active, direction, matrix)) {
      return;
    }
    double const length = step_length(penalty, active, direction, crosses);
    for (std::size_t i = 0; i < active.size(); ++i) {
      double const change = i == crosses ? -w_[active[i]] : length * direction[i];
      w_[active[i]] = i == crosses ? 0 : w_[active[i]] + change;
      double const* row = matrix_.data() + active[i] * stride_;
      for (std::size_t j = 0; j < count_; ++j) {
        q_[j] -= change * row[j];
      }
    }
    if (crosses == active.size()) {
      return;
    }
    active.erase(active.begin() + static_cast<std::ptrdiff_t>(crosses));
  }
}

/// direction = −(G + l2)⁻¹ gradient over the active coordinates; false where they are collinear to rounding.
bool Descent::newton(Penalty const& penalty, std::vector<std::size_t> const& active, double* direction,
                     double* matrix) {
  std::size_t const m = active.size();
  for (std::size_t i = 0; i < m; ++i) {
    double const* row = matrix_.data() + active[i] * stride_;
    for (std::size_t j = i; j < m; ++j) {
      matrix[i * m + j] = row[active[j]];
    }
    matrix[i * (m + 1)] += penalty.l2 + 1e-13 * diagonal_[active[i]];
    double const w = w_[active[i]];
    direction[i] = q_[active[i]] - penalty.l2 * w - std::copysign(penalty.l1, w);
  }
  if (!blas::cholesky(m, matrix, m)) {
    return false;
  }
  blas::cholesky_solve(m, 1, matrix, m, direction, m);
  return true;
}

/// To the minimum along the direction, or to the first zero, whose place is `crosses`.
double Descent::step_length(Penalty const& penalty, std::vector<std::size_t> const& active, double const* direction,
                            std::size_t& crosses) const {
  double slope = 0, curvature = 0;
  for (std::size_t i = 0; i < active.size(); ++i) {
    double const w = w_[active[i]], d = direction[i];
    slope += d * (q_[active[i]] - penalty.l2 * w - std::copysign(penalty.l1, w));
    double const* row = matrix_.data() + active[i] * stride_;
    double product = penalty.l2 * d;
    for (std::size_t j = 0; j < active.size(); ++j) {
      product += row[active[j]] * direction[j];
    }
    curvature += d * product;
  }
  double length = curvature > 0 ? slope / curvature : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < active.size(); ++i) {
    double const reach = -w_[active[i]] / direction[i];
    if (reach > 0 && reach <= length) {
      length = reach;
      crosses = i;
    }
  }
  return std::isfinite(length) ? length : 0;
}

void Descent::violators(double const* gradient, double l1, std::vector<std::uint32_t>& enter) const {
  enter.clear();
  for (std::size_t j = 0; j < gram_.p; ++j) {
    if (std::fabs(gradient[j]) > l1 && held_[j] == 0) {
      enter.push_back(static_cast<std::uint32_t>(j));
    }
  }
}

bool Descent::finished(double const* gradient, Penalty const& penalty, std::vector<std::uint32_t>& enter) {
  for (std::size_t i = 0; i < count_; ++i) {
    q_[i] = gradient[coordinate_[i]];
  }
  violators(gradient, penalty.l1, enter);
  double outside = 0;
  for (auto j : enter) {
    outside = std::max(outside, std::fabs(gradient[j]));
  }
  return gap(penalty, outside) <= penalty.gap;
}

void Descent::active(Sparse& out) const {
  out.index.clear();
  out.value.clear();
  for (std::size_t i = 0; i < count_; ++i) {
    if (w_[i] != 0) {
      out.index.push_back(coordinate_[i]);
      out.value.push_back(w_[i]);
    }
  }
}

}  // namespace striate::detail
