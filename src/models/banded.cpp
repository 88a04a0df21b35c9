// Banded ridge in a tile: held-out predictions of each band at every target's own weights and alpha, and the shares of
// the bands in the scores (product measure: Hoffman 1960; Dupré la Tour et al. 2022).
#include <algorithm>
#include <cmath>
#include <limits>

#include "epilogue.hpp"
#include "fitted.hpp"
#include "test_scores.hpp"

namespace striate::detail {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

void add(double weight, float const* column, std::size_t n, double* out) {
  for (std::size_t i = 0; weight != 0 && i < n; ++i) {
    out[i] += weight * static_cast<double>(column[i]);
  }
}

/// Σ_j weight[j] columns[j · stride + i] for i < n: a solution at any alpha from those of the skeleton.
void combine(double const* weight, std::size_t q, float const* columns, std::size_t stride, std::size_t n,
             double* out) {
  std::fill_n(out, n, 0.0);
  for (std::size_t j = 0; j < q; ++j) {
    add(weight[j], columns + j * stride, n, out);
  }
}

}  // namespace

/// Targets are taken in groups of one candidate.
void Fitted::banded_outer(Responses const& r, std::size_t first, Choice const& chosen, FeatureProducts const& products,
                          TileResult& out, Workspace& work) const {
  std::size_t const bands = s_.bands.size(), total = out.alpha.size(), m = weight_rows();
  std::vector<std::size_t> order;
  for (std::size_t t = 0; t < r.targets; ++t) {
    bool const ok = out.flag[first + t] == TargetFlag::ok;
    if (chosen.refined[t] != 0) {
      continue;
    }
    if (ok) {
      order.push_back(t);
    } else if (s_.options.coefficients) {
      std::fill_n(out.weights.begin() + static_cast<std::ptrdiff_t>((first + t) * m), m,
                  std::numeric_limits<float>::quiet_NaN());
    }
    for (std::size_t b = 0; b < bands; ++b) {
      out.extra[b * total + first + t] = ok ? s_.weightings[chosen.candidate[t]][b] : nan;
    }
  }
  if (!tests() && !s_.options.coefficients) {
    return;
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](auto x, auto y) { return chosen.candidate[x] < chosen.candidate[y]; });
  TileMatrix const z = project(r, s_.rows.inner(), products, work);
  std::size_t const depth = s_.sets.back().depth;
  float* mine = work.gathered.grow(depth * r.width);
  for (std::size_t at = 0, end = 0; at < order.size(); at = end) {
    std::size_t const candidate = chosen.candidate[order[at]];
    for (end = at; end < order.size() && chosen.candidate[order[end]] == candidate;) {
      ++end;
    }
    std::span<std::size_t const> const group(order.data() + at, end - at);
    TileMatrix const its = s_.engine().columns(z, group, mine);
    if (tests()) {
      banded_tests(r, first, candidate, group, chosen, its, out, work);
    }
    if (s_.options.coefficients) {
      banded_weights(r, first, candidate, group, chosen, its, out, work);
    }
  }
}

void Fitted::banded_tests(Responses const& r, std::size_t first, std::size_t candidate,
                          std::span<std::size_t const> group, Choice const& chosen, TileMatrix const& z,
                          TileResult& out, Workspace& work) const {
  std::size_t const bands = s_.bands.size(), q = s_.q(), e = s_.rows.n_test, depth = s_.sets.back().depth;
  std::size_t const block = panel_round(e), stacked = q * bands * block;
  TileMatrix const made = s_.product({s_.outer[candidate], stacked, depth}, z,
                                     work.predictions.grow(padded_rows(stacked) * z.width), work.slivers);
  float const* p = s_.engine().host(made, work.predictions);
  std::size_t const rows = made.ld;
  std::vector<double> parts(bands * e);
  for (std::size_t g = 0; g < group.size(); ++g) {
    std::size_t const t = group[g];
    double const* weight = s_.skeleton.weight.data() + chosen.alpha[t] * q;
    for (std::size_t b = 0; b < bands; ++b) {
      combine(weight, q, p + g * rows + b * block, bands * block, e, parts.data() + b * e);
    }
    banded_scores(r, first, t, parts.data(), out);
  }
}

/// `parts`: predictions of each band, e × bands, in deviations from the training mean. The shares of R² are
/// (2⟨y, ŷ_b⟩ − ⟨ŷ_b, ŷ⟩ − δ) / SST, where δ is what the distance between the training and the test mean of y costs,
/// in equal parts borne by the bands that are in the model: they sum to R². Those of Pearson are cov(y, ŷ_b)/(sd sd).
void Fitted::banded_scores(Responses const& r, std::size_t first, std::size_t t, double const* parts,
                           TileResult& out) const {
  std::size_t const bands = s_.bands.size(), e = s_.rows.n_test, total = out.alpha.size();
  Moments m;
  m.n = static_cast<double>(e);
  std::vector<double> y(e), f(e, 0.0), sum(bands, 0.0), square(bands, 0.0), with_y(bands, 0.0), with_f(bands, 0.0);
  test_responses(r.y + t * r.used, s_.rows.outer().test.data(), e, 0, y.data(), m.y, m.yy);
  for (std::size_t k = 0; k < bands * e; ++k) {
    f[k % e] += parts[k];
  }
  for (std::size_t i = 0; i < e; ++i) {
    m.f += f[i];
    m.ff += f[i] * f[i];
    m.yf += y[i] * f[i];
  }
  for (std::size_t b = 0; b < bands; ++b) {
    for (std::size_t i = 0; i < e; ++i) {
      double const v = parts[b * e + i];
      sum[b] += v;
      square[b] += v * v;
      with_y[b] += v * y[i];
      with_f[b] += v * f[i];
    }
  }
  bool const constant = constant_prediction(m);
  write_scores(s_.options, m, r.sd[t], first + t, out);
  write_predictions(s_.options, f.data(), e, r.mean[t], r.sd[t], first + t, out);
  auto const in = std::ranges::count_if(square, [](double s) { return s > 0; });
  double const sst = m.yy - m.y * m.y / m.n, spread = std::sqrt(sst * (m.ff - m.f * m.f / m.n));
  for (std::size_t b = 0; s_.options.split && e > 1 && b < bands; ++b) {
    double const mean = in == 0         ? m.y * m.y / m.n / static_cast<double>(bands)
                        : square[b] > 0 ? m.y * m.y / m.n / static_cast<double>(in)
                                        : 0;
    out.extra[(bands + b) * total + first + t] = (2 * with_y[b] - with_f[b] - mean) / sst;
    out.extra[(2 * bands + b) * total + first + t] = constant ? 0 : (with_y[b] - m.y * sum[b] / m.n) / spread;
  }
}

void Fitted::banded_weights(Responses const& r, std::size_t first, std::size_t candidate,
                            std::span<std::size_t const> group, Choice const& chosen, TileMatrix const& z,
                            TileResult& out, Workspace& work) const {
  std::size_t const q = s_.q(), depth = s_.sets.back().depth;
  std::size_t const size = padded_rows(depth) * z.width;
  std::vector<TileMatrix> made(q);
  float* to = work.predictions.grow(size * q);
  for (std::size_t j = 0; j < q; ++j) {
    made[j] = s_.product({s_.inverse[candidate * q + j], depth, depth}, z, to + j * size, work.slivers);
  }
  std::vector<Buffer<float>> memory(q);
  std::vector<float const*> w(q);
  for (std::size_t j = 0; j < q; ++j) {
    w[j] = s_.engine().host(made[j], memory[j]);
  }
  std::vector<double> mine(depth);
  for (std::size_t g = 0; g < group.size(); ++g) {
    std::size_t const t = group[g];
    std::fill(mine.begin(), mine.end(), 0.0);
    for (std::size_t j = 0; j < q; ++j) {
      add(s_.skeleton.weight[chosen.alpha[t] * q + j], w[j] + g * made[j].ld, depth, mine.data());
    }
    write_banded_weights(r, first, t, s_.weightings[candidate], mine.data(), out);
  }
}

/// w: (K_γ + α)⁻¹ y in dual forms, weights on raw features in primal ones.
void Fitted::write_banded_weights(Responses const& r, std::size_t first, std::size_t t,
                                  std::vector<double> const& gamma, double const* w, TileResult& out) const {
  bool const dual = is_dual(s_.form);
  std::size_t const depth = s_.sets.back().depth, width = stats_size(s_.rows.sets.size());
  double const unit = s_.options.standardize_responses ? 1 / r.sd[t] : 1;
  float* to = out.weights.data() + (first + t) * weight_rows();
  double offset = 0;
  for (std::size_t i = 0; i < depth; ++i) {
    offset += dual ? 0 : w[i] * s_.stats[i * width];
    to[i] = static_cast<float>(w[i] * unit);
  }
  for (std::size_t b = 0; dual && b < s_.bands.size(); ++b) {
    std::vector<double> mine(w, w + depth);
    s_.along_components(b, mine.data());
    for (std::size_t i = 0; i < depth; ++i) {
      offset += gamma[b] * mine[i] * s_.mean_product[b * depth + i];
    }
  }
  for (std::size_t b = 0; dual && b < s_.bands.size(); ++b) {
    to[depth + b] = static_cast<float>(gamma[b]);
  }
  out.intercept[first + t] = s_.options.standardize_responses ? -offset * unit : r.mean[t] - offset;
}

}  // namespace striate::detail
