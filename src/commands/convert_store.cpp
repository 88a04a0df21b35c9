/// Stores and other HDF5 files as sources.
#include <algorithm>
#include <numeric>

#include "convert_permute.hpp"
#include "convert_source.hpp"
#include "fingerprint.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/store/h5.hpp"
#include "striate/store/half.hpp"

namespace striate::convert {
namespace {

namespace fs = std::filesystem;

/// Calls f(first index, count) for runs of neighbours.
template <class F>
void each_run(std::span<std::size_t const> rows, F const& f) {
  for (std::size_t i = 0, end = 0; i < rows.size(); i = end) {
    end = i + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    f(i, end - i);
  }
}

void read_rows(h5::Dataset const& data, std::span<std::size_t const> rows, std::size_t units, float* out) {
  bool const half = data.is_float16();
  hid_t const type = h5::type_id(half ? h5::Dtype::f16 : h5::Dtype::f32);
  std::vector<std::uint16_t> halves;
  each_run(rows, [&](std::size_t at, std::size_t count) {
    h5::Shape first(data.shape().size(), 0), extent = data.shape();
    first[0] = rows[at], extent[0] = count;
    float* const to = out + at * units;
    if (!half) return data.read(first, extent, type, to);
    halves.resize(count * units);
    data.read(first, extent, type, halves.data());
    from_half(halves.data(), halves.size(), to);
  });
}

class StoreSource final : public Source {
 public:
  StoreSource(fs::path const& path, std::string const& layout) : path_(path), reader_(path.string()) {
    name_ = path.filename().string();
    rows_ = reader_.rows(), ids_ = reader_.ids();
    auto const at = path.string().rfind(":/");
    bool const part = at != std::string::npos && !fs::exists(path);
    file_ = h5::File::open(part ? path.string().substr(0, at) : path.string());
    for (auto const& name : reader_.attribute_names()) attributes_[name] = reader_.attribute(name);
    if (reader_.ours() && file_.has_attribute(".striate", "batch")) batch_ = std::stoul(file_.attribute(".striate", "batch"));
    for (auto layer : reader_.layers()) {
      data_.push_back(file_.dataset(part ? path.string().substr(at + 2) : layer.name));
      orders_.push_back(reader_.ours() ? Permutation() : permutation_of(layout, layer.shape));
      if (!reader_.ours()) {
        warn_of_order(layer, layout);
        auto const axes = stored_axes(orders_.back().out(layer.shape));
        layer.shape = axes.shape;
        if (layer.axes.empty()) layer.axes = axes.names;
      }
      layers_.push_back(layer);
    }
  }
  [[nodiscard]] std::string fingerprint() const override { return striate::fingerprint(reader_); }
  void read(std::size_t layer, std::span<std::size_t const> rows, float* out) const override {
    read_rows(data_[layer], rows, layers_[layer].units, out);
    orders_[layer].apply(out, rows.size());
  }

 private:
  void warn_of_order(ActLayer const& layer, std::string const& layout) const {
    auto const& s = layer.shape;
    if (layout == "auto" && s.size() == 3 && s[0] == s[1] && s[2] != s[1])
      log::warn("{}: layer {} is {}: this looks like rows × columns × channels; set layout: channels_last if it is", name_,
                layer.name, h5::text_of(s));
  }
  fs::path path_;
  ActReader reader_;
  h5::File file_;
  std::vector<h5::Dataset> data_;
  std::vector<Permutation> orders_;
};

/// Arrays that are one layer cut by stimuli: thingsvision's features_01, features_02 …
class PiecesSource final : public Source {
 public:
  PiecesSource(fs::path const& path, std::vector<std::string> const& names, std::string const& layout) : path_(path) {
    name_ = path.filename().string();
    file_ = h5::File::open(path);
    for (auto const& name : names) {
      data_.push_back(file_.dataset(name));
      auto const& shape = data_.back().shape();
      if (shape.empty() || !std::equal(shape.begin() + 1, shape.end(), data_[0].shape().begin() + 1, data_[0].shape().end()))
        fail(Exit::data, "{}: {} is {} but {} is {}; pieces of one array agree in all but their rows", name_, name,
             h5::text_of(shape), names[0], h5::text_of(data_[0].shape()));
      firsts_.push_back(rows_);
      rows_ += shape[0];
    }
    ActLayer layer;
    layer.name = "features", layer.dtype = data_[0].type_name();
    layer.shape.assign(data_[0].shape().begin() + 1, data_[0].shape().end());
    layer.units = h5::volume(layer.shape);
    order_ = permutation_of(layout, layer.shape);
    auto const axes = stored_axes(order_.out(layer.shape));
    layer.shape = axes.shape, layer.axes = axes.names;
    layers_ = {layer};
  }
  [[nodiscard]] std::string fingerprint() const override { return striate::fingerprint(path_); }
  void read(std::size_t, std::span<std::size_t const> rows, float* out) const override {
    std::size_t const units = layers_[0].units;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto const piece = static_cast<std::size_t>(std::ranges::upper_bound(firsts_, rows[i]) - firsts_.begin()) - 1;
      std::size_t const row = rows[i] - firsts_[piece];
      read_rows(data_[piece], {&row, 1}, units, out + i * units);
    }
    order_.apply(out, rows.size());
  }

 private:
  fs::path path_;
  h5::File file_;
  std::vector<h5::Dataset> data_;
  std::vector<std::size_t> firsts_;
  Permutation order_;
};

}  // namespace

std::unique_ptr<Source> open_hdf5(fs::path const& path, std::string const& layout) {
  if (fs::exists(path)) {
    auto const file = h5::File::open(path);
    if (file.has_attribute("/", "MATLAB_class") || path.extension() == ".mat") return open_arrays(path, layout);
    std::vector<std::string> const names = file.names();
    bool const pieces = names.size() > 1 && std::ranges::all_of(names, [](std::string const& n) {
      return n.starts_with("features_") && n.find_first_not_of("0123456789", 9) == std::string::npos && n.size() > 9;
    });
    if (pieces) return std::make_unique<PiecesSource>(path, names, layout);
  }
  return std::make_unique<StoreSource>(path, layout);
}

}  // namespace striate::convert
