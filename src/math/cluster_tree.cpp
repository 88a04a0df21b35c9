#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/cluster.hpp"
#include "striate/math/gram.hpp"

namespace striate {
namespace {

constexpr std::size_t block = 256;

/// Of pair i < j in the condensed order.
std::size_t place(std::size_t n, std::size_t i, std::size_t j) { return n * i - i * (i + 1) / 2 + j - i - 1; }
std::size_t pair_place(std::size_t n, std::size_t i, std::size_t j) { return i < j ? place(n, i, j) : place(n, j, i); }

/// Points [first, first + count) of dimensions [d, d + width), width × count.
void widen(Points const& p, std::size_t first, std::size_t count, std::size_t d, std::size_t width, double const* mean,
           double* out) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t k = 0; k < width; ++k)
      out[i * width + k] = static_cast<double>(p.x[(first + i) * p.dimensions + d + k]) - mean[d + k];
}

/// Products of two blocks of points about the mean: rows × columns, column-major.
void products(Points const& p, std::size_t i, std::size_t ni, std::size_t j, std::size_t nj, double const* mean,
              double* out) {
  thread_local Buffer<double> left, right;
  double *a = left.grow(block * gram_panel), *b = right.grow(block * gram_panel);
  std::fill_n(out, ni * nj, 0.0);
  for (std::size_t d = 0; d < p.dimensions; d += gram_panel) {
    std::size_t const width = std::min(gram_panel, p.dimensions - d);
    widen(p, i, ni, d, width, mean, a);
    widen(p, j, nj, d, width, mean, b);
    blas::gemm('T', 'N', ni, nj, width, 1.0, a, width, b, width, 1.0, out, ni);
  }
}

/// Distance of i to the union of x and y (Lance and Williams 1967).
double joined(Linkage method, double dx, double dy, double dxy, double nx, double ny, double ni) {
  switch (method) {
    case Linkage::single:
      return std::min(dx, dy);
    case Linkage::complete:
      return std::max(dx, dy);
    case Linkage::average:
      return (nx * dx + ny * dy) / (nx + ny);
    case Linkage::ward:
      break;
  }
  double const t = 1 / (nx + ny + ni);
  return std::sqrt((ni + nx) * t * dx * dx + (ni + ny) * t * dy * dy - ni * t * dxy * dxy);
}

/// Sorts joins by distance and names what they join, as scipy's label does.
void name_clusters(std::vector<Merge>& tree) {
  std::size_t const n = tree.size() + 1;
  std::ranges::stable_sort(tree, {}, [](Merge const& m) { return m[2]; });
  std::vector<std::size_t> parent(2 * n - 1), size(2 * n - 1, 1);
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  auto const root = [&](std::size_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (std::size_t k = 0; k + 1 < n; ++k) {
    std::size_t const a = root(static_cast<std::size_t>(tree[k][0])), b = root(static_cast<std::size_t>(tree[k][1]));
    parent[a] = parent[b] = n + k;
    size[n + k] = size[a] + size[b];
    tree[k] = {static_cast<double>(std::min(a, b)), static_cast<double>(std::max(a, b)), tree[k][2],
               static_cast<double>(size[n + k])};
  }
}

}  // namespace

Linkage linkage_of(std::string const& name) {
  if (name == "single") return Linkage::single;
  if (name == "complete") return Linkage::complete;
  if (name == "average") return Linkage::average;
  if (name == "ward") return Linkage::ward;
  fail(Exit::config, "linkage `{}` is none of single, complete, average, ward", name);
}

std::vector<double> distances(Points const& p, Team& team) {
  std::size_t const n = p.count, pairs = n * (n - 1) / 2;
  if (n < 2) fail(Exit::data, "{} points make no tree; at least two are needed", n);
  std::vector<double> mean(p.dimensions, 0.0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t d = 0; d < p.dimensions; ++d) mean[d] += static_cast<double>(p.x[i * p.dimensions + d]);
  for (double& m : mean) m /= static_cast<double>(n);
  auto const memory = team.shared((pairs + n) * 8);
  auto* const out = reinterpret_cast<double*>(memory.get());
  double* const norms = out + pairs;
  std::vector<std::vector<Slot>> slots;
  for (std::size_t i = 0; i < n; i += block) {
    std::size_t const last = std::min(n, i + block), from = place(n, i, i + 1);
    std::size_t const to = last < n ? place(n, last, last + 1) : pairs;
    slots.push_back({{from * 8, (to - from) * 8}, {(pairs + i) * 8, (last - i) * 8}});
  }
  team.run(memory.get(), slots, [&](std::size_t b) {
    thread_local Buffer<double> product;
    std::size_t const i = b * block, ni = std::min(block, n - i);
    double* const own = product.grow(block * block);
    products(p, i, ni, i, ni, mean.data(), own);
    for (std::size_t r = 0; r < ni; ++r) norms[i + r] = own[r * ni + r];
  });
  team.run(memory.get(), slots, [&](std::size_t b) {
    thread_local Buffer<double> product;
    std::size_t const i = b * block, ni = std::min(block, n - i);
    double* const own = product.grow(block * block);
    for (std::size_t j = i; j < n; j += block) {
      std::size_t const nj = std::min(block, n - j);
      products(p, i, ni, j, nj, mean.data(), own);
      for (std::size_t c = 0; c < nj; ++c)
        for (std::size_t r = 0; r < ni && i + r < j + c; ++r)
          out[place(n, i + r, j + c)] = std::sqrt(std::max(0.0, norms[i + r] + norms[j + c] - 2 * own[c * ni + r]));
    }
  });
  for (std::size_t i = 0; i < n; ++i)
    if (!std::isfinite(norms[i])) fail(Exit::data, "a point has a value that is not finite (NaN or infinity)");
  return {out, out + pairs};
}

std::vector<Merge> linkage(std::vector<double> d, std::size_t n, Linkage method) {
  std::vector<Merge> tree;
  std::vector<double> size(n, 1.0);
  std::vector<std::size_t> chain;
  while (tree.size() + 1 < n) {
    if (chain.empty())
      chain.push_back(
          static_cast<std::size_t>(std::ranges::find_if(size, [](double s) { return s > 0; }) - size.begin()));
    std::size_t x = 0, y = 0;
    double least = 0;
    while (true) {
      x = chain.back();
      least = std::numeric_limits<double>::infinity();
      if (chain.size() > 1) y = chain[chain.size() - 2], least = d[pair_place(n, x, y)];
      for (std::size_t i = 0; i < n; ++i)
        if (size[i] > 0 && i != x)
          if (double const here = d[pair_place(n, x, i)]; here < least) least = here, y = i;
      if (chain.size() > 1 && y == chain[chain.size() - 2]) break;
      chain.push_back(y);
    }
    chain.resize(chain.size() - 2);
    if (x > y) std::swap(x, y);
    double const nx = size[x], ny = size[y];
    tree.push_back({static_cast<double>(x), static_cast<double>(y), least, nx + ny});
    size[x] = 0, size[y] = nx + ny;
    for (std::size_t i = 0; i < n; ++i)
      if (size[i] > 0 && i != y) {
        double& to = d[pair_place(n, i, y)];
        to = joined(method, d[pair_place(n, i, x)], to, least, nx, ny, size[i]);
      }
  }
  name_clusters(tree);
  return tree;
}

std::vector<std::int32_t> cut_tree(std::span<Merge const> tree, std::size_t clusters) {
  std::size_t const n = tree.size() + 1;
  if (clusters == 0 || clusters > n) fail(Exit::config, "{} points cannot make {} clusters", n, clusters);
  std::vector<std::size_t> parent(2 * n - 1);
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  for (std::size_t k = 0; k < n - clusters; ++k)
    parent[static_cast<std::size_t>(tree[k][0])] = parent[static_cast<std::size_t>(tree[k][1])] = n + k;
  std::vector<std::int32_t> name(2 * n - 1, -1), labels(n);
  std::int32_t next = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t top = i;
    while (parent[top] != top) top = parent[top];
    if (name[top] < 0) name[top] = next++;
    labels[i] = name[top];
  }
  return labels;
}

}  // namespace striate
