// Halko, Martinsson and Tropp 2011, over panels of units: a pass makes X Xᵀ Q of an orthonormal Q, so that nothing as
// wide as the units but the last product is held.
#include <algorithm>
#include <cmath>

#include "pca_rows.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/projection.hpp"

namespace striate {
namespace {

constexpr std::size_t row_block = 512;

class RangeFinder {
 public:
  RangeFinder(PanelSource& source, std::size_t l, RandomizedOptions const& o, Team& team)
      : source_(source),
        team_(team),
        n_(source.rows()),
        l_(l),
        test_({.kind = ProjectionKind::gaussian, .components = l, .seed = o.seed, .layer = "range finder " + o.layer},
              source.units()),
        sums_memory_(team.shared(n_ * l * 8)),
        basis_memory_(team.shared((n_ * l + 1) * 8)),
        panel_memory_(team.shared(std::min(source.width(), source.units()) * l * 4)),
        basis_(n_ * l) {}

  /// Columns of the basis: orthonormal, in order of what they explain.
  [[nodiscard]] double const* basis() const { return reinterpret_cast<double const*>(basis_memory_.get()) + 1; }
  [[nodiscard]] std::size_t width() const { return static_cast<std::size_t>(*(basis() - 1)); }

  /// X times the test matrix (the first pass) or Xᵀ Q, then an orthonormal basis of that.
  void pass(bool first_pass) {
    auto* const sums = reinterpret_cast<double*>(sums_memory_.get());
    std::size_t const l = first_pass ? l_ : width();
    clear(l);
    pca::each_panel(source_.units(), source_.width(), [&](std::size_t first, std::size_t count) {
      CentredPanel const panel = source_.panel(first, count);
      pca::check_finite(first, count, panel.squares);
      auto* const z = reinterpret_cast<float*>(panel_memory_.get());
      team_.run(panel_memory_.get(), pca::unit_slots(0, count, l * 4), [&](std::size_t b) {
        std::size_t const at = b * gram_panel, units = std::min(gram_panel, count - at);
        if (first_pass)
          test_matrix(first + at, units, z + at * l);
        else
          project(panel.x + at * n_, units, l, z + at * l);
      });
      team_.run(sums_memory_.get(), row_slots(l),
                [&](std::size_t b) { add_rows(panel.x, count, z, b * row_block, l, sums + b * row_block * l); });
      source_.progress(static_cast<double>(first + count) / static_cast<double>(source_.units()));
    });
    orthonormalise(sums, l);
  }

 private:
  [[nodiscard]] std::size_t rows_of(std::size_t first) const { return std::min(row_block, n_ - first); }
  [[nodiscard]] std::vector<Slot> row_slots(std::size_t l) const {
    std::vector<Slot> slots;
    for (std::size_t r = 0; r < n_; r += row_block) slots.push_back({r * l * 8, rows_of(r) * l * 8});
    return slots;
  }

  void clear(std::size_t l) {
    auto* const sums = reinterpret_cast<double*>(sums_memory_.get());
    team_.run(sums_memory_.get(), row_slots(l),
              [&](std::size_t b) { std::fill_n(sums + b * row_block * l, rows_of(b * row_block) * l, 0.0); });
  }

  /// units × l, column-major.
  void test_matrix(std::size_t first, std::size_t units, float* out) const {
    thread_local Buffer<float> entries;
    float* e = entries.grow(gram_panel * 16);
    for (std::size_t g = 0; g * 16 < l_; ++g) {
      test_.make(first, units, g, e);
      for (std::size_t c = 0; c < std::min<std::size_t>(16, l_ - g * 16); ++c)
        for (std::size_t u = 0; u < units; ++u) out[(g * 16 + c) * units + u] = e[u * 16 + c];
    }
  }

  /// out (units × l) = xᵀ Q: float32 over gram_panel rows, added in float64.
  void project(float const* x, std::size_t units, std::size_t l, float* out) const {
    thread_local Buffer<double> sum;
    thread_local Buffer<float> product;
    double* s = sum.grow(gram_panel * l);
    float* p = product.grow(gram_panel * l);
    std::fill_n(s, units * l, 0.0);
    for (std::size_t r = 0; r < n_; r += gram_panel) {
      std::size_t const rows = std::min(gram_panel, n_ - r);
      blas::gemm('T', 'N', units, l, rows, 1.0F, x + r, n_, basis_.data() + r, n_, 0.0F, p, units);
      for (std::size_t i = 0; i < units * l; ++i) s[i] += static_cast<double>(p[i]);
    }
    for (std::size_t i = 0; i < units * l; ++i) out[i] = static_cast<float>(s[i]);
  }

  /// Adds rows [first, …) of x (n × count) times z, block of units by block of units, to out (rows × l).
  void add_rows(float const* x, std::size_t count, float const* z, std::size_t first, std::size_t l,
                double* out) const {
    thread_local Buffer<float> product;
    std::size_t const rows = rows_of(first);
    float* p = product.grow(row_block * l);
    for (std::size_t u = 0; u < count; u += gram_panel) {
      std::size_t const units = std::min(gram_panel, count - u);
      blas::gemm('N', 'N', rows, l, units, 1.0F, x + u * n_ + first, n_, z + u * l, units, 0.0F, p, rows);
      for (std::size_t i = 0; i < rows * l; ++i) out[i] += static_cast<double>(p[i]);
    }
  }

  /// Y W Λ^-½ with the eigenvectors W of YᵀY, twice: the second time mends what rounding left of the first. Made once,
  /// by one unit of work, and seen by all.
  void orthonormalise(double const* sums, std::size_t l) {
    std::vector<Slot> const whole{{0, (n_ * l_ + 1) * 8}};
    auto* const out = reinterpret_cast<double*>(basis_memory_.get());
    team_.run(basis_memory_.get(), whole, [&](std::size_t) {
      Buffer<double> y(n_ * l);
      for (std::size_t r = 0; r < n_; r += row_block) {
        std::size_t const rows = rows_of(r);
        for (std::size_t c = 0; c < l; ++c) std::copy_n(sums + r * l + c * rows, rows, y.data() + c * n_ + r);
      }
      std::size_t kept = l;
      for (int time = 0; time < 2; ++time) {
        std::vector<double> gram(l * l), values(l), vectors(l * l);
        blas::gemm('T', 'N', kept, kept, n_, 1.0, y.data(), n_, y.data(), n_, 0.0, gram.data(), l);
        if (kept > 0) blas::eigen_top(kept, gram.data(), l, kept, values.data(), vectors.data());
        std::size_t const before = kept;
        kept = 0;
        while (kept < before && values[kept] > 0 && values[kept] > 1e-13 * values[0]) ++kept;
        for (std::size_t k = 0; k < kept; ++k)
          for (std::size_t i = 0; i < before; ++i) vectors[k * before + i] /= std::sqrt(values[k]);
        blas::gemm('N', 'N', n_, kept, before, 1.0, y.data(), n_, vectors.data(), before, 0.0, out + 1, n_);
        std::copy_n(out + 1, n_ * kept, y.data());
      }
      out[0] = static_cast<double>(kept);
    });
    for (std::size_t i = 0; i < n_ * width(); ++i) basis_[i] = static_cast<float>(basis()[i]);
  }

  PanelSource& source_;
  Team& team_;
  std::size_t n_, l_;
  ProjectionEntries test_;
  std::shared_ptr<std::byte> sums_memory_, basis_memory_, panel_memory_;
  Buffer<float> basis_;
};

}  // namespace

double randomized_pca_bytes(std::size_t rows, std::size_t units, std::size_t count) {
  return static_cast<double>(count) * (28 * static_cast<double>(rows) + 4 * static_cast<double>(units));
}

Pca randomized_pca(PanelSource& source, std::size_t count, RandomizedOptions const& options, Team& team) {
  std::size_t const n = source.rows(), p = source.units();
  pca::check_rows(n, p, count);
  std::size_t const l = std::min({count + options.oversample, n, p});
  RangeFinder finder(source, l, options, team);
  for (std::size_t i = 0; i <= options.iterations; ++i) finder.pass(i == 0);
  Pca result = pca::within(source, finder.basis(), finder.width(), count, 1e-12, team);
  pca::divide_by_samples(result);
  return result;
}

}  // namespace striate
