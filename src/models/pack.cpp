// The last step: everything that tiles multiply by is packed once, panel by panel, and the working copies go.
#include "prepare.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

/// A matrix (rows × depth) to be packed: element (r, k) at from[r * row_stride + k * depth_stride].
struct Source {
  float const* from;
  std::size_t row_stride, depth_stride, rows, depth, at;
};

}  // namespace

void Preparer::pack() {
  std::size_t const sets = s_.rows.sets.size(), q = s_.q(), a = s_.alphas.size(), used = s_.rows.row.size();
  bool const spectral = is_spectral(s_.form);
  std::vector<Source> sources;
  std::size_t bytes = 0;
  auto add = [&](float const* from, std::size_t row_stride, std::size_t depth_stride, std::size_t rows, std::size_t depth) {
    sources.push_back({from, row_stride, depth_stride, rows, depth, bytes});
    bytes += packed_size(rows, depth) * 4;  // a multiple of 64: panels are 48 floats wide
    bytes = (bytes + 63) / 64 * 64;
    return sources.back().at;
  };
  std::vector<std::size_t> inner(sets), basis(sets), outer(a), inverse(a), x;
  std::size_t back = 0;
  for (std::size_t s = 0; s < sets; ++s) {
    auto& h = s_.sets[s];
    if (spectral) {
      h.depth = static_cast<std::size_t>(*reinterpret_cast<double const*>(hats_.get() + values_at_[s]));
      basis[s] = add(at(basis_at_[s]), h.basis_rows, 1, h.depth, h.basis_rows);
    }
    if (s + 1 < sets) {
      inner[s] = add(at(inner_at_[s]), ld_[s], 1, q * s_.rows.sets[s].test.size(), h.depth);
    }
  }
  auto const& last = s_.sets.back();
  for (std::size_t i = 0; i < a; ++i) {
    outer[i] = add(at(outer_at_[i]), ld_.back(), 1, s_.rows.n_test, last.depth);
    if (s_.options.coefficients && !spectral) {
      inverse[i] = add(at(inverse_at_[i]), 1, last.basis_rows, last.basis_rows, last.basis_rows);
    }
  }
  if (s_.options.coefficients && spectral) {
    back = add(at(basis_at_.back()), 1, last.basis_rows, last.basis_rows, last.depth);
  }
  auto const& blocks = s_.rows.blocks;
  for (std::size_t b = 0; !is_dual(s_.form) && b < blocks.blocks(); ++b) {
    x.push_back(add(reinterpret_cast<float const*>(x_.get()) + blocks.begin[b], used, 1, s_.p, blocks.begin[b + 1] - blocks.begin[b]));
  }
  std::vector<Slot> slots;
  std::vector<std::pair<std::size_t, std::size_t>> units;  // source, panel
  for (std::size_t i = 0; i < sources.size(); ++i) {
    for (std::size_t panel = 0; panel * panel_rows < sources[i].rows; ++panel) {
      std::size_t const size = panel_rows * sources[i].depth * 4;
      slots.push_back({sources[i].at + panel * size, size});
      units.emplace_back(i, panel);
    }
  }
  std::vector<double> values(spectral ? last.depth : 0);
  if (spectral) {
    std::copy_n(reinterpret_cast<double const*>(hats_.get() + values_at_.back()) + 2, last.depth, values.begin());
  }
  auto const kept = team_.shared(std::max<std::size_t>(bytes, 64));
  team_.run(kept.get(), slots, [&](std::size_t u) {
    auto const& m = sources[units[u].first];
    pack_panel(m.from, m.row_stride, m.depth_stride, m.rows, m.depth, units[u].second, reinterpret_cast<float*>(kept.get() + slots[u].offset));
  });
  hats_.reset();
  x_.reset();
  auto place = [&](std::size_t offset) { return reinterpret_cast<float const*>(kept.get() + offset); };
  for (std::size_t s = 0; s < sets; ++s) {
    s_.sets[s].inner = place(inner[s]);
    s_.sets[s].basis = place(basis[s]);
  }
  for (std::size_t i = 0; i < a; ++i) {
    s_.outer.push_back(place(outer[i]));
    s_.inverse.push_back(place(inverse[i]));
  }
  for (auto offset : x) {
    s_.x.push_back(place(offset));
  }
  s_.basis_back = place(back);
  s_.eigenvalues = std::move(values);
  s_.owned.push_back(kept);
}

}  // namespace striate::detail
