// The weights w of a PLS component are the leading left singular vector of X_jᵀY, X_j the deflated features. With the
// factor K = XXᵀ = LLᵀ, L takes the place of X: the components are those of any features with that kernel. So w is the
// leading eigenvector of A_j = LᵀRGRL, R = I − TTᵀ, G = YYᵀ: products with n × n matrices, whatever the numbers of
// features and targets (kernel PLS for many variables: Rännar et al. 1994; here without iterating over components twice).
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

namespace striate::detail {
namespace {

constexpr std::size_t block = 8;        // vectors multiplied at a time: about as dear as one, matrices come from memory
constexpr std::size_t most_basis = 48;  // vectors of the subspace
constexpr std::size_t kept_basis = 24;  // of those, after a restart
constexpr std::size_t most_steps = 100;  // of one component; what is left then is a cluster of equal singular values
constexpr double tolerance = 1e-10;      // of the residual relative to the eigenvalue
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
    std::copy_n(at(w, first), added * n_, at(e, first));
    blas::lower_product('N', n_, added, factor_, n_, at(e, first), n_);
    deflate(at(e, first), added);
    blas::gemm('N', 'N', n_, added, n_, 1.0, g_, n_, at(e, first), n_, 0.0, at(f, first), n_);
    deflate(at(f, first), added);
    std::copy_n(at(f, first), added * n_, at(y, first));
    blas::lower_product('T', n_, added, factor_, n_, at(y, first), n_);
  }

  /// Random combinations of responses. False where there are none.
  bool start() {
    Philox random(0, purpose, out_.count);
    for (std::size_t i = 0; i < n_ * block; ++i) {
      at(e)[i] = random.normal();
    }
    blas::gemm('N', 'N', n_, block, n_, 1.0, g_, n_, at(e), n_, 0.0, at(w), n_);
    deflate(at(w), block);
    blas::lower_product('T', n_, block, factor_, n_, at(w), n_);
    m_ = 0;
    append(std::min(block, n_));
    return m_ > 0;
  }

  /// Rayleigh-Ritz: afterwards wᵀy = diag(theta), descending.
  void rotate() {
    std::size_t const m = m_;
    std::vector<double> energy(m * m), turn(m * m);
    blas::gemm('T', 'N', m, m, n_, 1.0, at(w), n_, at(y), n_, 0.0, energy.data(), m);
    theta_.resize(m);
    blas::eigen_top(m, energy.data(), m, m, theta_.data(), turn.data());
    m_ = m + block > most_basis ? kept_basis : m;
    for (auto& b : basis_) {
      blas::gemm('N', 'N', n_, m_, m, 1.0, b.data(), n_, turn.data(), m, 0.0, rotated_.data(), n_);
      std::swap(b, rotated_);
    }
  }

  /// Brings the leading eigenvector to the first column. False where there is none any more.
  bool leading() {
    if (m_ == 0 && !start()) {
      return false;
    }
    for (std::size_t step = 0;; ++step) {
      rotate();
      first_ = std::max(first_, theta_[0]);
      if (!(theta_[0] > exhausted * first_)) {
        return false;
      }
      double const enough = std::max(tolerance * theta_[0], rounding * first_);
      std::size_t fresh = 0;
      bool found = false;
      for (std::size_t c = 0; c < std::min(block, m_) && m_ < n_; ++c) {
        double* r = at(w, m_ + fresh);
        for (std::size_t i = 0; i < n_; ++i) {
          r[i] = at(y, c)[i] - theta_[c] * at(w, c)[i];
        }
        double const size = std::sqrt(dot(r, r));
        found = found || (c == 0 && size <= enough);
        fresh += size > enough ? 1 : 0;
      }
      if (found || fresh == 0 || step == most_steps) {
        return dot(at(e), at(e)) > noise_;
      }
      append(fresh);
    }
  }

  /// Scores and rotations of the leading eigenvector; deflates the subspace's products.
  void component() {
    std::size_t const c = out_.count;
    double const length = std::sqrt(dot(at(e), at(e)));
    double *t = out_.scores.data() + c * n_, *v = out_.rotations.data() + c * n_, *a = a_.data() + c * n_;
    std::vector<double> g(n_), lg(n_), products(c + 1);  // g = R G t, lg = Lᵀ g
    for (std::size_t i = 0; i < n_; ++i) {
      t[i] = at(e)[i] / length;
      v[i] = g[i] = at(f)[i] / length;
      lg[i] = at(y)[i] / length;
    }
    std::copy_n(t, n_, a);
    blas::lower_product('T', n_, 1, factor_, n_, a, n_);
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
    }
    ++out_.count;
  }

  std::size_t n_, most_, m_ = 0;
  double noise_, first_ = 0;
  double const *factor_, *g_;
  std::array<Buffer<double>, 4> basis_;  ///< n × m_ each, see Which
  Buffer<double> rotated_;
  std::vector<double> theta_, a_, small_;  ///< a_: Lᵀ t of each component
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

PlsComponents pls_components(std::size_t n, double* k, double const* g, std::size_t most, double noise) {
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    trace += k[i * (n + 1)];
  }
  if (!(trace > 0)) {  // no feature varies
    return {};
  }
  double const lift = factorise(n, k, trace);
  return Solver(n, k, g, most, std::max(noise, 4 * lift)).run();
}

}  // namespace striate::detail
