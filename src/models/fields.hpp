#pragma once
/// Gaussian fields over maps, and maps pooled by them.
#include <span>
#include <vector>

#include "striate/math/team.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

/// Centre (x to the right, y up, from the centre of the visual field) and radius.
struct Field {
  double x = 0, y = 0, sigma = 0;
};

/// Smallest radius first; of a radius the rows of centres from the top, each from the left: grid · grid fields a
/// radius. Throws Error(Exit::config).
[[nodiscard]] std::vector<Field> fields_of(FieldGrid const& grid);

/// Mass of a Gaussian in each of `cells` equal cells of [-length/2, length/2], over the sum of all.
[[nodiscard]] std::vector<double> masses(double centre, double sigma, double length, std::size_t cells);

/// Whether features are pooled at all.
[[nodiscard]] inline bool has_maps(MapShape const& map) { return map.rows * map.cols > 1; }
/// Features of all spaces after pooling.
[[nodiscard]] std::size_t pooled_features(std::span<MapShape const> maps);

/// Where pool_maps puts what: in floats, a column of n each. What has no map stands once for all fields.
struct PooledPlaces {
  PooledPlaces(std::span<MapShape const> maps, std::size_t n, std::size_t fields);
  [[nodiscard]] std::size_t column(std::size_t feature, std::size_t field) const {
    return at[feature] + (at[feature + 1] - at[feature] > n ? field * n : 0);
  }
  std::size_t n;
  std::vector<std::size_t> at;  ///< of each feature, and the end
  [[nodiscard]] std::size_t floats() const { return at.back(); }
};

/// Columns of X pooled by `fields`, as PooledPlaces says. Reads X once, in panels of whole channels of at most `room`
/// bytes, one channel at least. `out`: from team.shared. Collective.
void pool_maps(FeatureSource const& X, std::span<MapShape const> maps, FieldGrid const& grid,
               std::span<Field const> fields, double room, Team& team, std::byte* out);
/// Bytes of a panel of n rows: what pool_maps holds besides `out`.
[[nodiscard]] double pool_bytes(std::span<MapShape const> maps, std::size_t n, double room);

}  // namespace striate::detail
