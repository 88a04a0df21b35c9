/// `striate info --compare`: HDF5 against HDF5, image against image, folder against folder.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "striate/base/error.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"
#include "striate/brain/space.hpp"
#include "striate/commands/info.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
using Difference = std::optional<std::string>;
using Tolerance = std::optional<double>;

bool ends_with(std::string const& s, std::string const& e) {
  return s.size() >= e.size() && s.compare(s.size() - e.size(), e.size(), e) == 0;
}

bool agree(double a, double b, Tolerance const& tolerance) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (!tolerance) return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
  if (a == b) return true;  // infinities
  return std::abs(a - b) <= *tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}
template <class T>
bool agree(T a, T b, Tolerance const& tolerance) {
  return a == b || (tolerance && agree(static_cast<double>(a), static_cast<double>(b), tolerance));
}

std::string position(std::size_t flat, std::vector<std::size_t> const& shape) {
  std::vector<std::size_t> index(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;)
    index[i] = flat % std::max<std::size_t>(shape[i], 1), flat /= std::max<std::size_t>(shape[i], 1);
  std::string text;
  for (std::size_t i : index) text += (text.empty() ? "" : ", ") + std::to_string(i);
  return "[" + text + "]";
}

std::string text_of(std::vector<std::size_t> const& shape) {
  std::string text;
  for (std::size_t d : shape) text += (text.empty() ? "" : "×") + std::to_string(d);
  return text.empty() ? "a single value" : text;
}

/// Values compared piece by piece: the first that differ, how many do, and by how much at most.
class Tally {
 public:
  Tally(std::string name, std::vector<std::size_t> shape, Tolerance tolerance)
      : name_(std::move(name)), shape_(std::move(shape)), tolerance_(tolerance) {}
  template <class T>
  void add(std::span<T const> a, std::span<T const> b) {
    for (std::size_t i = 0; i < a.size(); ++i, ++seen_) {
      if (agree(a[i], b[i], tolerance_)) continue;
      if (count_++ == 0) first_ = fmt::format("{} at {}: {} and {}", name_, position(seen_, shape_), a[i], b[i]);
      auto by = static_cast<double>(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
      if (by > most_) most_ = by;
    }
  }
  [[nodiscard]] Difference result() const {
    if (count_ == 0) return std::nullopt;
    return fmt::format("{} ({} of {} values differ, by at most {:.3g})", first_, count_, seen_, most_);
  }

 private:
  std::string name_;
  std::vector<std::size_t> shape_;
  Tolerance tolerance_;
  std::string first_;
  std::size_t seen_ = 0, count_ = 0;
  double most_ = 0;
};

// ---------------------------------------------------------------------------------------------------- HDF5

/// Bookkeeping: when, where and in what pieces, not what came out.
bool scientific(std::string const& name) {
  if (!name.starts_with("/.striate")) return true;
  for (auto keep : {"/.striate/stimulus_id", "/.striate/row_sum", "/.striate/unit_", "/.striate/items"})
    if (name.starts_with(keep)) return true;
  return false;
}

void collect(h5::File const& file, std::string const& group, std::map<std::string, bool>& objects) {
  for (auto const& link : file.names(group)) {
    std::string name = (group == "/" ? "" : group) + "/" + link;
    if (!scientific(name) && name != "/.striate") continue;
    bool data = file.is_dataset(name);
    if (name != "/.striate") objects[name] = data;
    if (!data) collect(file, name, objects);
  }
}

template <class T>
void compare_values(h5::Dataset const& a, h5::Dataset const& b, Tally& tally) {
  auto const& shape = a.shape();
  if (shape.empty()) {
    auto x = a.read<T>(), y = b.read<T>();
    tally.add(std::span<T const>(x), std::span<T const>(y));
    return;
  }
  std::size_t row = h5::volume(shape) / std::max<std::size_t>(shape[0], 1);
  std::size_t rows = std::max<std::size_t>(1, (std::size_t{4} << 20) / std::max<std::size_t>(row, 1));
  std::vector<T> x, y;
  for (std::size_t first = 0; first < shape[0] && row > 0; first += rows) {
    h5::Shape start(shape.size(), 0), count = shape;
    start[0] = first, count[0] = std::min(rows, shape[0] - first);
    x.resize(count[0] * row), y.resize(count[0] * row);
    a.read(start, count, h5::type_id(h5::dtype_of<T>()), x.data());
    b.read(start, count, h5::type_id(h5::dtype_of<T>()), y.data());
    tally.add(std::span<T const>(x), std::span<T const>(y));
  }
}

Difference compare_datasets(h5::Dataset const& a, h5::Dataset const& b, std::string const& name,
                            Tolerance const& tolerance) {
  if (a.shape() != b.shape()) return fmt::format("{}: shape {} and {}", name, text_of(a.shape()), text_of(b.shape()));
  std::string type = a.type_name(), other = b.type_name();
  bool numbers = (a.numeric() || a.is_float16()) && (b.numeric() || b.is_float16());
  if (type != other && !(numbers && tolerance)) return fmt::format("{}: type {} and {}", name, type, other);
  if (numbers) {
    Tally tally(name, a.shape(), tolerance);
    bool whole = type.find("int") != std::string::npos && type == other;
    if (whole && type.starts_with("u"))
      compare_values<std::uint64_t>(a, b, tally);
    else if (whole)
      compare_values<std::int64_t>(a, b, tally);
    else
      compare_values<double>(a, b, tally);
    return tally.result();
  }
  if (type.find("string") == std::string::npos) return std::nullopt;  // references and the like say nothing
  auto x = a.read_strings(), y = b.read_strings();
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i] != y[i]) return fmt::format("{} at {}: \"{}\" and \"{}\"", name, position(i, a.shape()), x[i], y[i]);
  return std::nullopt;
}

Difference compare_attributes(h5::File const& a, h5::File const& b, std::string const& object) {
  auto x = a.attribute_names(object), y = b.attribute_names(object);
  std::set<std::string> names(x.begin(), x.end());
  names.insert(y.begin(), y.end());
  // Who wrote it, with what and where, is no part of what it holds.
  for (auto const* name : {"striate_version", "striate_git_commit", "libtorch", "device", "config", "history", "self_test",
                           "input_statistics"})
    names.erase(name);
  for (auto const& name : names) {
    bool in_a = a.has_attribute(object, name), in_b = b.has_attribute(object, name);
    if (in_a != in_b)
      return fmt::format("attribute {} of {} is only in the {}", name, object, in_a ? "first" : "second");
    std::string u = a.attribute(object, name), v = b.attribute(object, name);
    if (u != v) return fmt::format("attribute {} of {}: \"{}\" and \"{}\"", name, object, u, v);
  }
  return std::nullopt;
}

Difference compare_hdf5(fs::path const& path_a, fs::path const& path_b, Tolerance const& tolerance) {
  auto a = h5::File::open(path_a), b = h5::File::open(path_b);
  if (auto d = compare_attributes(a, b, "/")) return d;
  std::map<std::string, bool> in_a, in_b;
  collect(a, "/", in_a), collect(b, "/", in_b);
  auto every = in_a;
  every.insert(in_b.begin(), in_b.end());
  for (auto const& [name, is_data] : every) {
    auto x = in_a.find(name), y = in_b.find(name);
    if (x == in_a.end() || y == in_b.end())
      return fmt::format("{} is only in the {}", name, y == in_b.end() ? "first" : "second");
    if (x->second != y->second) return fmt::format("{} is a dataset in one and a group in the other", name);
    if (auto d = compare_attributes(a, b, name)) return d;
    if (!is_data) continue;
    if (auto d = compare_datasets(a.dataset(name), b.dataset(name), name, tolerance)) return d;
  }
  return std::nullopt;
}

// ---------------------------------------------------------------------------------------------- other files

Difference compare_npy(fs::path const& path_a, fs::path const& path_b, Tolerance const& tolerance) {
  NpyFile a(path_a), b(path_b);
  std::vector<std::size_t> shape(a.shape().begin(), a.shape().end());
  if (a.shape() != b.shape())
    return fmt::format("shape {} and {}", text_of(shape), text_of({b.shape().begin(), b.shape().end()}));
  if (!tolerance && a.dtype() != b.dtype()) return fmt::format("type {} and {}", a.dtype(), b.dtype());
  if (a.fortran_order() != b.fortran_order() && shape.size() > 1)
    return "one is in Fortran order, the other in C order; save both alike to compare them";
  if (a.fortran_order()) std::reverse(shape.begin(), shape.end());
  Tally tally("the array", shape, tolerance);
  std::size_t step = std::size_t{4} << 20;
  std::vector<double> x, y;
  for (std::size_t first = 0; first < a.size(); first += step) {
    std::size_t count = std::min<std::size_t>(step, a.size() - first);
    x.resize(count), y.resize(count);
    a.read(first, x), b.read(first, y);
    tally.add(std::span<double const>(x), std::span<double const>(y));
  }
  // 8-byte integers beyond 2^53 may hide behind the conversion.
  if (!tally.result() && !tolerance && a.dtype().find('f') == std::string::npos &&
      !std::ranges::equal(a.bytes(), b.bytes()))
    return "the arrays differ in integers beyond 2^53";
  return tally.result();
}

Difference compare_images(fs::path const& path_a, fs::path const& path_b, Tolerance const& tolerance) {
  auto a = open_image(path_a), b = open_image(path_b);
  Space const &s = a->space(), &t = b->space();
  if (s.shape != t.shape || a->volumes() != b->volumes())
    return fmt::format("{} with {} volumes and {} with {}", s.shape_text(), a->volumes(), t.shape_text(), b->volumes());
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j)
      if (!agree(s.affine[i][j], t.affine[i][j], tolerance))
        return fmt::format("affine at [{}, {}]: {} and {}", i, j, s.affine[i][j], t.affine[i][j]);
  if (s.format == "nifti" && !tolerance) {
    auto x = nifti_info(path_a).dtype, y = nifti_info(path_b).dtype;
    if (x != y) return fmt::format("type {} and {}", x, y);
  }
  std::vector<std::size_t> shape{a->volumes(), s.shape[0], s.shape[1], s.shape[2]};
  Tally tally("[volume, x, y, z]", shape, tolerance);
  std::vector<std::uint64_t> places(s.size());
  std::iota(places.begin(), places.end(), 0);
  // One reader runs ahead by a slab of volumes, which the other is then compared with.
  std::size_t slab = std::max<std::size_t>(1, (std::size_t{512} << 20) / (s.size() * sizeof(float)));
  std::size_t volumes = a->volumes();
  for (std::size_t first = 0; first < volumes; first += slab) {
    std::size_t last = std::min(volumes, first + slab);
    std::vector<float> held((last - first) * s.size());
    a->scan(places, [&](std::size_t v, std::span<float const> values) {
      if (v >= first && v < last)
        std::copy(values.begin(), values.end(), held.begin() + static_cast<std::ptrdiff_t>((v - first) * s.size()));
    });
    b->scan(places, [&](std::size_t v, std::span<float const> values) {
      if (v < first || v >= last) return;
      std::vector<double> x(s.size()), y(values.begin(), values.end());
      std::copy_n(held.begin() + static_cast<std::ptrdiff_t>((v - first) * s.size()), s.size(), x.begin());
      tally.add(std::span<double const>(x), std::span<double const>(y));
    });
  }
  return tally.result();
}

/// Texts cell by cell, so that numbers of tables can differ within the tolerance.
Difference compare_texts(fs::path const& path_a, fs::path const& path_b, Tolerance const& tolerance) {
  std::ifstream a(path_a), b(path_b);
  std::string x, y;
  for (std::size_t line = 1;; ++line) {
    bool more_a = static_cast<bool>(std::getline(a, x)), more_b = static_cast<bool>(std::getline(b, y));
    if (more_a != more_b) return fmt::format("line {} is only in the {}", line, more_a ? "first" : "second");
    if (!more_a) return std::nullopt;
    if (x == y) continue;
    bool same = tolerance.has_value();
    auto cells = [](std::string text) {
      std::replace_if(
          text.begin(), text.end(), [](char c) { return c == ',' || c == '\t'; }, '\n');
      std::vector<std::string> out;
      std::istringstream in(text);
      for (std::string cell; std::getline(in, cell);) out.push_back(cell);
      return out;
    };
    auto u = cells(x), v = cells(y);
    same = same && u.size() == v.size();
    for (std::size_t i = 0; same && i < u.size(); ++i) {
      char *end_u = nullptr, *end_v = nullptr;
      double p = std::strtod(u[i].c_str(), &end_u), q = std::strtod(v[i].c_str(), &end_v);
      bool numbers = !u[i].empty() && !v[i].empty() && *end_u == '\0' && *end_v == '\0';
      same = u[i] == v[i] || (numbers && agree(p, q, tolerance));
    }
    if (!same) return fmt::format("line {}: \"{}\" and \"{}\"", line, x, y);
  }
}

Difference compare_bytes(fs::path const& path_a, fs::path const& path_b) {
  std::ifstream a(path_a, std::ios::binary), b(path_b, std::ios::binary);
  std::vector<char> x(1 << 20), y(1 << 20);
  for (std::size_t before = 0;;) {
    a.read(x.data(), static_cast<std::streamsize>(x.size()));
    b.read(y.data(), static_cast<std::streamsize>(y.size()));
    auto n = static_cast<std::size_t>(a.gcount()), m = static_cast<std::size_t>(b.gcount());
    for (std::size_t i = 0; i < std::min(n, m); ++i)
      if (x[i] != y[i])
        return fmt::format("byte {}: {} and {}", before + i, static_cast<unsigned char>(x[i]),
                           static_cast<unsigned char>(y[i]));
    if (n != m) return fmt::format("sizes {} and {} bytes", fs::file_size(path_a), fs::file_size(path_b));
    if (n == 0) return std::nullopt;
    before += n;
  }
}

std::set<std::string> files_in(fs::path const& folder) {
  std::set<std::string> names;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
    std::string name = it->path().filename().string();
    if (name.starts_with(".")) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file() && name != "provenance.json" && name != "log.txt") {
      names.insert(fs::relative(it->path(), folder).string());
    }
  }
  return names;
}

Difference compare_folders(fs::path const& a, fs::path const& b, Tolerance const& tolerance) {
  auto in_a = files_in(a), in_b = files_in(b);
  auto every = in_a;
  every.insert(in_b.begin(), in_b.end());
  for (auto const& name : every) {
    if (!in_a.contains(name) || !in_b.contains(name))
      return fmt::format("{} is only in the {}", name, in_a.contains(name) ? "first" : "second");
    if (auto d = first_difference_of_files(a / name, b / name, tolerance)) return name + ": " + *d;
  }
  return std::nullopt;
}

bool is_hdf5(fs::path const& path) {
  std::ifstream in(path, std::ios::binary);
  char head[8] = {};
  in.read(head, 8);
  return std::memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
}

}  // namespace

std::optional<std::string> first_difference_of_files(fs::path const& a, fs::path const& b, Tolerance tolerance) {
  for (auto const& path : {a, b})
    if (!fs::exists(path)) fail(Exit::no_input, "info: {} does not exist; check the path", path.string());
  if (fs::is_directory(a) != fs::is_directory(b)) return "one is a folder, the other a file";
  if (fs::is_directory(a)) return compare_folders(a, b, tolerance);
  if (is_hdf5(a) && is_hdf5(b)) return compare_hdf5(a, b, tolerance);
  std::string name = a.filename().string(), other = b.filename().string();
  if (ends_with(name, ".npy") && ends_with(other, ".npy")) return compare_npy(a, b, tolerance);
  if (find_brain_format(a) != nullptr && find_brain_format(b) != nullptr) return compare_images(a, b, tolerance);
  for (auto text : {".csv", ".tsv", ".txt", ".json", ".yaml"})
    if (ends_with(name, text) && ends_with(other, text)) return compare_texts(a, b, tolerance);
  return compare_bytes(a, b);
}

}  // namespace striate
