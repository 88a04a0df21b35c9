#include "descent.hpp"

#include <algorithm>
#include <cmath>

#include "sparse_kernels.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t lanes = 8;
constexpr std::size_t most_sweeps = 100000, most_steps = 50, least_entry = 16;

/// Larger memory with the old contents at its front; the rest zero.
void widen(Buffer<double>& buffer, std::size_t kept, std::size_t size) {
  Buffer<double> larger(size);
  std::copy_n(buffer.data(), kept, larger.data());
  std::fill_n(larger.data() + kept, size - kept, 0.0);
  buffer = std::move(larger);
}

std::size_t grown(std::size_t stride) { return round_up(std::max<std::size_t>(stride + stride / 2, 64), lanes); }

}  // namespace

void Descent::start(PanelGram const& gram, double const* inverse, double const* c, double yy) {
  for (auto j : coordinate_) {
    held_[j] = 0;
  }
  held_.resize(gram.p, 0);
  coordinate_.clear();
  gram_ = gram;
  inverse_ = inverse;
  all_c_ = c;
  yy_ = yy;
  count_ = 0;
}

std::size_t Descent::reserved(std::size_t count) {
  std::size_t stride = 0;
  while (stride < count) {
    stride = grown(stride);
  }
  return stride;
}

void Descent::reserve(std::size_t count) {
  if (count <= stride_) {
    return;
  }
  std::size_t const wider = std::max(round_up(count, lanes), grown(stride_));
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

/// Passes after which a Newton step costs about as much as they did: a Cholesky factorisation against passes in which a
/// coordinate takes some forty cycles, and three or four for each eight of the working set.
std::size_t Descent::patience() const {
  auto const active = static_cast<double>(
      std::count_if(w_.data(), w_.data() + count_, [](double w) { return w != 0; }));
  double const rest = static_cast<double>(gram_.p) - active;
  double const order = by_inverse(static_cast<std::size_t>(active)) ? rest : active;
  double const pass = std::max(1.0, active) * (40 + 3.5 * static_cast<double>(count_) / lanes);
  return 3 + static_cast<std::size_t>(order * order * order / (48 * pass));
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

/// Newton steps until one goes all its way: those before it left coordinates at zero, which passes of descent would only
/// move again.
void Descent::exact_step(Penalty const& penalty, Buffer<double>& scratch) {
  bool again = true;
  for (std::size_t k = 0; again && k < most_steps; ++k) {
    active_.clear();
    for (std::size_t i = 0; i < count_; ++i) {
      if (w_[i] != 0) {
        active_.push_back(static_cast<std::uint32_t>(i));
      }
    }
    std::size_t const m = active_.size();
    double* product = line_.grow(3 * stride_);
    double *direction = product + stride_, *change = direction + stride_;
    if (m == 0) {
      return;
    }
    gradient(penalty, direction);
    bool const found =
        by_inverse(m) ? inverse_newton(direction, scratch) : newton(penalty, direction, scratch.grow(m * m));
    again = found && search(penalty, direction, change, product);
  }
}

void Descent::gradient(Penalty const& penalty, double* out) const {
  for (std::size_t i = 0; i < active_.size(); ++i) {
    double const w = w_[active_[i]];
    out[i] = q_[active_[i]] - penalty.l2 * w - std::copysign(penalty.l1, w);
  }
}

/// direction = (G + l2)⁻¹ direction over the active coordinates; false where they are collinear to rounding.
bool Descent::newton(Penalty const& penalty, double* direction, double* matrix) const {
  std::size_t const m = active_.size();
  for (std::size_t i = 0; i < m; ++i) {
    double const* row = matrix_.data() + active_[i] * stride_;
    for (std::size_t j = i; j < m; ++j) {
      matrix[i * m + j] = row[active_[j]];
    }
    matrix[i * (m + 1)] += penalty.l2 + 1e-10 * diagonal_[active_[i]];
  }
  if (!blas::cholesky(m, matrix, m)) {
    return false;
  }
  blas::cholesky_solve(m, 1, matrix, m, direction, m);
  return true;
}

/// The same where most coordinates are active, from P = G⁻¹, which all targets share: with R the rest of all coordinates,
/// G_AA⁻¹ = P_AA − P_AR P_RR⁻¹ P_RA.
bool Descent::inverse_newton(double* direction, Buffer<double>& scratch) const {
  std::size_t const p = gram_.p, stride = inverse_stride(p), m = active_.size();
  std::vector<std::uint32_t> index(m), rest;
  std::vector<std::uint8_t> is_active(p, 0);
  for (std::size_t i = 0; i < m; ++i) {
    index[i] = coordinate_[active_[i]];
    is_active[index[i]] = 1;
    direction[i] = -direction[i];  // rows are subtracted
  }
  for (std::uint32_t j = 0; j < p; ++j) {
    if (is_active[j] == 0) {
      rest.push_back(j);
    }
  }
  std::size_t const r = rest.size();
  double* all = scratch.grow(stride + r + r * r);
  double *x = all + stride, *matrix = x + r;
  std::fill_n(all, stride, 0.0);
  subtract_rows(inverse_, stride, p, index.data(), direction, m, all);
  for (std::size_t i = 0; i < r; ++i) {
    x[i] = all[rest[i]];
    for (std::size_t j = i; j < r; ++j) {
      matrix[i * r + j] = inverse_[rest[i] * stride + rest[j]];
    }
  }
  if (r > 0) {
    if (!blas::cholesky(r, matrix, r)) {
      return false;
    }
    blas::cholesky_solve(r, 1, matrix, r, x, r);
    subtract_rows(inverse_, stride, p, rest.data(), x, r, all);
  }
  for (std::size_t i = 0; i < m; ++i) {
    direction[i] = all[index[i]];
  }
  return true;
}

/// Goes along the direction, coordinates that would change their sign staying at zero, as far as the objective falls;
/// at least to the first zero: up to there it falls, but for rounding. Returns whether it stopped short of the end.
bool Descent::search(Penalty const& penalty, double const* direction, double* change, double* product) {
  double const first = first_zero(direction);
  double length = 1;
  while (length > first && !falls(penalty, length, direction, change, product)) {
    length /= 2;
  }
  if (length <= first) {
    length = first;
    (void)falls(penalty, first, direction, change, product);
  }
  for (std::size_t i = 0; i < active_.size(); ++i) {
    w_[active_[i]] += change[i];
  }
  for (std::size_t j = 0; j < count_; ++j) {
    q_[j] += product[j];
  }
  return length < 1;
}

/// product = −G change.
bool Descent::falls(Penalty const& penalty, double length, double const* direction, double* change,
                    double* product) const {
  double fall = 0;
  std::size_t const m = active_.size();
  for (std::size_t i = 0; i < m; ++i) {
    double const w = w_[active_[i]];
    double to = w + length * direction[i];
    to = to * w > 0 ? to : 0;
    double const by = change[i] = to - w;
    fall += by * (q_[active_[i]] - penalty.l2 * (w + 0.5 * by)) - penalty.l1 * (std::fabs(to) - std::fabs(w));
  }
  std::fill_n(product, stride_, 0.0);
  subtract_rows(matrix_.data(), stride_, count_, active_.data(), change, m, product);
  for (std::size_t i = 0; i < m; ++i) {
    fall += 0.5 * change[i] * product[active_[i]];
  }
  return fall > 0;
}

/// Length at which the first coordinate is zero, a trifle beyond; 1 at most.
double Descent::first_zero(double const* direction) const {
  double length = 1;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    double const reach = -w_[active_[i]] / direction[i];
    length = reach > 0 && reach < length ? reach : length;
  }
  return length * (1 + 1e-14);
}

void Descent::violators(double const* gradient, double l1, std::vector<std::uint32_t>& enter) const {
  enter.clear();
  for (std::size_t j = 0; j < gram_.p; ++j) {
    if (std::fabs(gradient[j]) > l1 && held_[j] == 0) {
      enter.push_back(static_cast<std::uint32_t>(j));
    }
  }
  auto const active = static_cast<std::size_t>(std::count_if(w_.data(), w_.data() + count_, [](double w) { return w != 0; }));
  std::size_t const most = std::max(least_entry, active);
  if (enter.size() > most) {  // coordinates that enter together crowd each other out
    auto const end = enter.begin() + static_cast<std::ptrdiff_t>(most);
    std::nth_element(enter.begin(), end, enter.end(), [&](auto a, auto b) {
      double const x = std::fabs(gradient[a]), y = std::fabs(gradient[b]);
      return x > y || (x == y && a < b);
    });
    enter.erase(end, enter.end());
    std::sort(enter.begin(), enter.end());
  }
}

bool Descent::finished(double const* gradient, Penalty const& penalty, std::vector<std::uint32_t>& enter) {
  for (std::size_t i = 0; i < count_; ++i) {
    q_[i] = gradient[coordinate_[i]];
  }
  violators(gradient, penalty.l1, enter);  // the strongest is among them
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
