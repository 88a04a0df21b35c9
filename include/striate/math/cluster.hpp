#pragma once
/// Clusters of points: k-means and agglomerative trees. Points are rows of a row-major matrix that every rank of a node
/// sees (Team::shared); results are the same bits at any number of ranks and threads. All collective.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "striate/math/team.hpp"

namespace striate {

struct Points {
  float const* x = nullptr;
  std::size_t count = 0, dimensions = 0;
};

struct KMeans {
  std::vector<std::int32_t> labels;  ///< (points), from 0
  std::vector<double> centres;       ///< clusters × dimensions
  double inertia = 0;                ///< Σ squared distances to the centres
  std::size_t iterations = 0;
};
struct KMeansOptions {
  std::size_t clusters = 0, starts = 10, most_iterations = 300;
  double tolerance = 1e-4;  ///< of the shift of centres, times the mean variance of dimensions, as scikit-learn's tol
  std::uint64_t seed = 0;
  /// Called by every rank before each pass over the points, with the share of the starts that is done; may throw to stop.
  std::function<void(double share)> progress = {};
};
/// Lloyd 1982 from k-means++ starts (Arthur and Vassilvitskii 2007; Philox), the one of least inertia; an emptied
/// cluster takes the point that is farthest from its centre. Error(Exit::config) where there are fewer points than
/// clusters.
[[nodiscard]] KMeans kmeans(Points const& points, KMeansOptions const& options, Team& team);
/// From given centres (clusters × dimensions).
[[nodiscard]] KMeans kmeans_from(Points const& points, std::span<double const> centres, KMeansOptions const& options,
                                 Team& team);

enum class Linkage { single, complete, average, ward };
[[nodiscard]] Linkage linkage_of(std::string const& name);  ///< Error(Exit::config)

/// One row of scipy's linkage matrix: the two that are joined (from `points` on: results of earlier rows), at what
/// distance, points of the result.
using Merge = std::array<double, 4>;

/// Euclidean distances of all pairs, in scipy's condensed order, in float64.
[[nodiscard]] std::vector<double> distances(Points const& points, Team& team);
/// The nearest-neighbour chain (Murtagh 1983), as scipy's linkage; of single the same tree by another way. `d`:
/// condensed.
[[nodiscard]] std::vector<Merge> linkage(std::vector<double> d, std::size_t points, Linkage method);
/// The tree cut into `clusters`: labels from 0 in order of first appearance.
[[nodiscard]] std::vector<std::int32_t> cut_tree(std::span<Merge const> tree, std::size_t clusters);

}  // namespace striate
