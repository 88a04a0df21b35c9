// The weights w of a PLS component are the leading left singular vector of X_jᵀY, X_j the deflated features. With the
// factor K = XXᵀ = LLᵀ, L takes the place of X: components follow from the kernel alone. So w is the leading
// eigenvector of A_j = LᵀRGRL, R = I − TTᵀ, G = YYᵀ: products with n × n matrices, whatever the numbers of features and
// targets (kernel PLS for many variables: Rännar et al. 1994).
//
// The eigenvector is found by a block Krylov method with Rayleigh-Ritz steps. The subspace is carried from component to
// component: a deflation changes its products by terms of rank 1, so that what was learnt of the second singular vector
// is a good start for the next component.
#include "pls.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "striate/base/philox.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/skinny.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t block = 4;        // vectors multiplied at a time: about as dear as one, matrices come from memory
constexpr std::size_t most_basis = 96;  // vectors of the subspace
constexpr std::size_t kept_basis = 48;  // of those, after a restart
constexpr std::size_t most_steps = 200;  // of one component; what is left then is a cluster of equal singular values
constexpr double tolerance = 1e-8;       // of the residual relative to the eigenvalue
constexpr double rounding = 1e-14;       // of products, relative to the first eigenvalue
constexpr double dependent = 1e-8;       // of the length of a direction: the subspace holds it already
constexpr double exhausted = 1e-12;      // of the first squared singular value: no covariance is left
constexpr std::uint32_t purpose = 0x504C53;  // of the random start

class Solver {
 public:
  Solver(std::size_t n, double const* factor, double const* g, std::size_t most, double noise)
      : n_(n), most_(most), noise_(noise), factor_(factor), g_(g), a_(n * most) {
    for (auto& b : basis_) {
      b.grow(n * most_basis);
    }
    rotated_.grow(n * most_basis);
    energy_.resize(most_basis * most_basis);
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
  enum Which { w, e, f, y };  ///< vectors; e = R L w, f = R G e, y = Lᵀ f = A w
  double* at(Which which, std::size_t column = 0) { return basis_[which].data() + column * n_; }

  double dot(double const* a, double const* b) const {
    double sum = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      sum += a[i] * b[i];
    }
    return sum;
  }
  /// out = op(L) x; trans: 'N' or 'T'.
  void times_factor(char trans, double const* x, std::size_t columns, double* out) const {
    (trans == 'T' ? skinny_lower_transposed : skinny_lower)(n_, factor_, x, columns, out);
  }
  /// out = G x.
  void times_gram(double const* x, std::size_t columns, double* out) const {
    skinny_transposed(n_, g_, x, columns, out);  // G is symmetric
  }
  /// Takes the directions of `count` orthonormal columns from x, n × columns.
  void project(double const* from, std::size_t count, double* x, std::size_t columns) {
    if (count == 0 || columns == 0) {
      return;
    }
    small_.resize(count * columns);
    blas::gemm('T', 'N', count, columns, n_, 1.0, from, n_, x, n_, 0.0, small_.data(), count);
    blas::gemm('N', 'N', n_, columns, count, -1.0, from, n_, small_.data(), count, 1.0, x, n_);
  }
  void deflate(double* x, std::size_t columns) { project(out_.scores.data(), out_.count, x, columns); }

  /// Makes columns [m_, m_ + count) of w orthonormal, to the subspace as well, and adds those that are new with their
  /// products.
  void append(std::size_t count) {
    std::vector<double> length(count);
    for (std::size_t c = 0; c < count; ++c) {
      length[c] = std::sqrt(dot(at(w, m_ + c), at(w, m_ + c)));
    }
    project(at(w), m_, at(w, m_), count);
    std::size_t const first = m_;
    for (std::size_t c = 0; c < count; ++c) {
      double *from = at(w, first + c), *to = at(w, m_);
      for (int twice = 0; twice < 2; ++twice) {
        project(at(w), m_, from, 1);
      }
      double const now = std::sqrt(dot(from, from));
      if (!(now > dependent * length[c])) {
        continue;
      }
      for (std::size_t i = 0; i < n_; ++i) {
        to[i] = from[i] / now;
      }
      ++m_;
    }
    std::size_t const added = m_ - first;
    times_factor('N', at(w, first), added, at(e, first));
    deflate(at(e, first), added);
    times_gram(at(e, first), added, at(f, first));
    deflate(at(f, first), added);
    times_factor('T', at(f, first), added, at(y, first));
    if (added > 0) {
      blas::gemm('T', 'N', added, m_, n_, 1.0, at(y, first), n_, at(w), n_, 0.0, energy_.data() + first, most_basis);
    }
  }

  /// Random combinations of responses. False where there are none.
  bool start() {
    Philox random(0, purpose, out_.count);
    for (std::size_t i = 0; i < n_ * block; ++i) {
      at(e)[i] = random.normal();
    }
    times_gram(at(e), block, at(f));
    deflate(at(f), block);
    times_factor('T', at(f), block, at(w));
    m_ = 0;
    append(std::min(block, n_));
    return m_ > 0;
  }

  /// Rayleigh-Ritz: the `count` largest eigenvalues theta_ of WᵀAW and their vectors turn_ (m_ × count).
  void ritz(std::size_t count) {
    std::vector<double> energy(m_ * m_);
    for (std::size_t j = 0; j < m_; ++j) {
      std::copy_n(energy_.data() + j * most_basis, m_, energy.data() + j * m_);
    }
    theta_.resize(count);
    turn_.resize(m_ * count);
    blas::eigen_top(m_, energy.data(), m_, count, theta_.data(), turn_.data());
  }

  /// Keeps the leading Ritz vectors only.
  void restart() {
    ritz(kept_basis);
    for (auto& b : basis_) {
      blas::gemm('N', 'N', n_, kept_basis, m_, 1.0, b.data(), n_, turn_.data(), m_, 0.0, rotated_.data(), n_);
      std::swap(b, rotated_);
    }
    m_ = kept_basis;
    std::fill(energy_.begin(), energy_.end(), 0.0);
    for (std::size_t i = 0; i < m_; ++i) {
      energy_[i * (most_basis + 1)] = theta_[i];
    }
  }

  /// Finds the leading eigenvector; its coefficients are the first of turn_. False where there is none any more.
  bool leading() {
    if (m_ == 0 && !start()) {
      return false;
    }
    for (std::size_t step = 0;; ++step) {
      if (m_ + block > most_basis) {
        restart();
      }
      ritz(std::min(block, m_));
      first_ = std::max(first_, theta_[0]);
      if (!(theta_[0] > exhausted * first_)) {
        return false;
      }
      bool found = step == most_steps || m_ == n_;
      std::size_t const fresh = found ? 0 : residuals(found);
      if (found || fresh == 0) {
        auto const length = combine(e);
        return dot(length.data(), length.data()) > noise_;
      }
      append(fresh);
    }
  }

  /// Puts the residuals of the leading Ritz vectors, those that are not small, after the subspace; returns how many.
  /// `found`: that of the first is small.
  std::size_t residuals(bool& found) {
    std::size_t const count = theta_.size();
    double* r = at(w, m_);
    std::vector<double> scaled(turn_);
    for (std::size_t i = 0; i < scaled.size(); ++i) {
      scaled[i] *= theta_[i / m_];
    }
    blas::gemm('N', 'N', n_, count, m_, 1.0, at(y), n_, turn_.data(), m_, 0.0, r, n_);
    blas::gemm('N', 'N', n_, count, m_, -1.0, at(w), n_, scaled.data(), m_, 1.0, r, n_);
    double const enough = std::max(tolerance * theta_[0], rounding * first_);
    std::size_t fresh = 0;
    for (std::size_t c = 0; c < count; ++c) {
      bool const small = dot(r + c * n_, r + c * n_) <= enough * enough;
      found = found || (c == 0 && small);
      std::copy_n(r + c * n_, small ? 0 : n_, r + fresh * n_);
      fresh += small ? 0 : 1;
    }
    return fresh;
  }

  /// The leading Ritz vector of one of the four bases.
  std::vector<double> combine(Which which) {
    std::vector<double> x(n_);
    blas::gemv('N', n_, m_, 1.0, at(which), n_, turn_.data(), 0.0, x.data());
    return x;
  }

  /// Scores and rotations of the leading eigenvector; takes it from the subspace's products.
  void component() {
    std::size_t const c = out_.count;
    auto const along_e = combine(e);
    auto g = combine(f), lg = combine(y);  // of t: R G t, Lᵀ R G t
    double const length = std::sqrt(dot(along_e.data(), along_e.data()));
    double *t = out_.scores.data() + c * n_, *v = out_.rotations.data() + c * n_, *a = a_.data() + c * n_;
    std::vector<double> products(c + 1);
    for (std::size_t i = 0; i < n_; ++i) {
      t[i] = along_e[i] / length;
      v[i] = g[i] /= length;
      lg[i] /= length;
    }
    times_factor('T', t, 1, a);
    // Rotations are deflated as the scores are, K v = t; else test rows would be projected wrongly. With K = LLᵀ the
    // products t_iᵀ K g are those of a_i and lg.
    blas::gemv('T', n_, c + 1, 1.0, a_.data(), n_, lg.data(), 0.0, products.data());
    if (c > 0) {
      blas::gemv('N', n_, c, -1.0, out_.rotations.data(), n_, products.data(), 1.0, v);
    }
    for (std::size_t i = 0; i < n_; ++i) {
      v[i] /= products[c];
    }
    std::vector<double> te(m_), tf(m_);
    blas::gemv('T', n_, m_, 1.0, at(e), n_, t, 0.0, te.data());
    blas::gemv('T', n_, m_, 1.0, at(f), n_, t, 0.0, tf.data());
    double const tg = dot(t, g.data());
    for (std::size_t j = 0; j < m_; ++j) {
      double const along = tf[j] - tg * te[j];
      for (std::size_t i = 0; i < n_; ++i) {
        at(e, j)[i] -= te[j] * t[i];
        at(f, j)[i] -= te[j] * g[i] + along * t[i];
        at(y, j)[i] -= te[j] * lg[i] + along * a[i];
      }
      for (std::size_t i = 0; i < m_; ++i) {
        energy_[i + j * most_basis] -= te[i] * along + tf[i] * te[j];
      }
    }
    ++out_.count;
  }

  std::size_t n_, most_, m_ = 0;
  double noise_, first_ = 0;
  double const *factor_, *g_;
  std::array<Buffer<double>, 4> basis_;  ///< n × m_ each, see Which
  Buffer<double> rotated_;
  std::vector<double> energy_, theta_, turn_;  ///< wᵀy (lower triangle, most_basis apart), its eigenvalues and vectors
  std::vector<double> a_, small_;              ///< a_: Lᵀ t of each component
  PlsComponents out_;
};

/// k becomes the lower Cholesky factor of itself with two lifts: of the direction of ones, which is null and which
/// responses do not have, and of the diagonal, the least with which there is a factor. Returns the latter.
double factorise(std::size_t n, double* k, double trace) {
  double const ones = trace / static_cast<double>(n) / static_cast<double>(n);
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      k[i + j * n] += ones;
    }
  }
  mirror(k, n);
  std::vector<double> diagonal(n);
  for (std::size_t i = 0; i < n; ++i) {
    diagonal[i] = k[i * (n + 1)];
  }
  for (double lift = trace * std::numeric_limits<double>::epsilon();; lift *= 10) {
    for (std::size_t i = 0; i < n; ++i) {
      k[i * (n + 1)] = diagonal[i] + lift;
    }
    if (blas::cholesky(n, k, n)) {
      return lift;
    }
    for (std::size_t j = 0; j < n; ++j) {  // the upper triangle is as it was
      for (std::size_t i = j + 1; i < n; ++i) {
        k[i + j * n] = k[j + i * n];
      }
    }
  }
}

}  // namespace

void mirror(double* g, std::size_t n) {
  constexpr std::size_t b = 64;
  for (std::size_t j0 = 0; j0 < n; j0 += b) {
    for (std::size_t i0 = j0; i0 < n; i0 += b) {
      for (std::size_t j = j0; j < std::min(n, j0 + b); ++j) {
        for (std::size_t i = std::max(i0, j + 1); i < std::min(n, i0 + b); ++i) {
          g[j + i * n] = g[i + j * n];
        }
      }
    }
  }
}

double pls_factor(std::size_t n, double* k) {
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    trace += k[i * (n + 1)];
  }
  return trace > 0 ? factorise(n, k, trace) : -1;
}

PlsComponents pls_components(std::size_t n, double const* factor, double lift, double const* g, std::size_t most,
                             double noise) {
  return lift < 0 ? PlsComponents{} : Solver(n, factor, g, most, std::max(noise, 4 * lift)).run();
}

}  // namespace striate::detail
