// The weights w of a PLS component are the leading left singular vector of X_jᵀY, X_j the deflated features. With
// w = X_jᵀp that is the leading eigenvector of G K_j, where K_j = R K R, R = I − TTᵀ, G = YYᵀ: products with two n × n
// matrices, whatever the numbers of features and targets (reference: Lindgren, Geladi & Wold 1993, the kernel
// algorithm for PLS; Rännar et al. 1994 for many variables).
//
// The eigenvector is found by a block Krylov method with Rayleigh-Ritz steps in the inner product pᵀK_j p, in which
// G K_j is symmetric. The subspace is carried from component to component: a deflation changes its products by terms
// of low rank, so that what was learnt of the second singular vector is a good start for the next component.
#include "pls.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "striate/base/philox.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t block = 8;        // vectors multiplied at a time: about as dear as one, matrices come from memory
constexpr std::size_t most_basis = 48;  // vectors of the subspace
constexpr std::size_t kept_basis = 24;  // of those, after a restart
constexpr std::size_t most_steps = 60;  // of one component; what is left then is a cluster of equal singular values
constexpr double tolerance = 1e-10;     // of the residual relative to the eigenvalue
constexpr double dependent = 1e-10;     // squared, relative: rounding is most of what a direction adds to the subspace
constexpr double unseen = 1e-4;         // of a residual's product with the features: most of it is in their null space
constexpr double exhausted = 1e-12;     // of the first squared singular value: no covariance is left

class Solver {
 public:
  Solver(std::size_t n, double const* k, double const* g, std::size_t most, double noise)
      : n_(n), most_(most), noise_(noise), k_(k), g_(g) {
    for (auto* b : {&p_, &h_, &q_}) {
      b->grow(n * most_basis);
    }
    fresh_.grow(3 * n * block);
    rotated_.grow(n * most_basis);
    kt_.resize(n * most);
    out_.scores.resize(n * most);
    out_.rotations.resize(n * most);
  }

  PlsComponents run() {
    while (out_.count < most_ && leading()) {
      component();
    }
    out_.scores.resize(n_ * out_.count);
    out_.rotations.resize(n_ * out_.count);
    return std::move(out_);
  }

 private:
  double* basis(std::size_t which) { return (which == 0 ? p_ : which == 1 ? h_ : q_).data(); }
  double* fresh(std::size_t which) { return fresh_.data() + which * n_ * block; }

  double norm(double const* x) const { return std::sqrt(dot(x, x)); }

  /// Takes the directions of the scores found so far from x, n × count.
  void deflate(double* x, std::size_t count) {
    std::size_t const c = out_.count;
    if (c == 0 || count == 0) {
      return;
    }
    small_.resize(c * count);
    blas::gemm('T', 'N', c, count, n_, 1.0, out_.scores.data(), n_, x, n_, 0.0, small_.data(), c);
    blas::gemm('N', 'N', n_, count, c, -1.0, out_.scores.data(), n_, small_.data(), c, 1.0, x, n_);
  }
  /// y = R A x, for x that is deflated.
  void times(double const* a, double const* x, std::size_t count, double* y) {
    blas::gemm('N', 'N', n_, count, n_, 1.0, a, n_, x, n_, 0.0, y, n_);
    deflate(y, count);
  }
  double dot(double const* a, double const* b) const {
    double sum = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /// Random combinations of responses. False where they have nothing in common with the features any more.
  bool start() {
    Philox random(0, purpose, out_.count);
    for (std::size_t i = 0; i < n_ * block; ++i) {
      fresh(1)[i] = random.normal();
    }
    deflate(fresh(1), block);
    times(g_, fresh(1), block, fresh(0));
    multiply();
    append();
    return m_ > 0;
  }

  /// Makes the fresh vectors p of length 1 (size_: what it was) and computes their products. They are always computed
  /// from p itself: differences of products would tell rounding from nothing.
  void multiply() {
    for (std::size_t c = 0; c < block; ++c) {
      double* p = fresh(0) + c * n_;
      size_[c] = norm(p);
      for (std::size_t i = 0; size_[c] > 0 && i < n_; ++i) {
        p[i] /= size_[c];
      }
    }
    times(k_, fresh(0), block, fresh(1));
    times(g_, fresh(1), block, fresh(2));
  }

  /// Adds those fresh vectors to the subspace that the features see.
  void append() {
    for (std::size_t c = 0; c < block && m_ < most_basis; ++c) {
      double const square = dot(fresh(0) + c * n_, fresh(1) + c * n_);
      if (!(square > noise_)) {
        continue;
      }
      for (std::size_t b = 0; b < 3; ++b) {
        for (std::size_t i = 0; i < n_; ++i) {
          basis(b)[i + m_ * n_] = fresh(b)[i + c * n_] / std::sqrt(square);
        }
      }
      ++m_;
    }
  }

  /// Rayleigh-Ritz: afterwards pᵀh = I and hᵀq = diag(theta), descending.
  void rotate() {
    std::size_t const m = m_;
    std::vector<double> gram(m * m), energy(m * m), values(m), vectors(m * m), white(m * m), scale(m);
    blas::gemm('T', 'N', m, m, n_, 1.0, p_.data(), n_, h_.data(), n_, 0.0, gram.data(), m);
    blas::gemm('T', 'N', m, m, n_, 1.0, h_.data(), n_, q_.data(), n_, 0.0, energy.data(), m);
    for (std::size_t i = 0; i < m; ++i) {
      scale[i] = gram[i * (m + 1)] > 0 ? 1 / std::sqrt(gram[i * (m + 1)]) : 0;
    }
    for (std::size_t j = 0; j < m; ++j) {
      for (std::size_t i = 0; i < m; ++i) {
        gram[i + j * m] *= scale[i] * scale[j];
      }
    }
    blas::eigen_top(m, gram.data(), m, m, values.data(), vectors.data());
    std::size_t rank = 0;
    while (rank < m && values[0] > 0 && values[rank] > dependent * values[0]) {
      for (std::size_t i = 0; i < m; ++i) {
        white[i + rank * m] = scale[i] * vectors[i + rank * m] / std::sqrt(values[rank]);
      }
      ++rank;
    }
    theta_.resize(rank);
    m_ = rank + block > most_basis ? std::min(rank, kept_basis) : rank;
    if (rank == 0) {
      return;
    }
    std::vector<double> half(m * rank), inner(rank * rank), turn(rank * rank);
    blas::gemm('N', 'N', m, rank, m, 1.0, energy.data(), m, white.data(), m, 0.0, half.data(), m);
    blas::gemm('T', 'N', rank, rank, m, 1.0, white.data(), m, half.data(), m, 0.0, inner.data(), rank);
    blas::eigen_top(rank, inner.data(), rank, rank, theta_.data(), turn.data());
    blas::gemm('N', 'N', m, m_, rank, 1.0, white.data(), m, turn.data(), rank, 0.0, half.data(), m);
    for (auto* b : {&p_, &h_, &q_}) {
      blas::gemm('N', 'N', n_, m_, m, 1.0, b->data(), n_, half.data(), m, 0.0, rotated_.data(), n_);
      std::swap(*b, rotated_);
    }
  }

  /// Finds the leading eigenvector, p_[0]. False where there is none any more.
  bool leading() {
    if (m_ > 0) {
      rotate();
    }
    if (m_ == 0 && !start()) {
      return false;
    }
    for (std::size_t step = 0;; ++step) {
      rotate();
      if (m_ == 0 || !(theta_[0] > exhausted * first_)) {
        return false;
      }
      first_ = std::max(first_, theta_[0]);
      double const residual = residuals();
      append();
      if (residual <= tolerance || step == most_steps) {
        return dot(h_.data(), h_.data()) > noise_;
      }
    }
  }

  /// Fresh vectors: residuals r = q − theta p of the leading Ritz vectors, those above the tolerance. Returns the size of
  /// K_j r / theta of the first relative to h = K_j p: the part of r that the features do not see does not matter. Where
  /// that part is nearly all of r, r itself would add rounding only; p then takes it in (p = q / theta).
  double residuals() {
    std::size_t const count = std::min(block, m_);
    std::fill_n(fresh(0), n_ * block, 0.0);
    for (std::size_t c = 0; c < count; ++c) {
      for (std::size_t i = 0; i < n_; ++i) {
        fresh(0)[i + c * n_] = q_[i + c * n_] - theta_[c] * p_[i + c * n_];
      }
    }
    small_.resize(m_ * block);  // in exact arithmetic they are orthogonal to the subspace already
    blas::gemm('T', 'N', m_, block, n_, 1.0, h_.data(), n_, fresh(0), n_, 0.0, small_.data(), m_);
    blas::gemm('N', 'N', n_, block, m_, -1.0, p_.data(), n_, small_.data(), m_, 1.0, fresh(0), n_);
    multiply();
    double const seen = norm(h_.data()), scale = seen / norm(p_.data());
    double const residual = norm(fresh(1)) * size_[0] / (theta_[0] * seen);
    for (std::size_t c = 0; c < count; ++c) {
      double const now = norm(fresh(1) + c * n_);
      bool const takes = now <= unseen * scale && theta_[c] > unseen * theta_[0];
      bool const small = now * size_[c] <= tolerance * theta_[0] * seen;
      for (std::size_t b = 0; (takes || small) && b < 3; ++b) {
        for (std::size_t i = 0; i < n_; ++i) {
          basis(b)[i + c * n_] += takes ? size_[c] / theta_[c] * fresh(b)[i + c * n_] : 0;
          fresh(b)[i + c * n_] = 0;
        }
      }
    }
    return residual;
  }

  /// Scores and rotations of the leading eigenvector; takes it from the subspace and its products.
  void component() {
    double const length = std::sqrt(dot(h_.data(), h_.data()));
    std::size_t const c = out_.count;
    double *t = out_.scores.data() + c * n_, *v = out_.rotations.data() + c * n_, *kt = kt_.data() + c * n_;
    std::vector<double> products(c + 1);
    for (std::size_t i = 0; i < n_; ++i) {
      t[i] = h_[i] / length;
      v[i] = p_[i] / length;
    }
    // v is deflated as the scores are: K v = t, else test rows would be projected wrongly.
    if (c > 0) {
      blas::gemv('T', n_, c, 1.0, kt_.data(), n_, v, 0.0, products.data());
      blas::gemv('N', n_, c, -1.0, out_.rotations.data(), n_, products.data(), 1.0, v);
    }
    blas::gemv('N', n_, n_, 1.0, k_, n_, t, 0.0, kt);
    std::vector<double> ks(kt, kt + n_), gt(q_.data(), q_.data() + n_), gks(n_);
    deflate(ks.data(), 1);  // by the scores before this one
    times(g_, ks.data(), 1, gks.data());
    for (auto& x : gt) {
      x /= length;
    }
    std::vector<double> tp(m_), th(m_);
    blas::gemv('T', n_, m_, 1.0, p_.data(), n_, t, 0.0, tp.data());
    blas::gemv('T', n_, m_, 1.0, h_.data(), n_, t, 0.0, th.data());
    double const tk = dot(t, ks.data());
    ++out_.count;
    for (std::size_t j = 0; j < m_; ++j) {
      double const a = tp[j], b = tk * tp[j] - th[j];
      for (std::size_t i = 0; i < n_; ++i) {
        p_[i + j * n_] -= a * t[i];
        h_[i + j * n_] -= a * ks[i];
        q_[i + j * n_] += b * gt[i] - a * gks[i];
      }
    }
    for (auto* b : {&p_, &h_, &q_}) {
      deflate(b->data(), m_);
    }
  }

  static constexpr std::uint32_t purpose = 0x504C53;  // of the random start
  std::size_t n_, most_, m_ = 0;
  double noise_, first_ = 0;
  double const *k_, *g_;
  Buffer<double> p_, h_, q_, rotated_, fresh_;  ///< n × m_: vectors, K_j p, R G h
  std::vector<double> theta_, kt_, small_;
  std::array<double, block> size_{};
  PlsComponents out_;
};

}  // namespace

PlsComponents pls_components(std::size_t n, double const* k, double const* g, std::size_t most, double noise) {
  return Solver(n, k, g, most, noise).run();
}

}  // namespace striate::detail
