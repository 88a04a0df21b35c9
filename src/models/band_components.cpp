// Principal components of bands: a band's kernel is replaced by that of its components, fitted on the training rows of
// each set, before anything else looks at it.
#include <algorithm>
#include <cmath>

#include "prepare.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {

std::size_t Preparer::most_of_band(std::size_t part, std::size_t train) const {
  double const pca = s_.options.band_pca[part];
  std::size_t const limit = std::max<std::size_t>(1, std::min(s_.bands[part].count, train - 1));
  return pca >= 1 ? std::min(limit, static_cast<std::size_t>(pca)) : limit;
}

bool Preparer::reduces(std::size_t part) const {
  return part < s_.options.band_pca.size() && s_.options.band_pca[part] > 0 && s_.banded();
}

/// Training × training and test × training of one band's kernel become U Λ Uᵀ and K U Uᵀ, U the leading eigenvectors:
/// products of what scikit-learn's PCA(…).fit(training rows) makes of both.
void Preparer::reduce_unit(std::size_t set, std::size_t part, Scratch& scratch) {
  auto const& rows = s_.rows.sets[set];
  std::size_t const m = rows.train.size(), e = rows.test.size(), most = most_of_band(part, m);
  Weights alone(s_.parts(), 0.0);
  alone[part] = 1;
  double* g = scratch.g.grow(m * m);
  double* test = scratch.test.grow(std::max<std::size_t>(1, m * e));
  double* vectors = scratch.cross.grow(m * most);
  dual_kernel(set, alone, g, false);
  dual_test(set, alone, test);
  double total = 0;
  for (std::size_t i = 0; i < m; ++i) total += g[i * (m + 1)];
  std::vector<double> values(most);
  blas::eigen_top(m, g, m, most, values.data(), vectors);
  std::size_t const keep = kept(values.data(), most, total, m, s_.options.band_pca[part]);
  double* scaled = scratch.block.grow(std::max<std::size_t>(1, m * keep));
  for (std::size_t k = 0; k < keep; ++k) {
    for (std::size_t i = 0; i < m; ++i) scaled[i + k * m] = vectors[i + k * m] * values[k];
  }
  auto* out = const_cast<double*>(gram_of(set, part));
  std::fill_n(out, packed_.doubles(), 0.0);
  if (keep == 0) return;
  blas::gemm('N', 'T', m, m, keep, 1.0, scaled, m, vectors, m, 0.0, g, m);
  for (std::size_t j = 0; j < m; ++j) {
    for (std::size_t i = j; i < m; ++i) put(out, rows.train[i], rows.train[j], g[i + j * m]);
  }
  if (e == 0) return;
  double* along = scratch.wanted.grow(e * keep);
  blas::gemm('T', 'N', e, keep, m, 1.0, test, m, vectors, m, 0.0, along, e);
  blas::gemm('N', 'T', m, e, keep, 1.0, vectors, m, along, e, 0.0, test, m);
  for (std::size_t j = 0; j < e; ++j) {
    for (std::size_t i = 0; i < m; ++i) put(out, rows.train[i], rows.test[j], test[i + j * m]);
  }
}

/// Element (i, j), and (j, i), of a packed matrix.
void Preparer::put(double* data, std::size_t i, std::size_t j, double value) const {
  std::size_t const b = packed_.block;
  if (i < j) std::swap(i, j);
  double* block = data + PackedShape::index(i / b, j / b) * b * b;
  block[i % b + j % b * b] = value;
  if (i / b == j / b) block[j % b + i % b * b] = value;
}

/// The kernels of sets that have just been summed.
void Preparer::reduce_bands(std::size_t first_set, std::size_t last_set) {
  if (!shape_.reduced) return;
  centre(first_set, last_set);
  std::vector<std::size_t> parts;
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    if (reduces(part)) parts.push_back(part);
  }
  std::vector<Slot> slots;
  std::size_t const bytes = packed_.doubles() * 8;
  for (std::size_t u = 0; u < parts.size() * (last_set - first_set); ++u) {
    std::size_t const set = first_set + u / parts.size(), part = parts[u % parts.size()];
    slots.push_back({((set - group_first_) * s_.parts() + part) * bytes, bytes});
  }
  team_.run(gram_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    reduce_unit(first_set + u / parts.size(), parts[u % parts.size()], *scratch);
    pool_.give(std::move(scratch));
  });
  if (last_set == s_.rows.sets.size() && reduced_trace_.empty()) {
    reduced_trace_.assign(s_.parts(), 0.0);
    for (std::size_t part : parts) {
      double const* outer = gram_of(last_set - 1, part);
      for (auto i : s_.rows.outer().train) {
        reduced_trace_[part] += packed_.at(outer, i, i) / static_cast<double>(s_.rows.n_train);
      }
    }
  }
}

/// For coefficients: the axes of each reduced band in the outer training rows, n_train × kept, behind their number.
void Preparer::place_components(std::function<std::size_t(std::size_t)> const& place) {
  components_at_.assign(s_.parts(), 0);
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    if (reduces(part) && s_.options.coefficients) {
      components_at_[part] = place(2 + s_.rows.n_train * most_of_band(part, s_.rows.n_train));
    }
  }
}

void Preparer::keep_components(std::size_t last_set) {
  if (!shape_.reduced || !s_.options.coefficients || last_set != s_.rows.sets.size()) return;
  std::size_t const n = s_.rows.n_train;
  std::vector<std::size_t> parts;
  std::vector<Slot> slots;
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    if (!reduces(part)) continue;
    parts.push_back(part);
    slots.push_back({components_at_[part], (2 + n * most_of_band(part, n)) * 4});
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    std::size_t const most = most_of_band(parts[u], n);
    double* g = scratch->g.grow(n * n);
    double* vectors = scratch->cross.grow(n * most);
    Weights alone(s_.parts(), 0.0);
    alone[parts[u]] = 1;
    dual_kernel(last_set - 1, alone, g, false);
    std::vector<double> values(most);
    blas::eigen_top(n, g, n, most, values.data(), vectors);
    float* to = at(components_at_[parts[u]]);
    std::size_t const keep = kept(values.data(), most, 0, n, 0);
    to[0] = static_cast<float>(keep);
    for (std::size_t i = 0; i < n * keep; ++i) to[2 + i] = static_cast<float>(vectors[i]);
    pool_.give(std::move(scratch));
  });
}

/// w as it weighs the raw features of a band: w itself, or its projection on the axes of the band's components.
void FoldState::along_components(std::size_t part, double* w) const {
  if (part >= components.size() || components[part] == nullptr) return;
  float const* axes = components[part] + 2;
  std::size_t const n = rows.n_train;
  std::vector<double> out(n, 0.0);
  for (auto k = static_cast<std::size_t>(components[part][0]); k-- > 0;) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(axes[i + k * n]) * w[i];
    for (std::size_t i = 0; i < n; ++i) out[i] += sum * static_cast<double>(axes[i + k * n]);
  }
  std::copy(out.begin(), out.end(), w);
}

}  // namespace striate::detail
