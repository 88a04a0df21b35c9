#include "striate/brain/maps.hpp"

#include <cctype>
#include <limits>
#include <set>
#include <stdexcept>

#include "striate/base/error.hpp"
#include "striate/brain/npy.hpp"

namespace striate {
namespace {

template <class T>
std::filesystem::path write_any_map(Space const& space, std::span<std::uint64_t const> index, std::span<T const> values,
                                    std::filesystem::path const& stem) {
  if (index.size() != values.size()) throw std::logic_error("write_map: as many values as targets are needed");
  bool array = space.format == "array";
  std::vector<float> map(space.size(), array ? std::numeric_limits<float>::quiet_NaN() : 0.0F);
  for (std::size_t i = 0; i < index.size(); ++i) map.at(index[i]) = static_cast<float>(values[i]);
  std::filesystem::path path = stem;
  path += space.extension;
  if (array) {
    write_npy(path, std::span<float const>(map), {map.size()});
    return path;
  }
  for (auto const& format : brain_formats())
    if (space.format == format.name) {
      format.write(path, space, map, 1);
      return path;
    }
  throw std::logic_error("write_map: no format " + space.format);
}

}  // namespace

std::filesystem::path write_map(Space const& space, std::span<std::uint64_t const> index, std::span<float const> values,
                                std::filesystem::path const& stem) {
  return write_any_map(space, index, values, stem);
}
std::filesystem::path write_map(Space const& space, std::span<std::uint64_t const> index,
                                std::span<double const> values, std::filesystem::path const& stem) {
  return write_any_map(space, index, values, stem);
}

std::filesystem::path map_stem(std::filesystem::path const& result_dir, std::string const& layer,
                               std::string const& stat) {
  return result_dir / "maps" / fmt::format("layer-{}_stat-{}", file_safe(layer), file_safe(stat));
}

std::string file_safe(std::string const& name) {
  std::string safe = name;
  for (std::size_t i = 0; i < safe.size(); ++i) {
    bool plain = std::isalnum(static_cast<unsigned char>(safe[i])) != 0 ||
                 std::string("._-+#").find(safe[i]) != std::string::npos;
    if (!plain || (i == 0 && safe[i] == '.')) safe[i] = '-';
  }
  return safe;
}

std::vector<std::string> file_safe_names(std::vector<std::string> const& names) {
  std::vector<std::string> safe;
  std::set<std::string> used;
  for (auto const& name : names) {
    std::string base = file_safe(name), unique = base;
    for (int i = 2; !used.insert(unique).second; ++i) unique = fmt::format("{}-{}", base, i);
    safe.push_back(unique);
  }
  return safe;
}

}  // namespace striate
