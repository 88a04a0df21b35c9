#include <algorithm>
#include <cstring>
#include <numeric>
#include <unordered_set>

#include "striate/base/config.hpp"
#include "striate/base/hash.hpp"
#include "striate/store/half.hpp"
#include "working_file.hpp"

namespace striate {
namespace {

constexpr std::size_t block_bytes = std::size_t{32} << 20;

/// "f.h5:/dataset" → {f.h5, dataset}; a plain path → {path, ""}.
std::pair<std::string, std::string> split_path(std::string const& path) {
  std::size_t const at = path.rfind(":/");
  if (at == std::string::npos || std::filesystem::exists(path)) return {path, ""};
  return {path.substr(0, at), path.substr(at + 2)};
}

/// Calls f(first index, count, units) for the boxes, in order, that make up units [lo, hi) of C-order `shape`.
template <class F>
void each_box(h5::Shape const& shape, std::size_t lo, std::size_t hi, h5::Shape const& before, F const& f) {
  std::size_t const axis = before.size();
  auto const emit = [&](std::size_t from, std::size_t to) {
    h5::Shape first = before, count(before.size(), 1);
    first.push_back(from), count.push_back(to - from);
    std::size_t units = to - from;
    for (std::size_t a = axis + 1; a < shape.size(); ++a) first.push_back(0), count.push_back(shape[a]), units *= shape[a];
    f(first, count, units);
  };
  if (shape.empty() || lo >= hi) return shape.empty() && lo < hi ? f({}, {}, 1) : void();
  std::size_t inner = 1;
  for (std::size_t a = axis + 1; a < shape.size(); ++a) inner *= shape[a];
  std::size_t from = lo / inner, to = hi / inner;
  auto const part = [&](std::size_t index, std::size_t begin, std::size_t end) {
    h5::Shape deeper = before;
    deeper.push_back(index);
    each_box(shape, begin, end, deeper, f);
  };
  if (lo % inner) {
    part(from, lo % inner, std::min(inner, hi - from * inner));
    ++from;
  }
  if (from < to) emit(from, to);
  if (hi % inner && to >= from) part(to, 0, hi % inner);
}

/// (rows × columns, row-major) into columns of `out` at positions: out(position[r], j) = block[r, j].
void transpose(float const* block, std::size_t columns, std::span<std::pair<std::size_t, std::size_t> const> wanted,
               std::size_t first_row, MatrixView<float> const& out) {
  constexpr std::size_t tile = 32;
  for (std::size_t i0 = 0; i0 < wanted.size(); i0 += tile)
    for (std::size_t j0 = 0; j0 < columns; j0 += tile)
      for (std::size_t i = i0; i < std::min(i0 + tile, wanted.size()); ++i) {
        float const* row = block + (wanted[i].first - first_row) * columns;
        for (std::size_t j = j0; j < std::min(j0 + tile, columns); ++j) out(wanted[i].second, j) = row[j];
      }
}

}  // namespace

struct ActReader::Impl {
  std::string path;
  h5::File file;
  bool ours = false;
  std::size_t n = 0;
  std::vector<std::string> ids;
  std::vector<ActLayer> layers;
  std::vector<std::string> names;        ///< of the datasets in the file
  mutable std::vector<h5::Dataset> data;  ///< opened at first use

  void find_layers(std::string const& dataset);
  void read_ids();
  [[nodiscard]] std::size_t index(std::string const& name) const;
  [[nodiscard]] h5::Dataset const& dataset(std::size_t layer) const;
  void read_block(std::size_t layer, std::size_t row, std::size_t rows, std::size_t first, std::size_t count,
                  std::vector<float>& out, std::vector<std::uint16_t>& halves) const;
  [[nodiscard]] std::vector<double> side(std::string const& name, std::string const& layer) const;
};

void ActReader::Impl::find_layers(std::string const& wanted) {
  bool const ordered = wanted.empty() && file.has_attribute("/", "layer_order");
  std::vector<std::string> candidates = ordered ? file.attribute_strings("/", "layer_order") : file.names();
  if (!wanted.empty()) candidates = {wanted};
  for (std::string const& name : candidates) {
    if (!file.is_dataset(name)) {
      if (ordered) fail(Exit::data, "{}: layer '{}' of its layer_order is missing; the file is damaged", path, name);
      if (!wanted.empty()) fail(Exit::data, "{}: has no dataset '{}'", file.path().string(), name);
      continue;
    }
    h5::Dataset const d = file.dataset(name);
    bool const fits = d.numeric() && d.shape().size() >= (wanted.empty() ? 2u : 1u);
    if (!fits && !wanted.empty())
      fail(Exit::data, "{}: {}: is {} {}, but stimuli × units numbers are needed", file.path().string(), name, d.type_name(), h5::text_of(d.shape()));
    if (!fits) continue;
    if (!layers.empty() && d.shape()[0] != n)
      fail(Exit::data, "{}: layer '{}' has {} rows but '{}' has {}; layers of a store share their stimuli", path, name,
           d.shape()[0], layers[0].name, n);
    n = d.shape()[0];
    ActLayer l;
    l.name = wanted.empty() ? name : name.substr(name.rfind('/') + 1);
    l.shape.assign(d.shape().begin() + 1, d.shape().end());
    l.units = h5::volume(l.shape);
    l.axes = file.has_attribute(name, "axes") ? file.attribute(name, "axes") : "";
    l.dtype = d.type_name();
    layers.push_back(l);
    names.push_back(name);
  }
  if (layers.empty()) fail(Exit::data, "{}: holds no activations (datasets of stimuli × units at its root)", path);
  data.resize(layers.size());
}

void ActReader::Impl::read_ids() {
  if (!file.is_dataset(".striate/stimulus_id")) return;
  ids = file.dataset(".striate/stimulus_id").read_strings();
  if (ids.size() != n) fail(Exit::data, "{}: {} stimulus ids for {} rows; the file is damaged", path, ids.size(), n);
  std::unordered_set<std::string> seen;
  for (std::string const& id : ids)
    if (!seen.insert(id).second)
      fail(Exit::data, "{}: stimulus id '{}' stands twice, so its row is ambiguous; make the store anew with unique ids", path, id);
}

ActReader::ActReader(std::string const& path) : impl_(std::make_unique<Impl>()) {
  Impl& m = *impl_;
  auto const [file, dataset] = split_path(path);
  m.path = path;
  m.file = h5::File::open(file);
  m.ours = m.file.has_attribute("/", "striate_version") && m.file.is_dataset(identity_name);
  if (m.file.has_attribute("/", "complete") && m.file.attribute("/", "complete") == "0") {
    LedgerState const state = read_ledger(file);
    fail(Exit::data, "{}: is not complete ({} of {} batches); run `striate extract` with its config again to finish it",
         file, state.done, state.total);
  }
  m.find_layers(dataset);
  m.read_ids();
}

ActReader::~ActReader() = default;
ActReader::ActReader(ActReader&&) noexcept = default;

std::string const& ActReader::path() const { return impl_->path; }
std::size_t ActReader::rows() const { return impl_->n; }
bool ActReader::ours() const { return impl_->ours; }
std::vector<std::string> const& ActReader::ids() const { return impl_->ids; }
std::vector<ActLayer> const& ActReader::layers() const { return impl_->layers; }

std::size_t ActReader::Impl::index(std::string const& name) const {
  auto const at = std::ranges::find(layers, name, &ActLayer::name);
  if (at != layers.end()) return static_cast<std::size_t>(at - layers.begin());
  std::vector<std::string> known;
  std::string list;
  for (ActLayer const& l : layers) {
    known.push_back(l.name);
    if (known.size() <= 12) list += (list.empty() ? "" : ", ") + l.name;
  }
  if (known.size() > 12) list += ", …";
  std::string const near = nearest(name, known);
  fail(Exit::data, "{}: has no layer '{}'{} (it has {})", path, name, near.empty() ? "" : "; did you mean '" + near + "'?", list);
}

ActLayer const& ActReader::layer(std::string const& name) const { return impl_->layers[impl_->index(name)]; }

std::string ActReader::attribute(std::string const& name) const {
  return impl_->file.has_attribute("/", name) ? impl_->file.attribute("/", name) : "";
}
std::vector<std::string> ActReader::attribute_names() const { return impl_->file.attribute_names("/"); }

h5::Dataset const& ActReader::Impl::dataset(std::size_t layer) const {
  if (!data[layer].id() || data[layer].id() < 0) data[layer] = file.dataset(names[layer]);
  return data[layer];
}

/// Rows [row, row + rows) of units [first, first + count), row-major, as float.
void ActReader::Impl::read_block(std::size_t layer, std::size_t row, std::size_t rows, std::size_t first, std::size_t count,
                                 std::vector<float>& out, std::vector<std::uint16_t>& halves) const {
  h5::Dataset const& d = dataset(layer);
  bool const half = d.is_float16();
  out.resize(rows * count);
  if (half) halves.resize(rows * count);
  void* const target = half ? static_cast<void*>(halves.data()) : static_cast<void*>(out.data());
  hid_t const type = h5::type_id(half ? h5::Dtype::f16 : h5::Dtype::f32);
  std::size_t column = 0;
  each_box(layers[layer].shape, first, first + count, {}, [&](h5::Shape f, h5::Shape c, std::size_t units) {
    f.insert(f.begin(), row);
    c.insert(c.begin(), rows);
    d.read_columns(f, c, type, target, count, column);
    column += units;
  });
  if (half) from_half(halves.data(), halves.size(), out.data());
}

void ActReader::read(std::string const& layer, std::span<std::size_t const> rows, std::size_t first, std::size_t count,
                     MatrixView<float> out) const {
  Impl const& m = *impl_;
  std::size_t const l = m.index(layer);
  if (first + count > m.layers[l].units || out.rows < rows.size() || out.cols < count)
    fail(Exit::internal, "{}: {}: units {} to {} of {} asked for", m.path, layer, first, first + count, m.layers[l].units);
  if (rows.empty() || count == 0) return;
  std::vector<std::pair<std::size_t, std::size_t>> wanted(rows.size());  // row in the file, row in `out`
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= m.n) fail(Exit::internal, "{}: row {} of {} asked for", m.path, rows[i], m.n);
    wanted[i] = {rows[i], i};
  }
  std::ranges::sort(wanted);
  h5::Shape const chunk = m.dataset(l).chunk();
  std::size_t const chunk_rows = chunk.empty() ? 1 : chunk[0];
  std::size_t const block_rows = std::max<std::size_t>(1, block_bytes / (count * 4) / chunk_rows) * chunk_rows;
  std::vector<float> block;
  std::vector<std::uint16_t> halves;
  for (std::size_t i = 0; i < wanted.size();) {
    std::size_t const row = wanted[i].first, limit = (row / block_rows + 1) * block_rows;
    std::size_t end = i;
    while (end < wanted.size() && wanted[end].first < limit) ++end;
    m.read_block(l, row, wanted[end - 1].first - row + 1, first, count, block, halves);
    transpose(block.data(), count, std::span(wanted).subspan(i, end - i), row, out);
    i = end;
  }
}

void ActReader::read(std::string const& layer, std::size_t first, std::size_t count, MatrixView<float> out) const {
  std::vector<std::size_t> rows(impl_->n);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  read(layer, rows, first, count, out);
}

void ActReader::read_rows(std::string const& layer, std::size_t first, std::size_t count, float* out) const {
  std::size_t const l = impl_->index(layer);
  h5::Dataset const& d = impl_->dataset(l);
  h5::Shape from(d.shape().size(), 0), box = d.shape();
  from[0] = first, box[0] = count;
  if (!d.is_float16()) return d.read(from, box, h5::type_id(h5::Dtype::f32), out);
  std::vector<std::uint16_t> halves(count * impl_->layers[l].units);
  d.read(from, box, h5::type_id(h5::Dtype::f16), halves.data());
  from_half(halves.data(), halves.size(), out);
}

std::vector<std::size_t> ActReader::panels(std::string const& layer, std::size_t units) const {
  std::size_t const l = impl_->index(layer), all = impl_->layers[l].units;
  h5::Shape const& shape = impl_->layers[l].shape;
  h5::Shape const chunk = impl_->dataset(l).chunk();
  // Along the first axis of a stimulus chunks hold whole maps in our stores; elsewhere whole maps serve as well.
  std::size_t const map = shape.empty() || shape[0] == 0 ? 1 : all / shape[0];
  std::size_t step = map * (chunk.size() > 1 ? chunk[1] : 1);
  if (step == 0) return {0};
  if (chunk.empty() || step > 4 * std::max<std::size_t>(1, units)) step = std::max<std::size_t>(1, std::min(step, units));
  std::size_t const width = std::max<std::size_t>(1, units / step) * step;
  std::vector<std::size_t> bounds;
  for (std::size_t u = 0; u < all; u += width) bounds.push_back(u);
  bounds.push_back(all);
  return bounds;
}

std::vector<double> ActReader::Impl::side(std::string const& name, std::string const& layer) const {
  std::size_t const l = index(layer);
  if (!ours) return {};
  if (name.starts_with("unit")) {
    std::string const full = ".striate/" + name + "/" + names[l];
    return file.is_dataset(full) ? file.dataset(full).read<double>() : std::vector<double>{};
  }
  std::string const full = ".striate/" + name;
  if (!file.is_dataset(full)) return {};
  auto const order = file.attribute_strings("/", "layer_order");
  auto const at = static_cast<std::size_t>(std::ranges::find(order, names[l]) - order.begin());
  std::vector<double> values(n);
  file.dataset(full).read({at, 0}, {1, n}, h5::type_id(h5::Dtype::f64), values.data());
  return values;
}

std::vector<double> ActReader::row_sum(std::string const& layer) const { return impl_->side("row_sum", layer); }
std::vector<double> ActReader::row_sum_squares(std::string const& layer) const { return impl_->side("row_sum_squares", layer); }
std::vector<double> ActReader::unit_mean(std::string const& layer) const { return impl_->side("unit_mean", layer); }
std::vector<double> ActReader::unit_m2(std::string const& layer) const { return impl_->side("unit_m2", layer); }

std::vector<std::uint8_t> ActReader::skipped() const {
  bool const has = impl_->ours && impl_->file.is_dataset(".striate/skipped");
  return has ? impl_->file.dataset(".striate/skipped").read<std::uint8_t>() : std::vector<std::uint8_t>();
}

std::vector<std::string> ActReader::stimulus_sha256() const {
  bool const has = impl_->ours && impl_->file.is_dataset(".striate/stimulus_sha256");
  return has ? impl_->file.dataset(".striate/stimulus_sha256").read_strings() : std::vector<std::string>();
}

std::string ActReader::first_damage() const {
  Impl const& m = *impl_;
  if (!m.ours || !m.file.is_dataset(".striate/crc32c")) return "";
  h5::Dataset const sums = m.file.dataset(".striate/crc32c");
  auto const crc = sums.read<std::uint32_t>();
  std::size_t const batch = std::stoul(m.file.attribute(".striate", "batch")), in_order = sums.shape()[1];
  auto const order = m.file.attribute_strings("/", "layer_order");
  for (std::size_t i = 0; i < order.size() && i < in_order; ++i) {
    h5::Dataset const d = m.file.dataset(order[i]);
    hid_t const type = h5::type_id(d.is_float16() ? h5::Dtype::f16 : h5::Dtype::f32);
    for (std::size_t b = 0; b * batch < m.n; ++b) {
      h5::Shape first(d.shape().size(), 0), count = d.shape();
      first[0] = b * batch, count[0] = std::min(batch, m.n - first[0]);
      std::vector<std::byte> bytes(h5::volume(count) * (d.is_float16() ? 2 : 4));
      d.read(first, count, type, bytes.data());
      if (crc32c(bytes.data(), bytes.size()) != crc[b * in_order + i])
        return fmt::format("layer {}, rows {}-{}", order[i], first[0], first[0] + count[0] - 1);
    }
  }
  return "";
}

}  // namespace striate
