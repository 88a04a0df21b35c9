#include "convert_array_source.hpp"

#include <algorithm>
#include <set>

#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"

namespace striate::convert {
namespace {

/// A name that a dataset can have: Keras' "block1/relu:0" becomes block1.relu.
std::string dataset_name(std::string name) {
  if (name.ends_with(":0")) name.resize(name.size() - 2);
  std::ranges::replace(name, '/', '.');
  return name;
}

}  // namespace

ArraySource::ArraySource(std::string name, std::vector<std::filesystem::path> files, std::vector<Array> arrays,
                         std::vector<std::string> ids)
    : files_(std::move(files)), arrays_(std::move(arrays)) {
  name_ = std::move(name);
  if (arrays_.empty()) fail(Exit::data, "{}: holds no numbers of stimuli × units", name_);
  rows_ = arrays_[0].rows;
  std::set<std::string> names;
  for (auto const& array : arrays_) {
    if (array.rows != rows_)
      fail(Exit::data, "{}: {} has {} rows but {} has {}; layers of a store share their stimuli (layers: takes some)",
           name_, array.name, array.rows, arrays_[0].name, rows_);
    ActLayer layer;
    layer.name = dataset_name(array.name), layer.dtype = array.dtype, layer.units = h5::volume(array.shape);
    orders_.push_back(permutation_of(array.layout, array.shape));
    auto const axes = stored_axes(orders_.back().out(array.shape));
    layer.shape = axes.shape, layer.axes = axes.names;
    if (!names.insert(layer.name).second) fail(Exit::data, "{}: two arrays are called {}", name_, layer.name);
    layers_.push_back(layer);
  }
  take_ids(std::move(ids), name_ + ": the list of its rows");
}

std::string ArraySource::fingerprint() const {
  Sha256 sum;
  for (auto const& file : files_) sum.update(sha256_file(file) + "\n");
  for (auto const& id : ids_) sum.update(id + "\n");
  return sum.hex();
}

double ArraySource::held_bytes() const {
  double bytes = 0;
  for (auto const& array : arrays_)
    for (auto const& [first, piece] : array.pieces)
      if (auto const* values = std::get_if<std::vector<float>>(&piece))
        bytes += 4.0 * static_cast<double>(values->size());
  return bytes;
}

void ArraySource::read(std::size_t layer, std::span<std::size_t const> rows, float* out) const {
  auto const& array = arrays_[layer];
  std::size_t const units = layers_[layer].units;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto at = std::ranges::upper_bound(array.pieces, rows[i], {}, [](auto const& p) { return p.first; });
    auto const& [first, piece] = *--at;
    std::size_t const row = rows[i] - first;
    float* const to = out + i * units;
    if (auto const* file = std::get_if<NpyFile>(&piece)) {
      file->read(row * units, std::span<float>(to, units));
    } else if (auto const* values = std::get_if<std::vector<float>>(&piece)) {
      std::copy_n(values->data() + row * units, units, to);
    } else {
      auto const& data = std::get<InFile>(piece).data;
      h5::Shape begin(data.shape().size(), 0), count = data.shape();
      if (array.rows > 1 || count.size() > array.shape.size()) begin[0] = row, count[0] = 1;
      data.read(begin, count, h5::type_id(h5::Dtype::f32), to);
    }
  }
  orders_[layer].apply(out, rows.size());
}

ArraySource::Array array_of(std::string const& name, NpyFile file, std::string const& layout) {
  ArraySource::Array array;
  array.name = name;
  array.layout = layout == "auto" ? "channels_first" : layout;
  array.dtype = file.dtype().ends_with("f2") ? "float16" : file.dtype().ends_with("f4") ? "float32" : file.dtype();
  std::vector<std::size_t> const shape(file.shape().begin(), file.shape().end());
  if (shape.empty()) fail(Exit::data, "{}: is a single number; an array of stimuli × units is needed", name);
  bool const matconvnet = layout == "matconvnet";
  if (matconvnet && !file.fortran_order())
    fail(Exit::config,
         "layout: {}: matconvnet is the order of MATLAB's arrays; this one is stored by rows (of H × W × C × N "
         "take the transposed, N × H × W × C, and layout: channels_last)",
         name);
  if (!file.fortran_order() || shape.size() == 1) {
    array.shape.assign(shape.begin() + 1, shape.end());
    array.add(shape[0], std::move(file));
    return array;
  }
  std::vector<float> values(file.size());
  file.read(0, std::span<float>(values));
  if (matconvnet) {
    array.shape.assign(shape.rbegin() + 1, shape.rend());
    array.add(shape.back(), std::move(values));
  } else {
    array.shape.assign(shape.begin() + 1, shape.end());
    array.add(shape[0], by_rows(values, shape));
  }
  return array;
}

}  // namespace striate::convert
