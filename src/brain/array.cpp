#include "striate/brain/array.hpp"

#include <algorithm>
#include <functional>

#include "striate/base/error.hpp"
#include "striate/brain/npy.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

bool ends_with(std::string const& s, std::string const& e) {
  return s.size() >= e.size() && s.compare(s.size() - e.size(), e.size(), e) == 0;
}

/// A file that holds one array, as it lies: a C-order matrix of `outer` rows of `inner` values.
struct Stored {
  std::string name;
  std::vector<std::uint64_t> shape;  ///< as the user sees it
  bool fortran = false;              ///< the first axis runs fastest
  std::function<void(std::uint64_t row, std::uint64_t rows, std::uint64_t column, std::uint64_t columns, float* out)>
      box;
  std::function<std::vector<double>()> all;
};

Stored open_npy(std::filesystem::path const& path) {
  auto file = std::make_shared<NpyFile>(path);
  Stored s{path.filename().string(), file->shape(), file->fortran_order(), {}, {}};
  std::uint64_t inner = s.shape.size() < 2 ? 1 : s.fortran ? s.shape[0] : s.shape[1];
  s.box = [file, inner](std::uint64_t r0, std::uint64_t nr, std::uint64_t c0, std::uint64_t nc, float* out) {
    for (std::uint64_t r = 0; r < nr; ++r) file->read((r0 + r) * inner + c0, std::span<float>(out + r * nc, nc));
  };
  s.all = [file] {
    std::vector<double> values(file->size());
    file->read(0, values);
    return values;
  };
  return s;
}

Stored open_h5(std::filesystem::path const& path, std::string const& dataset) {
  if (!std::filesystem::exists(path)) fail(Exit::no_input, "{} does not exist; check the path", path.string());
  auto file = std::make_shared<h5::File>(h5::File::open(path));
  std::string name = path.filename().string() + ":" + dataset;
  if (!file->is_dataset(dataset)) {
    std::string known;
    for (auto const& n : file->names()) known += (known.empty() ? "" : ", ") + n;
    fail(Exit::data, "{}: there is no such dataset; the file holds {}", name, known.empty() ? "nothing" : known);
  }
  auto data = std::make_shared<h5::Dataset>(file->dataset(dataset));
  if (!data->numeric() && !data->is_float16()) fail(Exit::data, "{} holds {}, not numbers", name, data->type_name());
  Stored s{name, {data->shape().begin(), data->shape().end()}, false, {}, {}};
  bool flat = s.shape.size() < 2;
  s.box = [file, data, flat](std::uint64_t r0, std::uint64_t nr, std::uint64_t c0, std::uint64_t nc, float* out) {
    h5::Shape first{r0}, count{nr};
    if (!flat) first.push_back(c0), count.push_back(nc);
    data->read(first, count, h5::type_id(h5::Dtype::f32), out);
  };
  s.all = [file, data] { return data->read<double>(); };
  return s;
}

Stored open_stored(std::filesystem::path const& path) {
  if (auto h5 = split_h5_name(path)) return open_h5(h5->first, h5->second);
  std::string name = path.filename().string();
  if (ends_with(name, ".npy")) return open_npy(path);
  if (ends_with(name, ".h5") || ends_with(name, ".hdf5"))
    fail(Exit::data, "{} names no dataset; write \"{}:/DATASET\"", name, name);
  fail(Exit::data, "{} is of no known format (.nii, .nii.gz, .hdr/.img, .npy, \"f.h5:/DATASET\")", name);
}

class ArrayReader final : public ImageReader {
 public:
  ArrayReader(std::filesystem::path const& path, bool transpose) : data_(open_stored(path)) {
    auto const& shape = data_.shape;
    if (shape.empty() || shape.size() > 2) {
      std::string text;
      for (auto d : shape) text += (text.empty() ? "" : "×") + std::to_string(d);
      fail(Exit::data, "{} is {} (responses are n × t, or one column); reshape it", data_.name,
           shape.empty() ? "a single number" : text);
    }
    bool flat = shape.size() == 1;
    std::uint64_t rows = shape[0], columns = flat ? 1 : shape[1];
    volumes_ = flat || !transpose ? rows : columns;
    targets_ = flat ? 1 : transpose ? rows : columns;
    volumes_first_ = flat || data_.fortran == transpose;
    if (volumes_ == 0 || targets_ == 0) fail(Exit::data, "{} is empty ({} × {})", data_.name, rows, columns);
    space_.format = "array", space_.source = data_.name, space_.shape = {targets_}, space_.extension = ".npy";
  }
  [[nodiscard]] Space const& space() const override { return space_; }
  [[nodiscard]] std::size_t volumes() const override { return volumes_; }

  void scan(std::span<std::uint64_t const> places,
            std::function<void(std::size_t, std::span<float const>)> const& sink) override {
    if (places.empty()) return;
    std::uint64_t first = *std::min_element(places.begin(), places.end());
    std::uint64_t width = *std::max_element(places.begin(), places.end()) - first + 1;
    // Blocks of at most 32 MiB of the columns asked for.
    std::uint64_t block = std::clamp<std::uint64_t>((std::uint64_t{8} << 20) / width, 1, 256);
    std::vector<float> box(block * width), values(places.size());
    for (std::uint64_t v0 = 0; v0 < volumes_; v0 += block) {
      std::uint64_t count = std::min<std::uint64_t>(block, volumes_ - v0);
      if (volumes_first_)
        data_.box(v0, count, first, width, box.data());
      else
        data_.box(first, width, v0, count, box.data());
      for (std::uint64_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < places.size(); ++j) {
          std::uint64_t column = places[j] - first;
          values[j] = volumes_first_ ? box[i * width + column] : box[column * count + i];
        }
        sink(v0 + i, values);
      }
    }
  }

 private:
  Stored data_;
  Space space_;
  std::uint64_t volumes_ = 0, targets_ = 0;
  bool volumes_first_ = true;
};

}  // namespace

std::optional<std::pair<std::filesystem::path, std::string>> split_h5_name(std::filesystem::path const& path) {
  std::string text = path.string();
  for (std::size_t at = text.find(":/"); at != std::string::npos; at = text.find(":/", at + 1)) {
    std::string file = text.substr(0, at);
    for (auto end : {".h5", ".hdf5", ".hdf", ".mat", ".nwb"})
      if (ends_with(file, end)) return {{file, text.substr(at + 1)}};
  }
  if (ends_with(text, ".roi.h5")) return {{path, "/data"}};
  return std::nullopt;
}

bool is_array_name(std::filesystem::path const& path) {
  return split_h5_name(path).has_value() || ends_with(path.filename().string(), ".npy");
}

std::unique_ptr<ImageReader> open_array(std::filesystem::path const& path, bool transpose) {
  return std::make_unique<ArrayReader>(path, transpose);
}

std::vector<double> read_vector(std::filesystem::path const& path) {
  Stored data = open_stored(path);
  auto longer = std::count_if(data.shape.begin(), data.shape.end(), [](auto d) { return d != 1; });
  if (longer > 1) {
    std::string text;
    for (auto d : data.shape) text += (text.empty() ? "" : "×") + std::to_string(d);
    fail(Exit::data, "{} is {}; a 1-D array is needed", data.name, text);
  }
  return data.all();
}

}  // namespace striate
