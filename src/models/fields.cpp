#include "fields.hpp"

#include <algorithm>
#include <cmath>

#include "striate/base/error.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/clones.hpp"

namespace striate::detail {
namespace {

constexpr double smallest = 0.04, largest = 0.4;  // default radii, of the longer side of the visual field
constexpr std::size_t lanes = 256;                // stimuli that are pooled at a time

std::vector<double> radii(FieldGrid const& g) {
  if (!g.sizes.empty()) {
    auto sizes = g.sizes;
    std::ranges::sort(sizes);
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    return sizes;
  }
  std::vector<double> sizes;
  double const unit = std::max(g.width, g.height), ratio = largest / smallest;
  for (std::size_t i = 0; i < g.steps; ++i) {
    double const at = g.steps == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(g.steps - 1);
    sizes.push_back(unit * smallest * std::pow(ratio, at));
  }
  return sizes;
}

void check(FieldGrid const& g) {
  auto const positive = [](double v) { return v > 0 && std::isfinite(v); };
  if (g.grid == 0) {
    fail(Exit::config, "model.rf.grid is 0 (centres across and down); give 1 or more");
  }
  if (!positive(g.extent) || g.extent > 1) {
    fail(Exit::config, "model.rf.extent is {:g}; centres lie in a share of the visual field: above 0, at most 1",
         g.extent);
  }
  if (!positive(g.width) || !positive(g.height)) {
    fail(Exit::config, "model.rf.visual_angle is {:g} × {:g}; give degrees above 0", g.width, g.height);
  }
  if (g.sizes.empty() && g.steps == 0) {
    fail(Exit::config, "model.rf.sizes is 0; give 1 or more radii");
  }
  for (double s : g.sizes) {
    if (!positive(s)) {
      fail(Exit::config, "model.rf.sizes holds {:g}; radii are above 0 and finite", s);
    }
  }
}

/// to[i] += weight · from[i].
STRIATE_CLONES void add(double weight, float const* from, std::size_t n, double* to) {
  for (std::size_t i = 0; i < n; ++i) {
    to[i] += weight * static_cast<double>(from[i]);
  }
}
STRIATE_CLONES void add(double weight, double const* from, std::size_t n, double* to) {
  for (std::size_t i = 0; i < n; ++i) {
    to[i] += weight * from[i];
  }
}

/// The fields of one radius on maps of one shape: distinct columns and rows of centres, each with its masses.
struct Masks {
  std::vector<std::vector<double>> across, down;
  std::vector<std::size_t> column, row;  ///< of each field
};

Masks masks_of(MapShape const& map, FieldGrid const& g, std::span<Field const> fields) {
  Masks m;
  std::vector<double> xs, ys;
  auto const find = [](std::vector<double>& all, double value) {
    auto const at = static_cast<std::size_t>(std::ranges::find(all, value) - all.begin());
    if (at == all.size()) {
      all.push_back(value);
    }
    return at;
  };
  for (auto const& f : fields) {
    m.column.push_back(find(xs, f.x));
    m.row.push_back(find(ys, f.y));
  }
  for (double x : xs) {
    m.across.push_back(masses(x, fields[0].sigma, g.width, map.cols));
  }
  for (double y : ys) {  // rows of a map go down
    m.down.push_back(masses(-y, fields[0].sigma, g.height, map.rows));
  }
  return m;
}

/// One channel: x has a column of n floats per pixel. Sums across first: a Gaussian is a product of two.
void pool_channel(float const* x, std::size_t n, MapShape const& map, Masks const& m, float* out) {
  std::size_t const columns = m.across.size(), fields = m.column.size();
  std::vector<double> line(columns * lanes), sum(fields * lanes);
  for (std::size_t first = 0; first < n; first += lanes) {
    std::size_t const count = std::min(lanes, n - first);
    std::ranges::fill(sum, 0.0);
    for (std::size_t i = 0; i < map.rows; ++i) {
      std::ranges::fill(line, 0.0);
      for (std::size_t j = 0; j < map.cols; ++j) {
        for (std::size_t k = 0; k < columns; ++k) {
          if (m.across[k][j] > 0) {
            add(m.across[k][j], x + (i * map.cols + j) * n + first, count, line.data() + k * lanes);
          }
        }
      }
      for (std::size_t f = 0; f < fields; ++f) {
        if (double const weight = m.down[m.row[f]][i]; weight > 0) {
          add(weight, line.data() + m.column[f] * lanes, count, sum.data() + f * lanes);
        }
      }
    }
    for (std::size_t f = 0; f < fields; ++f) {
      std::transform(sum.begin() + static_cast<std::ptrdiff_t>(f * lanes),
                     sum.begin() + static_cast<std::ptrdiff_t>(f * lanes + count), out + f * n + first,
                     [](double v) { return static_cast<float>(v); });
    }
  }
}

/// Fields of one radius one after the other.
std::vector<std::span<Field const>> by_radius(std::span<Field const> fields) {
  std::vector<std::span<Field const>> groups;
  for (std::size_t from = 0, to = 0; from < fields.size(); from = to) {
    while (to < fields.size() && fields[to].sigma == fields[from].sigma) {
      ++to;
    }
    groups.push_back(fields.subspan(from, to - from));
  }
  return groups;
}

std::size_t channels_at_once(MapShape const& map, std::size_t n, double room) {
  double const one = 4.0 * static_cast<double>(n * map.rows * map.cols);
  return std::clamp<std::size_t>(static_cast<std::size_t>(room / one), 1, std::max<std::size_t>(1, map.channels));
}

}  // namespace

std::vector<Field> fields_of(FieldGrid const& grid) {
  check(grid);
  std::vector<Field> fields;
  auto const centre = [&](std::size_t i, double length) {
    return grid.extent * length * ((static_cast<double>(i) + 0.5) / static_cast<double>(grid.grid) - 0.5);
  };
  for (double sigma : radii(grid)) {
    for (std::size_t i = 0; i < grid.grid; ++i) {
      for (std::size_t j = 0; j < grid.grid; ++j) {
        fields.push_back({centre(j, grid.width), -centre(i, grid.height), sigma});
      }
    }
  }
  return fields;
}

std::vector<double> masses(double centre, double sigma, double length, std::size_t cells) {
  std::vector<double> mass(cells);
  auto const below = [&](std::size_t edge) {  // in the direction of the nearer tail, where digits are kept
    return (length * (static_cast<double>(edge) / static_cast<double>(cells) - 0.5) - centre) /
           (sigma * std::sqrt(2.0));
  };
  double sum = 0;
  for (std::size_t i = 0; i < cells; ++i) {
    double const a = below(i), b = below(i + 1);
    mass[i] = a > 0 ? std::erfc(a) - std::erfc(b) : std::erfc(-b) - std::erfc(-a);
    sum += mass[i];
  }
  for (auto& m : mass) {
    m /= sum;
  }
  return mass;
}

std::size_t pooled_features(std::span<MapShape const> maps) {
  std::size_t count = 0;
  for (auto const& map : maps) {
    count += map.channels;
  }
  return count;
}

PooledPlaces::PooledPlaces(std::span<MapShape const> maps, std::size_t rows, std::size_t fields) : n(rows), at{0} {
  for (auto const& map : maps) {
    for (std::size_t c = 0; c < map.channels; ++c) {
      at.push_back(at.back() + n * (has_maps(map) ? fields : 1));
    }
  }
}

double pool_bytes(std::span<MapShape const> maps, std::size_t n, double room) {
  double most = 0;
  for (auto const& map : maps) {
    most = std::max(most, 4.0 * static_cast<double>(channels_at_once(map, n, room) * map.rows * map.cols * n));
  }
  return most;
}

void pool_maps(FeatureSource const& X, std::span<MapShape const> maps, FieldGrid const& grid,
               std::span<Field const> fields, double room, Team& team, std::byte* out) {
  std::size_t const n = X.rows();
  PooledPlaces const places(maps, n, fields.size());
  auto const groups = by_radius(fields);
  Buffer<float> raw;
  std::size_t column = 0, feature = 0;
  for (auto const& map : maps) {
    std::size_t const pixels = map.rows * map.cols, step = channels_at_once(map, n, room);
    std::vector<Masks> masks;
    for (auto const& group : groups) {
      masks.push_back(masks_of(map, grid, group));
    }
    for (std::size_t first = 0; first < map.channels; first += step) {
      std::size_t const count = std::min(step, map.channels - first);
      X.read(column + first * pixels, count * pixels, raw.grow(count * pixels * n));
      std::vector<Slot> slots;
      for (std::size_t c = 0; c < count; ++c) {
        std::size_t const from = places.at[feature + first + c], to = places.at[feature + first + c + 1];
        slots.push_back({from * 4, (to - from) * 4});
      }
      team.run(out, slots, [&](std::size_t c) {
        auto* to = reinterpret_cast<float*>(out + slots[c].offset);
        float const* from = raw.data() + c * pixels * n;
        if (!has_maps(map)) {
          std::copy_n(from, n, to);
          return;
        }
        for (std::size_t g = 0, f = 0; g < groups.size(); f += groups[g].size(), ++g) {
          pool_channel(from, n, map, masks[g], to + f * n);
        }
      });
    }
    column += map.channels * pixels;
    feature += map.channels;
  }
}

}  // namespace striate::detail
