/// Stores and other HDF5 files as sources.
#include <algorithm>
#include <numeric>

#include "convert_array_source.hpp"
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

class StoreSource;
/// A merge may name more files than a process may have open: those read last stay so. Main thread.
std::vector<StoreSource const*>& open_sources() {
  static std::vector<StoreSource const*> list;
  return list;
}
constexpr std::size_t most_open = 16;
constexpr double cache_bytes = 64 << 20;  // of HDF5, for each dataset that stays open

class StoreSource final : public Source {
 public:
  StoreSource(fs::path const& path, std::string const& layout) : path_(path) {
    ActReader const reader(path.string());
    name_ = path.filename().string();
    rows_ = reader.rows(), ids_ = reader.ids(), ours_ = reader.ours();
    auto const at = path.string().rfind(":/");
    bool const part = at != std::string::npos && !fs::exists(path);
    file_path_ = part ? path.string().substr(0, at) : path.string();
    for (auto const& name : reader.attribute_names()) attributes_[name] = reader.attribute(name);
    if (ours_) read_ours(reader);
    for (auto layer : reader.layers()) {
      names_.push_back(part ? path.string().substr(at + 2) : layer.name);
      orders_.push_back(ours_ ? Permutation() : permutation_of(layout, layer.shape));
      if (!ours_) {
        warn_of_order(layer, layout);
        auto const axes = stored_axes(orders_.back().out(layer.shape));
        layer.shape = axes.shape;
        if (layer.axes.empty()) layer.axes = axes.names;
      }
      layers_.push_back(layer);
    }
    if (!ours_ && ids_.empty() && name_.starts_with("features"))
      offer_ids(ids_beside(path.parent_path(), true), "file_names.txt");
  }
  ~StoreSource() override { std::erase(open_sources(), this); }
  StoreSource(StoreSource const&) = delete;
  StoreSource& operator=(StoreSource const&) = delete;

  [[nodiscard]] std::string fingerprint() const override { return striate::fingerprint(ActReader(path_.string())); }
  [[nodiscard]] double held_bytes() const override {
    double bytes = 0;
    for (auto const& layer : layers_)
      if (!ours_) bytes += std::min(cache_bytes, 4.0 * static_cast<double>(rows_ * layer.units));
    return bytes;
  }
  void read(std::size_t layer, std::span<std::size_t const> rows, float* out) const override {
    open();
    std::size_t const units = layers_[layer].units;
    if (ours_) {  // chunks end where batches end: nothing to keep
      read_rows(file_.dataset(names_[layer]), rows, units, out);
      return;
    }
    if (data_[layer].id() <= 0) data_[layer] = file_.dataset(names_[layer]);
    read_rows(data_[layer], rows, units, out);
    orders_[layer].apply(out, rows.size());
  }

 private:
  void read_ours(ActReader const& reader) {
    auto const file = h5::File::open(file_path_);
    batch_ = std::stoul(file.attribute(".striate", "batch"));
    skipped_ = reader.skipped(), sha256_ = reader.stimulus_sha256();
    for (auto const& layer : reader.layers()) {
      LayerRecord record;
      for (auto const& name : file.attribute_names(layer.name))
        if (name != "axes") record.attributes[name] = file.attribute(layer.name, name);
      std::string const group = ".striate/selection/" + layer.name;
      if (file.has(group))
        for (auto const& axis : file.names(group))
          record.selected.emplace_back(axis, file.dataset(group + "/" + axis).read<std::uint64_t>());
      records_.push_back(std::move(record));
    }
  }
  void open() const {
    auto& list = open_sources();
    if (!list.empty() && list.back() == this) return;
    std::erase(list, this);
    list.push_back(this);
    if (!file_) file_ = h5::File::open(file_path_), data_.resize(layers_.size());
    if (list.size() <= most_open) return;
    list.front()->data_.clear();
    list.front()->file_ = h5::File();
    list.erase(list.begin());
  }
  void warn_of_order(ActLayer const& layer, std::string const& layout) const {
    auto const& s = layer.shape;
    if (layout == "auto" && s.size() == 3 && s[0] == s[1] && s[2] != s[1])
      log::warn("{}: layer {} is {}: this looks like rows × columns × channels; set layout: channels_last if it is",
                name_, layer.name, h5::text_of(s));
  }
  fs::path path_, file_path_;
  bool ours_ = false;
  std::vector<std::string> names_;  ///< of the datasets
  std::vector<Permutation> orders_;
  mutable h5::File file_;
  mutable std::vector<h5::Dataset> data_;
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
      if (shape.empty() ||
          !std::equal(shape.begin() + 1, shape.end(), data_[0].shape().begin() + 1, data_[0].shape().end()))
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
    offer_ids(ids_beside(path.parent_path(), true), "file_names.txt");
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
                          return n.starts_with("features_") &&
                                 n.find_first_not_of("0123456789", 9) == std::string::npos && n.size() > 9;
                        });
    if (pieces) return std::make_unique<PiecesSource>(path, names, layout);
  }
  return std::make_unique<StoreSource>(path, layout);
}

}  // namespace striate::convert
