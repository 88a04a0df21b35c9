#include "pca_rows.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"

namespace striate::pca {
namespace {

constexpr double wide_work = 4e9;  // multiplications that float64 does in a tenth of a second

}  // namespace

void project_units(float const* x, std::size_t rows, std::size_t count, double const* q, std::size_t l, double* out) {
  thread_local Buffer<double> wide;
  std::fill_n(out, count * l, 0.0);
  for (std::size_t r = 0; r < rows; r += gram_panel) {
    std::size_t const height = std::min(gram_panel, rows - r);
    double* w = wide.grow(gram_panel * count);
    for (std::size_t c = 0; c < count; ++c)
      for (std::size_t i = 0; i < height; ++i) w[c * height + i] = static_cast<double>(x[c * rows + r + i]);
    blas::gemm('T', 'N', count, l, height, 1.0, w, height, q + r, rows, 1.0, out, count);
  }
}

std::vector<Slot> unit_slots(std::size_t first, std::size_t count, std::size_t bytes_per_unit) {
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < count; u += gram_panel)
    slots.push_back({(first + u) * bytes_per_unit, std::min(gram_panel, count - u) * bytes_per_unit});
  return slots;
}

bool small_enough(double rows, double units) { return rows * rows * units / 2 <= wide_work; }

void check_rows(std::size_t rows, std::size_t units, std::size_t count) {
  if (rows < 2) fail(Exit::data, "{} stimuli have no components; at least two are needed", rows);
  if (count > std::min(rows - 1, units))
    fail(Exit::config, "{} stimuli of {} units have at most {} components, not {}", rows, units,
         std::min(rows - 1, units), count);
}

void check_finite(std::size_t first, std::size_t count, double const* squares) {
  for (std::size_t c = 0; c < count; ++c)
    if (!std::isfinite(squares[c]))
      fail(Exit::data, "unit {} has a value that is not finite (NaN or infinity); leave such stimuli out", first + c);
}

std::shared_ptr<std::byte> gram_of_rows(PanelSource& source, PackedShape const& shape, bool wide, Team& team) {
  auto gram = team.shared(std::max<std::size_t>(8, shape.doubles() * 8));
  auto* const data = reinterpret_cast<double*>(gram.get());
  std::vector<Slot> slots;
  for (std::size_t b = 0; b < shape.blocks(); ++b) slots.push_back(shape.slot(b));
  std::size_t const n = source.rows();
  each_panel(source.units(), source.width(), [&](std::size_t first, std::size_t count) {
    CentredPanel const panel = source.panel(first, count);
    check_finite(first, count, panel.squares);
    team.run(gram.get(), slots, [&](std::size_t b) {
      std::size_t i = 0, j = 0;
      shape.position(b, i, j);
      add_row_gram(shape, i, j, panel.x, n, count, nullptr, wide, data + b * shape.block * shape.block);
    });
    source.progress(static_cast<double>(first + count) / static_cast<double>(source.units()));
  });
  return gram;
}

Eigen eigen_of(PackedShape const& shape, double const* data, std::size_t count, Team& team) {
  std::size_t const n = shape.n;
  Eigen e;
  e.memory = team.shared((count + n * count) * 8);
  auto* const out = reinterpret_cast<double*>(e.memory.get());
  std::vector<Slot> const slot{{0, (count + n * count) * 8}};
  team.run(e.memory.get(), slot, [&](std::size_t) {
    Buffer<double> whole(n * n);
    std::vector<std::uint32_t> all(n);
    std::iota(all.begin(), all.end(), 0U);
    gather(shape, data, all, all, whole.data(), n, true);
    blas::eigen_top(n, whole.data(), n, count, out, out + count);
  });
  e.values.assign(out, out + count);
  e.vectors = out + count;
  return e;
}

Wanted wanted(std::span<double const> values, double total, Components const& components, double noise) {
  Wanted w;
  while (w.rank < values.size() && values[w.rank] > noise * values[0] && values[w.rank] > 0) ++w.rank;
  w.count = components.count;
  if (components.count > 0) return w;
  double sum = 0;
  for (w.count = 0; w.count < w.rank && sum <= components.share * total; ++w.count) sum += values[w.count];
  w.count = std::max<std::size_t>(1, w.count);
  return w;
}

Pca within(PanelSource& source, double const* q, std::size_t l, std::size_t count, double noise, Team& team) {
  std::size_t const n = source.rows(), p = source.units();
  Pca pca;
  pca.samples = n;
  pca.mean.resize(p);
  auto const memory = team.shared(std::max<std::size_t>(4, p * l * 4));  // block by block of units: units × l
  auto* const z = reinterpret_cast<float*>(memory.get());
  each_panel(p, source.width(), [&](std::size_t first, std::size_t width) {
    CentredPanel const panel = source.panel(first, width);
    check_finite(first, width, panel.squares);
    std::copy_n(panel.mean, width, pca.mean.begin() + static_cast<std::ptrdiff_t>(first));
    for (std::size_t c = 0; c < width; ++c) pca.total_variance += panel.squares[c];
    team.run(memory.get(), unit_slots(first, width, l * 4), [&](std::size_t b) {
      thread_local Buffer<double> product;
      std::size_t const at = b * gram_panel, units = std::min(gram_panel, width - at);
      double* out = product.grow(gram_panel * l);
      project_units(panel.x + at * n, n, units, q, l, out);
      float* to = z + (first + at) * l;
      for (std::size_t i = 0; i < units * l; ++i) to[i] = static_cast<float>(out[i]);
    });
    source.progress(static_cast<double>(first + width) / static_cast<double>(p));
  });
  // ZᵀZ of each block of units, added in their order; then its eigenvectors: the same on every rank.
  auto const small = team.shared((l * l + l) * 8);
  auto* const turn = reinterpret_cast<double*>(small.get());
  std::vector<Slot> const whole{{0, (l * l + l) * 8}};
  team.run(small.get(), whole, [&](std::size_t) {
    std::vector<double> gram(l * l, 0.0);
    Buffer<double> wide(gram_panel * l);
    for (std::size_t u = 0; u < p; u += gram_panel) {
      std::size_t const units = std::min(gram_panel, p - u);
      for (std::size_t i = 0; i < units * l; ++i) wide[i] = static_cast<double>(z[u * l + i]);
      blas::gemm('T', 'N', l, l, units, 1.0, wide.data(), units, wide.data(), units, 1.0, gram.data(), l);
    }
    if (l > 0) blas::eigen_top(l, gram.data(), l, l, turn, turn + l);
  });
  pca.variance.assign(count, 0.0);
  pca.components.assign(count * p, 0.0F);
  std::size_t const kept = std::min(l, count);
  while (pca.rank < kept && turn[pca.rank] > 0 && turn[pca.rank] > noise * turn[0]) ++pca.rank;
  std::copy_n(turn, pca.rank, pca.variance.begin());
  team.local((p + gram_panel - 1) / gram_panel, [&](std::size_t b) {
    std::size_t const u = b * gram_panel, units = std::min(gram_panel, p - u);
    thread_local Buffer<double> wide, product;
    double *w = wide.grow(gram_panel * l), *out = product.grow(gram_panel * std::max<std::size_t>(1, kept));
    for (std::size_t i = 0; i < units * l; ++i) w[i] = static_cast<double>(z[u * l + i]);
    if (pca.rank > 0) blas::gemm('N', 'N', units, pca.rank, l, 1.0, w, units, turn + l, l, 0.0, out, units);
    for (std::size_t k = 0; k < pca.rank; ++k) {
      double const scale = 1 / std::sqrt(turn[k]);
      for (std::size_t i = 0; i < units; ++i)
        pca.components[k * p + u + i] = static_cast<float>(out[k * units + i] * scale);
    }
  });
  fix_signs(pca);
  return pca;
}

void fix_signs(Pca& pca) {
  std::size_t const p = pca.units();
  for (std::size_t k = 0; k < pca.count(); ++k) {
    float* const row = pca.components.data() + k * p;
    float const* const top = std::max_element(row, row + p, [](float a, float b) { return std::abs(a) < std::abs(b); });
    if (p > 0 && *top < 0) std::transform(row, row + p, row, [](float v) { return -v; });
  }
}

void divide_by_samples(Pca& pca) {
  double const n = static_cast<double>(pca.samples) - 1;
  for (double& v : pca.variance) v /= n;
  pca.total_variance /= n;
}

}  // namespace striate::pca
