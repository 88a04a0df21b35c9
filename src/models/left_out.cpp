// Leaving each training row out of one decomposition of all of them: with the residual e_i of a fit and the row's
// leverage h_ii (the intercept's 1/n counted), the residual of the fit without the row is e_i / (1 − h_ii).
#include <algorithm>
#include <cmath>

#include "prepare.hpp"

namespace striate::detail {

/// Keeps the left singular vectors of the training rows, and what of each row lies outside them and the intercept.
/// `values` null: the vectors are of length 1; else their squared lengths.
void Preparer::write_vectors(double const* vectors, std::size_t row_stride, std::size_t depth_stride,
                             double const* values, std::size_t keep) {
  std::size_t const n = s_.rows.n_train;
  std::vector<double> scale(keep, 1.0);
  for (std::size_t k = 0; values != nullptr && k < keep; ++k) {
    scale[k] = 1 / std::sqrt(values[k]);
  }
  pack_rows<double>(
      {.from = vectors, .row_stride = row_stride, .depth_stride = depth_stride, .depth_scale = scale.data()}, n, keep,
      at(vectors_at_), s_.engine().packing());
  auto* outside = reinterpret_cast<double*>(hats_.get() + outside_at_);
  for (std::size_t i = 0; i < n; ++i) {
    double inside = 1 / static_cast<double>(n);
    for (std::size_t k = 0; k < keep; ++k) {
      double const u = vectors[i * row_stride + k * depth_stride] * scale[k];
      inside += u * u;
    }
    outside[i] = keep + 1 == n ? 0 : std::max(0.0, 1 - inside);
  }
}

/// 1 / (1 − h_ii) per alpha and training row; 1 − h_ii = Σ_k u_ik² α / (λ_k + α) + what lies outside, without
/// cancellation.
void Preparer::left_out_factors() {
  if (!left_out_) {
    return;
  }
  std::size_t const n = s_.rows.n_train, depth = s_.sets.back().depth;
  auto const& values = s_.sets.back().values;
  auto const* outside = reinterpret_cast<double const*>(hats_.get() + outside_at_);
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < s_.alphas.size(); ++i) {
    slots.push_back({left_out_at_ + i * n * 8, n * 8});
  }
  team_.run(hats_.get(), slots, [&](std::size_t u) {
    double const alpha = s_.alphas[u];
    auto* out = reinterpret_cast<double*>(hats_.get() + slots[u].offset);
    for (std::size_t first = 0; first < n; first += panel_rows) {
      float const* panel = at(vectors_at_) + first * depth;
      bool const panels = s_.engine().packing() == Packing::panels;
      std::size_t const row = panels ? 1 : depth, next = panels ? panel_rows : 1;
      double sum[panel_rows] = {};
      for (std::size_t k = 0; k < depth; ++k) {
        double const left = alpha / (values[k] + alpha);
        for (std::size_t l = 0; l < panel_rows; ++l) {
          double const v = panel[k * next + l * row];
          sum[l] += v * v * left;
        }
      }
      for (std::size_t l = 0; l < panel_rows && first + l < n; ++l) {
        out[first + l] = 1 / (sum[l] + outside[first + l]);
      }
    }
  });
}

}  // namespace striate::detail
