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
constexpr double dependent = 1e-12;     // squared, relative: a direction that the subspace holds already
constexpr double exhausted = 1e-14;     // of the first squared singular value: no covariance is left

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
  double* fresh(std::size_t which) { return fresh_.data() + which * n_ * block; }

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
    for (std::size_t c = 0; c < block; ++c) {  // of length 1, so that `append` can tell nothing from little
      double const length = std::sqrt(dot(fresh(0) + c * n_, fresh(0) + c * n_));
      for (std::size_t i = 0; length > 0 && i < n_; ++i) {
        fresh(0)[i + c * n_] /= length;
      }
    }
    times(k_, fresh(0), block, fresh(1));
    append(noise_ * dependent);
    return m_ > 0;
  }

  /// Adds fresh vectors p and h = K_j p (with pᵀh above `least`) to the subspace.
  void append(double least) {
    if (m_ > 0) {
      small_.resize(m_ * block);
      blas::gemm('T', 'N', m_, block, n_, 1.0, h_.data(), n_, fresh(0), n_, 0.0, small_.data(), m_);
      blas::gemm('N', 'N', n_, block, m_, -1.0, p_.data(), n_, small_.data(), m_, 1.0, fresh(0), n_);
      blas::gemm('N', 'N', n_, block, m_, -1.0, h_.data(), n_, small_.data(), m_, 1.0, fresh(1), n_);
    }
    std::size_t added = 0;
    for (std::size_t c = 0; c < block && m_ + added < most_basis; ++c) {
      double const square = dot(fresh(0) + c * n_, fresh(1) + c * n_);
      if (!(square > least)) {
        continue;
      }
      double const scale = 1 / std::sqrt(square);
      for (std::size_t i = 0; i < n_; ++i) {
        p_[i + (m_ + added) * n_] = scale * fresh(0)[i + c * n_];
        h_[i + (m_ + added) * n_] = scale * fresh(1)[i + c * n_];
      }
      ++added;
    }
    times(g_, h_.data() + m_ * n_, added, q_.data() + m_ * n_);
    m_ += added;
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
    while (rank < m && values[rank] > dependent * values[0]) {
      for (std::size_t i = 0; i < m; ++i) {
        white[i + rank * m] = scale[i] * vectors[i + rank * m] / std::sqrt(values[rank]);
      }
      ++rank;
    }
    std::vector<double> half(m * rank), inner(rank * rank), turn(rank * rank);
    blas::gemm('N', 'N', m, rank, m, 1.0, energy.data(), m, white.data(), m, 0.0, half.data(), m);
    blas::gemm('T', 'N', rank, rank, m, 1.0, white.data(), m, half.data(), m, 0.0, inner.data(), rank);
    theta_.resize(rank);
    blas::eigen_top(rank, inner.data(), rank, rank, theta_.data(), turn.data());
    m_ = rank + block > most_basis ? std::min(rank, kept_basis) : rank;
    blas::gemm('N', 'N', m, m_, rank, 1.0, white.data(), m, turn.data(), rank, 0.0, half.data(), m);
    for (auto* b : {&p_, &h_, &q_}) {
      blas::gemm('N', 'N', n_, m_, m, 1.0, b->data(), n_, half.data(), m, 0.0, rotated_.data(), n_);
      std::swap(*b, rotated_);
    }
  }

  /// Finds the leading eigenvector, p_[0]. False where there is none any more.
  bool leading() {
    if (m_ == 0 && !start()) {
      return false;
    }
    for (std::size_t step = 0;; ++step) {
      rotate();
      if (m_ == 0 || !(theta_[0] > exhausted * first_)) {
        return false;
      }
      first_ = std::max(first_, theta_[0]);
      // Residuals, whose part that the features do not see (K_j r = 0) does not matter.
      std::size_t const count = std::min(block, m_);
      std::fill_n(fresh(0), n_ * block, 0.0);
      for (std::size_t c = 0; c < count; ++c) {
        for (std::size_t i = 0; i < n_; ++i) {
          fresh(0)[i + c * n_] = (q_[i + c * n_] - theta_[c] * p_[i + c * n_]) / theta_[0];
        }
      }
      times(k_, fresh(0), block, fresh(1));
      bool const found = dot(fresh(0), fresh(1)) <= tolerance * tolerance || step == most_steps;
      append(dependent * tolerance * tolerance);
      if (found) {
        return dot(h_.data(), h_.data()) > noise_;
      }
    }
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
    --m_;  // the vector itself becomes 0
    std::vector<double> tp(m_ + 1), th(m_ + 1);
    blas::gemv('T', n_, m_, 1.0, p_.data() + n_, n_, t, 0.0, tp.data());
    blas::gemv('T', n_, m_, 1.0, h_.data() + n_, n_, t, 0.0, th.data());
    double const tk = dot(t, ks.data());
    ++out_.count;
    for (std::size_t j = 0; j < m_; ++j) {
      double const a = tp[j], b = tk * tp[j] - th[j];
      for (std::size_t i = 0; i < n_; ++i) {
        std::size_t const to = i + j * n_, from = i + (j + 1) * n_;
        p_[to] = p_[from] - a * t[i];
        h_[to] = h_[from] - a * ks[i];
        q_[to] = q_[from] - a * gks[i] + b * gt[i];
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
  PlsComponents out_;
};

}  // namespace

PlsComponents pls_components(std::size_t n, double const* k, double const* g, std::size_t most, double noise) {
  return Solver(n, k, g, most, noise).run();
}

}  // namespace striate::detail
