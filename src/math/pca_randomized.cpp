// Halko, Martinsson and Tropp 2011, over panels of units: a pass makes X Xᵀ Q of an orthonormal Q, so that nothing as
// wide as the units but the last product is held.
#include <algorithm>
#include <cmath>

#include "pca_rows.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/projection.hpp"
#include "striate/math/qr.hpp"

namespace striate {
namespace {

constexpr std::size_t row_block = 512;
constexpr double wide_work = 5e8;  // multiplications of a pass that float64 does in some hundredths of a second

/// Products in float64 throughout: by shapes alone, so that bits do not depend on who computes.
bool in_float64(std::size_t n, std::size_t p, std::size_t l) {
  return 2 * static_cast<double>(n) * static_cast<double>(p) * static_cast<double>(l) <= wide_work;
}

class RangeFinder {
 public:
  RangeFinder(PanelSource& source, std::size_t l, RandomizedOptions const& o, Team& team)
      : source_(source),
        team_(team),
        n_(source.rows()),
        l_(l),
        wide_(in_float64(n_, source.units(), l)),
        test_({.kind = ProjectionKind::gaussian, .components = l, .seed = o.seed, .layer = "range finder " + o.layer},
              source.units()),
        sums_memory_(team.shared(n_ * l * 8)),
        basis_memory_(team.shared(n_ * l * 8)),
        panel_memory_(team.shared(std::min(source.width(), source.units()) * l * (wide_ ? 8 : 4))),
        basis_(n_ * l) {}

  /// rows × l, orthonormal.
  [[nodiscard]] double const* basis() const { return reinterpret_cast<double const*>(basis_memory_.get()); }

  /// X times the test matrix (the first pass) or X Xᵀ Q, then an orthonormal basis of that.
  void pass(bool first_pass) {
    if (wide_)
      make<double>(first_pass);
    else
      make<float>(first_pass);
    orthonormalise();
  }

 private:
  template <class T>
  void make(bool first_pass) {
    auto* const sums = reinterpret_cast<double*>(sums_memory_.get());
    auto const slots = row_slots();
    team_.run(sums_memory_.get(), slots,
              [&](std::size_t b) { std::fill_n(sums + b * row_block * l_, rows_of(b * row_block) * l_, 0.0); });
    pca::each_panel(source_.units(), source_.width(), [&](std::size_t first, std::size_t count) {
      CentredPanel const panel = source_.panel(first, count);
      pca::check_finite(first, count, panel.squares);
      auto* const z = reinterpret_cast<T*>(panel_memory_.get());
      team_.run(panel_memory_.get(), pca::unit_slots(0, count, l_ * sizeof(T)), [&](std::size_t b) {
        std::size_t const at = b * gram_panel, units = std::min(gram_panel, count - at);
        if (first_pass)
          test_matrix(first + at, units, z + at * l_);
        else
          project(panel.x + at * n_, units, z + at * l_);
      });
      team_.run(sums_memory_.get(), slots,
                [&](std::size_t b) { add_rows(panel.x, count, z, b * row_block, sums + b * row_block * l_); });
      source_.progress(static_cast<double>(first + count) / static_cast<double>(source_.units()));
    });
  }

  [[nodiscard]] std::size_t rows_of(std::size_t first) const { return std::min(row_block, n_ - first); }
  [[nodiscard]] std::vector<Slot> row_slots() const {
    std::vector<Slot> slots;
    for (std::size_t r = 0; r < n_; r += row_block) slots.push_back({r * l_ * 8, rows_of(r) * l_ * 8});
    return slots;
  }

  /// units × l, column-major.
  template <class T>
  void test_matrix(std::size_t first, std::size_t units, T* out) const {
    thread_local Buffer<float> entries;
    float* e = entries.grow(gram_panel * 16);
    for (std::size_t g = 0; g * 16 < l_; ++g) {
      test_.make(first, units, g, e);
      for (std::size_t c = 0; c < std::min<std::size_t>(16, l_ - g * 16); ++c)
        for (std::size_t u = 0; u < units; ++u) out[(g * 16 + c) * units + u] = static_cast<T>(e[u * 16 + c]);
    }
  }

  /// out (units × l) = xᵀ Q: float32 over gram_panel rows, added in float64.
  void project(float const* x, std::size_t units, float* out) const {
    thread_local Buffer<double> sum;
    thread_local Buffer<float> product;
    double* s = sum.grow(gram_panel * l_);
    float* p = product.grow(gram_panel * l_);
    std::fill_n(s, units * l_, 0.0);
    for (std::size_t r = 0; r < n_; r += gram_panel) {
      std::size_t const rows = std::min(gram_panel, n_ - r);
      blas::gemm('T', 'N', units, l_, rows, 1.0F, x + r, n_, basis_.data() + r, n_, 0.0F, p, units);
      for (std::size_t i = 0; i < units * l_; ++i) s[i] += static_cast<double>(p[i]);
    }
    for (std::size_t i = 0; i < units * l_; ++i) out[i] = static_cast<float>(s[i]);
  }
  void project(float const* x, std::size_t units, double* out) const {
    pca::project_units(x, n_, units, basis(), l_, out);
  }

  /// Adds rows [first, …) of x (n × count) times z, block of units by block of units, to out (rows × l).
  void add_rows(float const* x, std::size_t count, float const* z, std::size_t first, double* out) const {
    thread_local Buffer<float> product;
    std::size_t const rows = rows_of(first);
    float* p = product.grow(row_block * l_);
    for (std::size_t u = 0; u < count; u += gram_panel) {
      std::size_t const units = std::min(gram_panel, count - u);
      blas::gemm('N', 'N', rows, l_, units, 1.0F, x + u * n_ + first, n_, z + u * l_, units, 0.0F, p, rows);
      for (std::size_t i = 0; i < rows * l_; ++i) out[i] += static_cast<double>(p[i]);
    }
  }
  void add_rows(float const* x, std::size_t count, double const* z, std::size_t first, double* out) const {
    thread_local Buffer<double> wide;
    std::size_t const rows = rows_of(first);
    double* w = wide.grow(row_block * gram_panel);
    for (std::size_t u = 0; u < count; u += gram_panel) {
      std::size_t const units = std::min(gram_panel, count - u);
      for (std::size_t c = 0; c < units; ++c)
        for (std::size_t r = 0; r < rows; ++r) w[c * rows + r] = static_cast<double>(x[(u + c) * n_ + first + r]);
      blas::gemm('N', 'N', rows, l_, units, 1.0, w, rows, z + u * l_, units, 1.0, out, rows);
    }
  }

  /// Q of the sums, by Householder's reflections: the columns of X Xᵀ Q differ by the square of the singular values,
  /// and those of their Gram matrix would by the fourth power. Made once, by one unit of work, and seen by all.
  void orthonormalise() {
    auto const* const sums = reinterpret_cast<double const*>(sums_memory_.get());
    auto* const q = reinterpret_cast<double*>(basis_memory_.get());
    std::vector<Slot> const whole{{0, n_ * l_ * 8}};
    team_.run(basis_memory_.get(), whole, [&](std::size_t) {
      for (std::size_t r = 0; r < n_; r += row_block) {
        std::size_t const rows = rows_of(r);
        for (std::size_t c = 0; c < l_; ++c) std::copy_n(sums + r * l_ + c * rows, rows, q + c * n_ + r);
      }
      blas::orthonormal_columns(n_, l_, q);
    });
    for (std::size_t i = 0; i < n_ * l_; ++i) basis_[i] = static_cast<float>(q[i]);
  }

  PanelSource& source_;
  Team& team_;
  std::size_t n_, l_;
  bool wide_;
  ProjectionEntries test_;
  std::shared_ptr<std::byte> sums_memory_, basis_memory_, panel_memory_;
  Buffer<float> basis_;
};

}  // namespace

double randomized_pca_bytes(std::size_t rows, std::size_t units, std::size_t count) {
  // Sums, basis, its copy in float32; Xᵀ Q of the passes and of the end.
  double const of_unit = in_float64(rows, units, count) ? 12 : 8;
  return static_cast<double>(count) * (20 * static_cast<double>(rows) + of_unit * static_cast<double>(units));
}

Pca randomized_pca(PanelSource& source, std::size_t count, RandomizedOptions const& options, Team& team) {
  std::size_t const n = source.rows(), p = source.units();
  pca::check_rows(n, p, count);
  std::size_t const l = std::min({count + options.oversample, n, p});
  RangeFinder finder(source, l, options, team);
  for (std::size_t i = 0; i <= options.iterations; ++i) finder.pass(i == 0);
  Pca result = pca::within(source, finder.basis(), l, count, 1e-12, team);
  pca::divide_by_samples(result);
  return result;
}

}  // namespace striate
