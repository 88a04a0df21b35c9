#include "striate/brain/space.hpp"

#include <algorithm>
#include <cmath>

#include "striate/base/error.hpp"

namespace striate {

std::uint64_t Space::size() const {
  std::uint64_t n = shape.empty() ? 0 : 1;
  for (std::uint64_t d : shape) n *= d;
  return n;
}

std::string Space::shape_text() const {
  std::string text;
  for (std::uint64_t d : shape) text += (text.empty() ? "" : "×") + std::to_string(d);
  return text;
}

std::array<double, 3> Space::voxel_mm() const {
  std::array<double, 3> edge{};
  for (int j = 0; j < 3; ++j) edge[j] = std::hypot(affine[0][j], affine[1][j], affine[2][j]);
  return edge;
}

namespace {

std::array<double, 3> place_mm(Affine const& a, std::array<double, 3> const& v) {
  std::array<double, 3> p{};
  for (int i = 0; i < 3; ++i) p[i] = a[i][0] * v[0] + a[i][1] * v[1] + a[i][2] * v[2] + a[i][3];
  return p;
}

/// Largest distance between what the two affines say of the grid's corners.
double farthest_corner_mm(Space const& a, Space const& b) {
  double worst = 0;
  for (int corner = 0; corner < 8; ++corner) {
    std::array<double, 3> v{};
    for (int i = 0; i < 3; ++i) v[i] = (corner >> i & 1) != 0 ? static_cast<double>(a.shape[i]) - 1 : 0;
    auto p = place_mm(a.affine, v), q = place_mm(b.affine, v);
    worst = std::max(worst, std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]));
  }
  return worst;
}

}  // namespace

void check_same_grid(Space const& other, Space const& data, std::string const& key, std::string const& what) {
  if (other.is_volume() != data.is_volume() || other.shape != data.shape) {
    if (!data.is_volume())
      fail(Exit::data,
           "{}: {} has {} values but {} has {} targets; a {} of an array is a 1-D array, one value a target", key,
           other.source, other.shape_text(), data.source, data.shape_text(), what);
    fail(Exit::data, "{}: {} is {} but {} is {}; resample the {} first", key, other.source, other.shape_text(),
         data.source, data.shape_text(), what);
  }
  if (!data.is_volume() || !other.oriented || !data.oriented) return;
  double apart = farthest_corner_mm(other, data);
  auto edges = data.voxel_mm();
  double edge = *std::min_element(edges.begin(), edges.end());
  if (!(apart <= 0.01 * edge))
    fail(Exit::data, "{}: {} lies up to {:.3g} mm away from {} (same shape, another affine); resample the {} first",
         key, other.source, apart, data.source, what);
}

std::unique_ptr<ImageReader> open_image(std::filesystem::path const& path, std::string const& key) {
  try {
    if (!std::filesystem::exists(path)) fail(Exit::no_input, "{} does not exist; check the path", path.string());
    BrainFormat const* format = find_brain_format(path);
    if (format == nullptr) {
      std::string known;
      for (auto const& f : brain_formats()) known += (known.empty() ? "" : ", ") + std::string(f.doc);
      fail(Exit::data, "{} is of no known image format ({})", path.filename().string(), known);
    }
    return format->open(path);
  } catch (Error const& error) {
    if (key.empty()) throw;
    throw Error(error.code(), key + ": " + error.what());
  }
}

}  // namespace striate
