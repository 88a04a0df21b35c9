#include "striate/stats/clusters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace striate {
namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Neighbours grid_neighbours(std::array<std::uint64_t, 3> shape, std::span<std::uint64_t const> index, int connectivity) {
  auto const [nx, ny, nz] = shape;
  std::vector<std::uint32_t> place(nx * ny * nz, none);
  for (std::size_t i = 0; i < index.size(); ++i) place[index[i]] = static_cast<std::uint32_t>(i);
  int const most = connectivity == 6 ? 1 : connectivity == 18 ? 2 : 3;  // axes along which a neighbour may differ
  Neighbours n;
  for (std::uint64_t at : index) {
    auto const x = static_cast<std::int64_t>(at / (ny * nz)), y = static_cast<std::int64_t>(at / nz % ny),
               z = static_cast<std::int64_t>(at % nz);
    auto const inside = [](std::int64_t v, std::uint64_t end) { return v >= 0 && v < static_cast<std::int64_t>(end); };
    for (int dx = -1; dx <= 1; ++dx)
      for (int dy = -1; dy <= 1; ++dy)
        for (int dz = -1; dz <= 1; ++dz) {
          int const axes = std::abs(dx) + std::abs(dy) + std::abs(dz);
          if (axes == 0 || axes > most || !inside(x + dx, nx) || !inside(y + dy, ny) || !inside(z + dz, nz)) continue;
          auto const to = static_cast<std::uint64_t>(((x + dx) * static_cast<std::int64_t>(ny) + y + dy) *
                                                         static_cast<std::int64_t>(nz) + z + dz);
          if (place[to] != none) n.list.push_back(place[to]);
        }
    n.start.push_back(n.list.size());
  }
  return n;
}

Tfce::Tfce(Neighbours const& neighbours, double extent, double height)
    : neighbours_(neighbours), height_(height), extent_(neighbours.places() + 1) {
  for (std::size_t e = 0; e < extent_.size(); ++e) extent_[e] = std::pow(static_cast<double>(e), extent);
}

/// Places come by falling value; each makes a component of itself and of the components that it touches. A component
/// lives from its value down to that of the next one it goes into, and gives what the integral has there to all its
/// places: to be summed from the last component back to the first.
void Tfce::enhance(std::span<float const> map, std::span<double> out) {
  std::size_t const t = map.size();
  order_.clear();
  for (std::uint32_t i = 0; i < t; ++i) {
    out[i] = std::isnan(map[i]) ? nan : 0;
    if (map[i] > 0) order_.push_back(i);
  }
  std::ranges::sort(order_, [&](auto a, auto b) { return map[a] != map[b] ? map[a] > map[b] : a < b; });
  set_.assign(t, none), parent_.assign(t, none);
  node_.resize(t), size_.resize(t);
  auto const root = [&](std::uint32_t i) {
    while (set_[i] != i) i = set_[i] = set_[set_[i]];
    return i;
  };
  for (std::uint32_t const v : order_) {
    set_[v] = node_[v] = v, size_[v] = 1;
    std::uint32_t top = v;  // of v's set
    for (std::uint32_t const u : neighbours_.of(v)) {
      if (set_[u] == none) continue;
      std::uint32_t other = root(u);
      if (other == top) continue;
      parent_[node_[other]] = v;
      size_[v] += size_[node_[other]];
      // The greater set stays; the component of v itself is still growing.
      if (top == v || size_[node_[other]] > size_[v] - size_[node_[other]]) std::swap(top, other);
      set_[other] = top;
      node_[top] = v;
    }
  }
  double const power = height_ + 1;
  auto const raised = [&](std::uint32_t i) { return std::pow(static_cast<double>(map[i]), power) / power; };
  for (std::size_t k = order_.size(); k-- > 0;) {
    std::uint32_t const v = order_[k], p = parent_[v];
    double const below = p == none ? 0 : raised(p);
    out[v] = extent_[size_[v]] * (raised(v) - below) + (p == none ? 0 : out[p]);
  }
}

Clusters clusters(Neighbours const& neighbours, std::span<float const> map, double threshold) {
  struct Found {
    std::uint64_t size = 0;
    double mass = 0;
  };
  std::vector<Found> found;
  Clusters c;
  c.label.assign(map.size(), 0);
  std::vector<std::uint32_t> waiting;
  auto const above = [&](std::size_t i) { return static_cast<double>(map[i]) >= threshold; };
  for (std::uint32_t first = 0; first < map.size(); ++first) {
    if (c.label[first] != 0 || !above(first)) continue;
    auto const name = static_cast<std::int32_t>(found.size() + 1);
    found.emplace_back();
    c.label[first] = name;
    for (waiting.assign(1, first); !waiting.empty();) {
      std::uint32_t const v = waiting.back();
      waiting.pop_back();
      for (std::uint32_t const u : neighbours.of(v))
        if (c.label[u] == 0 && above(u)) c.label[u] = name, waiting.push_back(u);
    }
  }
  for (std::size_t i = 0; i < map.size(); ++i) {  // in the order of places, whatever that of the neighbours is
    if (c.label[i] == 0) continue;
    Found& f = found[static_cast<std::size_t>(c.label[i] - 1)];
    ++f.size, f.mass += map[i];
  }
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return found[a].size > found[b].size; });
  std::vector<std::int32_t> rank(found.size() + 1, 0);
  for (std::size_t k = 0; k < order.size(); ++k) {
    rank[order[k] + 1] = static_cast<std::int32_t>(k + 1);
    c.size.push_back(found[order[k]].size), c.mass.push_back(found[order[k]].mass);
  }
  for (auto& label : c.label) label = rank[static_cast<std::size_t>(label)];
  return c;
}

}  // namespace striate
