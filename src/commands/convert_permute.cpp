#include "convert_permute.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

namespace striate::convert {

std::vector<std::size_t> Permutation::out(std::vector<std::size_t> const& in) const {
  auto shape = in;
  if (kind_ == Kind::last_first) std::ranges::rotate(shape, shape.end() - 1);
  if (kind_ == Kind::swap_last) std::swap(shape.end()[-1], shape.end()[-2]);
  return shape;
}

void Permutation::apply(float* values, std::size_t rows) const {
  if (kind_ == Kind::none) return;
  std::size_t const units = std::accumulate(in_.begin(), in_.end(), std::size_t{1}, std::multiplies<>());
  std::vector<float> row(units);
  std::vector<std::size_t> places(units);  // of each value of the new order in the old one
  if (kind_ == Kind::last_first) {
    std::size_t const channels = in_.back(), map = channels ? units / channels : 0;
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t p = 0; p < map; ++p) places[c * map + p] = p * channels + c;
  } else {
    std::size_t const from = in_.end()[-2], to = in_.end()[-1];
    for (std::size_t u = 0; u < units; ++u) {
      std::size_t const map = u / (from * to), i = u % (from * to);
      places[u] = map * from * to + i % from * to + i / from;
    }
  }
  for (std::size_t r = 0; r < rows; ++r) {
    float* const v = values + r * units;
    std::copy_n(v, units, row.begin());
    for (std::size_t u = 0; u < units; ++u) v[u] = row[places[u]];
  }
}

std::vector<float> by_rows(std::vector<float> const& by_columns, std::vector<std::size_t> const& shape) {
  if (shape.size() < 2) return by_columns;
  std::size_t const n = shape[0], units = n ? by_columns.size() / n : 0;
  std::vector<std::size_t> index(shape.size(), 0);  // of a unit; the first axis is the rows'
  std::vector<std::size_t> places(units);
  for (std::size_t u = 0; u < units; ++u) {
    std::size_t place = 0;
    for (std::size_t a = shape.size(); a-- > 1;) place = place * shape[a] + index[a];
    places[u] = place;
    for (std::size_t a = shape.size(); a-- > 1 && ++index[a] == shape[a];) index[a] = 0;
  }
  std::vector<float> out(by_columns.size());
  constexpr std::size_t block = 16;  // rows that are filled together: lines of the cache are read once
  for (std::size_t first = 0; first < n; first += block)
    for (std::size_t u = 0; u < units; ++u)
      for (std::size_t r = first; r < std::min(n, first + block); ++r)
        out[r * units + u] = by_columns[places[u] * n + r];
  return out;
}

Permutation permutation_of(std::string const& layout, std::vector<std::size_t> const& shape) {
  if (shape.size() < 3) return {};  // features; tokens × features
  if (layout == "channels_last") return {Permutation::Kind::last_first, shape};
  if (layout == "matconvnet") return {Permutation::Kind::swap_last, shape};  // MATLAB's columns vary slowest of a map
  return {};
}

}  // namespace striate::convert
