// Features times the root of a prior's covariance.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "encode_prior.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/par/together.hpp"

namespace striate::encode {
namespace {

constexpr std::size_t mixed_columns = 128;   ///< of X L that are one unit of work
constexpr std::size_t mixed_features = 512;  ///< of X that a unit takes at a time

/// Variances alone: a factor a column.
class Scaled final : public NodeSource {
 public:
  Scaled(std::unique_ptr<NodeSource> source, std::vector<double> scale)
      : source_(std::move(source)), scale_(std::move(scale)) {}
  [[nodiscard]] std::size_t rows() const override { return source_->rows(); }
  [[nodiscard]] std::size_t cols() const override { return source_->cols(); }
  void read(std::size_t first, std::size_t count, float* out) const override {
    source_->read(first, count, out);
    apply(first, count, out);
  }
  void read_alone(std::size_t first, std::size_t count, float* out) const override {
    source_->read_alone(first, count, out);
    apply(first, count, out);
  }
  [[nodiscard]] std::span<double const> scales() const override { return scale_; }

 private:
  void apply(std::size_t first, std::size_t count, float* out) const {
    std::size_t const n = rows();
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t i = 0; i < n; ++i) out[j * n + i] = static_cast<float>(out[j * n + i] * scale_[first + j]);
  }
  std::unique_ptr<NodeSource> source_;
  std::vector<double> scale_;
};

/// X L, held once a node.
class Mixed final : public NodeSource {
 public:
  Mixed(std::size_t n, std::size_t rank, std::size_t p, std::shared_ptr<std::byte> x, std::unique_ptr<SharedBytes> root)
      : n_(n), rank_(rank), p_(p), x_(std::move(x)), root_(std::move(root)) {}
  [[nodiscard]] std::size_t rows() const override { return n_; }
  [[nodiscard]] std::size_t cols() const override { return rank_; }
  void read(std::size_t first, std::size_t count, float* out) const override { read_alone(first, count, out); }
  void read_alone(std::size_t first, std::size_t count, float* out) const override {
    std::memcpy(out, reinterpret_cast<float const*>(x_.get()) + first * n_, n_ * count * 4);
  }
  [[nodiscard]] MatrixView<double const> mixing() const override {
    if (root_ == nullptr) return {};
    return {reinterpret_cast<double const*>(root_->data()), p_, rank_};
  }

 private:
  std::size_t n_, rank_, p_;
  std::shared_ptr<std::byte> x_;
  std::unique_ptr<SharedBytes> root_;
};

/// Columns [first, first + count) of X L, in float64.
void multiply(NodeSource const& source, double const* l, std::size_t p, std::size_t first, std::size_t count,
              float* out) {
  std::size_t const n = source.rows();
  std::vector<float> raw(n * mixed_features);
  std::vector<double> x(n * mixed_features), sum(n * count, 0.0);
  for (std::size_t j = 0; j < p; j += mixed_features) {
    std::size_t const some = std::min(mixed_features, p - j);
    source.read_alone(j, some, raw.data());
    std::copy_n(raw.begin(), n * some, x.begin());
    blas::gemm('N', 'N', n, count, some, 1.0, x.data(), n, l + j + first * p, p, 1.0, sum.data(), n);
  }
  std::ranges::transform(sum, out, [](double v) { return static_cast<float>(v); });
}

/// L of C = L Lᵀ by pivots above `least`, C of unit variances (0 on the diagonal: left out); p × rank.
PriorRoot pivoted(std::vector<double> const& c, std::size_t p, double least) {
  std::vector<double> a = c;
  std::vector<std::size_t> place;
  PriorRoot root;
  root.rank = blas::pivoted_cholesky(p, a.data(), p, least, place);
  root.l.assign(p * root.rank, 0);
  for (std::size_t k = 0; k < root.rank; ++k)
    for (std::size_t i = k; i < p; ++i) root.l[place[i] + k * p] = a[i + k * p];
  return root;
}

/// The greatest element of C − L Lᵀ, and where.
double left_over(std::vector<double> const& c, std::size_t p, PriorRoot const& root, std::size_t& i, std::size_t& j) {
  constexpr std::size_t step = 256;
  std::vector<double> rest(p * step), wanted(root.rank * step);
  double worst = 0;
  for (std::size_t first = 0; first < p; first += step) {
    std::size_t const count = std::min(step, p - first);
    std::copy_n(c.begin() + static_cast<std::ptrdiff_t>(first * p), p * count, rest.begin());
    blas::gemm('N', 'T', p, count, root.rank, -1.0, root.l.data(), p, root.l.data() + first, p, 1.0, rest.data(), p);
    for (std::size_t k = 0; k < p * count; ++k)
      if (std::abs(rest[k]) > worst) worst = std::abs(rest[k]), i = k % p, j = first + k / p;
  }
  return worst;
}

}  // namespace

/// On correlations, so that small variances keep their digits. First with the rounding of float64, then of float32.
PriorRoot root_of(std::vector<double> const& covariance, std::size_t p) {
  std::vector<double> sd(p), c(p * p);
  for (std::size_t i = 0; i < p; ++i) sd[i] = std::sqrt(covariance[i * (p + 1)]);
  for (std::size_t j = 0; j < p; ++j)
    for (std::size_t i = 0; i < p; ++i) {
      double const unit = sd[i] * sd[j];
      c[i + j * p] = unit > 0 ? 0.5 * (covariance[i + j * p] + covariance[j + i * p]) / unit : 0;
    }
  double const eps = std::numeric_limits<double>::epsilon() * 8 * static_cast<double>(p);
  std::size_t i = 0, j = 0;
  double left = 0;
  for (auto const& [least, most] : {std::pair{eps, 1e-9}, std::pair{1e-6, 1e-5}}) {
    PriorRoot root = pivoted(c, p, least);
    left = left_over(c, p, root, i, j);
    if (!(left <= most)) continue;
    for (std::size_t k = 0; k < p * root.rank; ++k) root.l[k] *= sd[k % p];
    return root;
  }
  fail(Exit::data,
       "is not positive semi-definite: its Cholesky factor leaves {:.2g} of the correlation of features {} and {}; "
       "mend it, e.g. by adding to its diagonal",
       left, i, j);
}

std::unique_ptr<NodeSource> make_scaled(std::unique_ptr<NodeSource> source, std::vector<double> scale) {
  return std::make_unique<Scaled>(std::move(source), std::move(scale));
}

/// `root` is that of the first rank.
std::unique_ptr<NodeSource> make_mixed(Comm const& comm, Team& team, NodeSource const& source, PriorRoot const& root,
                                       bool coefficients) {
  std::size_t const n = source.rows(), p = source.cols();
  std::uint64_t rank = root.rank;
  comm.broadcast(rank, 0);
  auto shared = std::make_unique<SharedBytes>(comm, p * rank * 8);
  if (comm.root()) std::memcpy(shared->data(), root.l.data(), p * rank * 8);
  if (comm.nodes() > 1 && comm.node().root())
    comm.leaders().broadcast(static_cast<void*>(shared->data()), p * rank * 8, 0);
  shared->synchronise();
  std::vector<float> first(n);
  source.read(0, 1, first.data());  // brings all of a layer that is kept
  auto const* const l = reinterpret_cast<double const*>(shared->data());
  auto x = team.shared(std::max<std::size_t>(1, n * rank * 4));
  std::vector<Slot> slots;
  for (std::size_t c = 0; c < rank; c += mixed_columns)
    slots.push_back({c * n * 4, std::min<std::size_t>(mixed_columns, rank - c) * n * 4});
  team.run(x.get(), slots, [&](std::size_t u) {
    multiply(source, l, p, u * mixed_columns, slots[u].bytes / n / 4,
             reinterpret_cast<float*>(x.get() + slots[u].offset));
  });
  shared->synchronise();  // nobody needs the root, or the features, any more
  if (!coefficients) shared.reset();
  return std::make_unique<Mixed>(n, rank, p, std::move(x), std::move(shared));
}

}  // namespace striate::encode
