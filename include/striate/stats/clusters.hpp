#pragma once
/// Statistics of maps that take neighbours into account: clusters above a threshold, and threshold-free cluster
/// enhancement. A map is any graph of places; NaN is a place that is not there.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace striate {

/// Neighbours of place i: list[start[i]] … list[start[i + 1] - 1]; of both ends of every edge.
struct Neighbours {
  std::vector<std::size_t> start{0};
  std::vector<std::uint32_t> list;
  [[nodiscard]] std::size_t places() const { return start.size() - 1; }
  [[nodiscard]] std::span<std::uint32_t const> of(std::size_t i) const {
    return std::span(list).subspan(start[i], start[i + 1] - start[i]);
  }
};

/// Of places in a grid, index = (x · ny + y) · nz + z, in the order of `index`. `connectivity`: 6 (faces), 18 (and edges)
/// or 26 (and corners).
[[nodiscard]] Neighbours grid_neighbours(std::array<std::uint64_t, 3> shape, std::span<std::uint64_t const> index,
                                         int connectivity);

/// Threshold-free cluster enhancement of the positive part of a map (Smith and Nichols 2009, NeuroImage 44:83):
/// TFCE(v) = ∫ e(h)^extent h^height dh over h from 0 to the value of v, where e(h) is the size of v's cluster among places
/// of at least h. The integral is exact, as e changes only at the map's values. 0 where the value is not positive, NaN
/// where it is NaN. O(t log t); equal values may stand in any order.
class Tfce {
 public:
  explicit Tfce(Neighbours const& neighbours, double extent = 0.5, double height = 2);
  /// Not to be called by two threads at once: memory is kept from map to map.
  void enhance(std::span<float const> map, std::span<double> out);

 private:
  Neighbours const& neighbours_;
  double height_;
  std::vector<double> extent_;                     ///< size^extent
  std::vector<std::uint32_t> order_, set_, node_;  ///< places by value; union-find; the component of each set
  std::vector<std::uint32_t> parent_, size_;       ///< of each component
};

struct Clusters {
  std::vector<std::int32_t> label;  ///< (t) from 1, the largest first, of equal size the one of the first place; 0: none
  std::vector<std::uint64_t> size;  ///< of each cluster: places
  std::vector<double> mass;         ///< of each cluster: Σ values
};
/// Of places of at least `threshold`.
[[nodiscard]] Clusters clusters(Neighbours const& neighbours, std::span<float const> map, double threshold);

}  // namespace striate
