#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include "act_encode.hpp"
#include "act_layout.hpp"
#include "act_report.hpp"
#include "direct_file.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/version.hpp"
#include "striate/par/together.hpp"
#include "striate/store/half.hpp"
#include "working_file.hpp"

namespace striate {
namespace {

/// From this batch size on, the moments of every batch are kept (8 / batch of the store's size in float32), so that
/// the closing step need not read the activations again. The values are the same either way.
constexpr std::size_t keep_moments_from = 16;

std::string mean_name(std::string const& layer) { return ".striate/unit_mean/" + layer; }
std::string m2_name(std::string const& layer) { return ".striate/unit_m2/" + layer; }
std::string batch_mean_name(std::string const& layer) { return ".striate/batch_mean/" + layer; }
std::string batch_m2_name(std::string const& layer) { return ".striate/batch_m2/" + layer; }

void check(ActSpec const& spec, std::filesystem::path const& path) {
  if (spec.stimulus_ids.empty()) fail(Exit::data, "{}: there are no stimuli to store", path.string());
  if (spec.layers.empty()) fail(Exit::config, "{}: there are no layers to store", path.string());
  if (spec.batch == 0) fail(Exit::config, "{}: a batch of 0 stimuli", path.string());
  std::set<std::string> ids, layers;
  for (std::string const& id : spec.stimulus_ids)
    if (!ids.insert(id).second) fail(Exit::data, "{}: stimulus id '{}' stands twice; ids of a store are unique", path.string(), id);
  for (LayerSpec const& l : spec.layers) {
    if (l.name.empty() || l.name == "." || l.name == ".striate" || l.name.find('/') != std::string::npos)
      fail(Exit::config, "{}: a layer cannot be called '{}' (it names a dataset); give it another name in the card", path.string(), l.name);
    if (!layers.insert(l.name).second) fail(Exit::config, "{}: layer '{}' is asked for twice", path.string(), l.name);
    if (h5::volume(l.shape) == 0) fail(Exit::data, "{}: layer '{}' has no units", path.string(), l.name);
    if (l.dtype != h5::Dtype::f32 && l.dtype != h5::Dtype::f16)
      fail(Exit::config, "{}: layer '{}': activations are kept as float32 or float16", path.string(), l.name);
  }
}

std::vector<std::uint8_t> valid_rows(std::vector<double> const& sums) {
  std::vector<std::uint8_t> valid;
  for (double s : sums) valid.push_back(!std::isnan(s));
  return valid;
}

/// Tells the kernel now and then to begin writing to disk, so that a flush finds little left to do. A hint: where it is
/// not heard, flush does all.
class Writeback {
 public:
  ~Writeback() {
    if (file_ >= 0) ::close(file_);
  }
  void wrote(std::filesystem::path const& path, std::size_t bytes) {
    constexpr std::size_t step = std::size_t{32} << 20;
    if ((waiting_ += bytes) < step) return;
    waiting_ = 0;
    if (file_ < 0) file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
#ifdef SYNC_FILE_RANGE_WRITE
    if (file_ >= 0) (void)::sync_file_range(file_, 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
  }

 private:
  int file_ = -1;
  std::size_t waiting_ = 0;
};

}  // namespace

struct ActWriter::Impl {
  Comm comm;
  std::filesystem::path path;
  ActSpec spec;
  StoreState state = StoreState::created;
  std::vector<std::uint8_t> done;
  std::vector<ActLayout> layouts;
  h5::File file;
  // Opened once; empty where the store is complete.
  std::vector<h5::Dataset> layers, batch_mean, batch_m2, unit_mean, unit_m2;
  ActReport report;
  h5::Dataset ledger, crc, row_sum, row_squares, skipped;
  DirectFile direct;  ///< open where values go past the page cache
  std::vector<std::optional<std::uint64_t>> dense;  ///< by layer: address of the first chunk, where they lie in a row
  std::vector<std::uint8_t> checked;  ///< (layers): a batch of this rank was read back
  Writeback writeback;
  std::mutex lock;
  std::vector<std::vector<ActBytes>> spare;  ///< by layer: memory of blocks that were written

  [[nodiscard]] std::size_t n() const { return spec.stimulus_ids.size(); }
  [[nodiscard]] std::size_t batches() const { return (n() + spec.batch - 1) / spec.batch; }
  [[nodiscard]] std::size_t first_row(std::size_t b) const { return b * spec.batch; }
  [[nodiscard]] std::size_t rows(std::size_t b) const { return std::min(spec.batch, n() - first_row(b)); }
  [[nodiscard]] bool keeps_moments() const { return spec.batch >= keep_moments_from; }

  void build(h5::File& f) const;
  void open_datasets();
  void open_direct();
  /// Of the first byte of a batch in the file, where direct writing has a use for it.
  [[nodiscard]] std::optional<std::uint64_t> address(std::size_t layer, std::size_t batch) const {
    if (dense.empty() || !dense[layer]) return std::nullopt;
    ActLayout const& l = layouts[layer];
    return *dense[layer] + first_row(batch) / l.chunk_rows * l.pieces() * l.chunk_bytes();
  }
  void write_values(ActBlock const& block);
  ActBytes bytes_for(std::size_t layer, std::size_t size);
  std::vector<std::byte> read_batch(std::size_t layer, std::size_t batch) const;
  bool verify(std::size_t layer, std::size_t batch) const;
  void panel_moments(std::size_t layer, std::size_t first, std::size_t count, std::vector<double> const& sums);
  void moments();
};

/// Everything that will ever be in the file, and zeros in the ledger. Collective.
void ActWriter::Impl::build(h5::File& f) const {
  std::vector<std::string> order;
  for (LayerSpec const& l : spec.layers) order.push_back(l.name);
  f.write_strings(".striate/stimulus_id", spec.stimulus_ids);
  if (!spec.stimulus_sha256.empty()) f.write_strings(".striate/stimulus_sha256", spec.stimulus_sha256);
  if (spec.may_skip) {
    h5::Dataset skipped = f.create_dataset(".striate/skipped", h5::Dtype::u8, {n()});
    if (comm.root()) skipped.write(std::span<std::uint8_t const>(std::vector<std::uint8_t>(n(), 0)));
    f.set_attribute(".striate/skipped", "values", std::string("0 no, 1 missing, 2 damaged"));
  }
  h5::Dataset flags = f.create_dataset(done_name, h5::Dtype::u8, {batches()});
  if (comm.root()) flags.write(std::span<std::uint8_t const>(std::vector<std::uint8_t>(batches(), 0)));
  f.create_dataset(".striate/crc32c", h5::Dtype::u32, {batches(), order.size()});
  f.create_dataset(".striate/row_sum", h5::Dtype::f64, {order.size(), n()});
  f.create_dataset(".striate/row_sum_squares", h5::Dtype::f64, {order.size(), n()});
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    LayerSpec const& l = spec.layers[i];
    h5::Shape shape{n()};
    shape.insert(shape.end(), l.shape.begin(), l.shape.end());
    f.create_dataset(l.name, l.dtype, shape, {.chunk = layouts[i].chunk(l.shape), .dense = true});
    if (!l.axes.empty()) f.set_attribute(l.name, "axes", l.axes);
    for (auto const& [name, text] : l.record.attributes) f.set_attribute(l.name, name, text);
    for (auto const& [axis, indices] : l.record.selected) {
      h5::Dataset kept = f.create_dataset(".striate/selection/" + l.name + "/" + axis, h5::Dtype::u64, {indices.size()});
      if (comm.root()) kept.write(std::span<std::uint64_t const>(indices));
    }
    f.create_dataset(mean_name(l.name), h5::Dtype::f64, {layouts[i].units});
    f.create_dataset(m2_name(l.name), h5::Dtype::f64, {layouts[i].units});
    if (!keeps_moments()) continue;
    f.create_dataset(batch_mean_name(l.name), h5::Dtype::f32, {batches(), layouts[i].units});
    f.create_dataset(batch_m2_name(l.name), h5::Dtype::f32, {batches(), layouts[i].units});
  }
  ActReport::create(f, spec, batches(), keeps_moments());
  f.set_attribute(".striate", "batch", static_cast<std::int64_t>(spec.batch));
  f.set_attribute("/", "striate_version", std::string(version()));
  f.set_attribute("/", "layer_order", order);
  for (auto const& [name, text] : spec.attributes) f.set_attribute("/", name, text);
  f.set_attribute("/", "complete", std::int64_t{0});
}

void ActWriter::Impl::open_datasets() {
  file = h5::File::open_for_writing(comm, path);
  together(comm, [&] {
    ledger = file.dataset(done_name);
    crc = file.dataset(".striate/crc32c");
    row_sum = file.dataset(".striate/row_sum");
    row_squares = file.dataset(".striate/row_sum_squares");
    report.open(file, spec, keeps_moments());
    if (file.is_dataset(".striate/skipped")) skipped = file.dataset(".striate/skipped");
    for (std::size_t i = 0; i < spec.layers.size(); ++i) {
      LayerSpec const& l = spec.layers[i];
      layers.push_back(file.dataset(l.name));
      h5::Shape shape{n()};
      shape.insert(shape.end(), l.shape.begin(), l.shape.end());
      if (layers.back().shape() != shape || layers.back().is_float16() != (l.dtype == h5::Dtype::f16))
        fail(Exit::cant_create, "{}: layer '{}' is {} {} there but {} {} now; use --fresh to discard it", path.string(),
             l.name, layers.back().type_name(), h5::text_of(layers.back().shape()), h5::name_of(l.dtype), h5::text_of(shape));
      unit_mean.push_back(file.dataset(mean_name(l.name)));
      unit_m2.push_back(file.dataset(m2_name(l.name)));
      if (!keeps_moments()) continue;
      batch_mean.push_back(file.dataset(batch_mean_name(l.name)));
      batch_m2.push_back(file.dataset(batch_m2_name(l.name)));
    }
    if (done.size() != batches())
      fail(Exit::cant_create, "{}: holds {} batches, {} are expected; use --fresh to discard it", path.string(), done.size(), batches());
  });
  checked.assign(spec.layers.size(), 0);
  open_direct();
}

/// Each rank its own: what a rank cannot write past the cache goes through it, to the same places.
void ActWriter::Impl::open_direct() {
  if (spec.io == ActIo::cached) return;
  if (spec.io == ActIo::automatic && comm.min(std::int64_t{DirectFile::suits(path)}) == 0) return;  // all or none
  bool const open = direct.open(path);
  together(comm, [&] {
    if (!open && spec.io == ActIo::direct)
      fail(Exit::cant_create, "{}: this file system has no direct writing; use io: auto", path.string());
  });
  if (!open) return;
  for (std::size_t i = 0; i < layers.size(); ++i)  // a file of an older version has other chunks, or an index
    dense.push_back(layers[i].chunk() == layouts[i].chunk(spec.layers[i].shape) ? layers[i].dense_address() : std::nullopt);
}

ActBytes ActWriter::Impl::bytes_for(std::size_t layer, std::size_t size) {
  std::lock_guard const held(lock);
  auto& kept = spare[layer];
  if (kept.empty() || kept.back().size() < size) return ActBytes(size);
  ActBytes bytes = std::move(kept.back());
  kept.pop_back();
  return bytes;
}

void ActWriter::recycle(ActBlock&& block) {
  std::lock_guard const held(impl_->lock);
  impl_->spare.at(block.layer).push_back(std::move(block.bytes));
}

ActWriter::ActWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ActWriter::~ActWriter() = default;

std::unique_ptr<ActWriter> ActWriter::open(Comm const& comm, std::filesystem::path const& path, ActSpec const& spec,
                                           bool fresh) {
  check(spec, path);
  auto impl = std::make_unique<Impl>();
  impl->comm = comm, impl->path = path, impl->spec = spec;
  for (LayerSpec const& l : spec.layers) impl->layouts.push_back(layout_of(l, spec.stimulus_ids.size(), spec.batch));
  impl->state = find_or_make(comm, path, spec.identity, fresh, [&](h5::File& f) { impl->build(f); });
  impl->done = shared_ledger(comm, path);
  impl->spare.resize(spec.layers.size());
  if (impl->state != StoreState::complete) impl->open_datasets();
  return std::unique_ptr<ActWriter>(new ActWriter(std::move(impl)));
}

StoreState ActWriter::state() const { return impl_->state; }
std::size_t ActWriter::batches() const { return impl_->batches(); }
std::size_t ActWriter::first_row(std::size_t batch) const { return impl_->first_row(batch); }
std::size_t ActWriter::rows(std::size_t batch) const { return impl_->rows(batch); }
std::vector<std::uint8_t> const& ActWriter::done() const { return impl_->done; }

ActBlock ActWriter::encode(std::size_t layer, std::size_t batch, float const* values) const {
  ActLayout const& l = impl_->layouts.at(layer);
  std::size_t const rows = impl_->rows(batch);
  ActBlock block;
  block.layer = layer, block.batch = batch;
  LayerSpec const& spec = impl_->spec.layers[layer];
  BlockReporter reporter(channel_layout(spec.shape, spec.axes), rows);
  block.begin = impl_->address(layer, batch).value_or(0) % DirectFile::page;
  block.bytes = impl_->bytes_for(layer, block.begin + l.block_bytes(rows));
  encode_batch(l, rows, values, impl_->keeps_moments(), block.bytes.data() + block.begin, block, reporter);
  block.report = reporter.take();
  return block;
}

void ActWriter::Impl::write_values(ActBlock const& block) {
  ActLayout const& l = layouts[block.layer];
  std::size_t const n_rows = rows(block.batch);
  std::byte const* in = block.bytes.data() + block.begin;
  if (auto const at = address(block.layer, block.batch); at && direct.is_open())
    return direct.write(*at, in, l.block_bytes(n_rows));
  LayerSpec const& layer = spec.layers[block.layer];
  h5::Shape const chunk = l.chunk(layer.shape);
  l.each_chunk(n_rows, [&](std::size_t r, std::size_t nr, std::size_t c, std::size_t nc) {
    h5::Shape first(chunk.size(), 0), count = chunk;
    first[0] = first_row(block.batch) + r, count[0] = nr;
    if (count.size() > 1) first[1] = c, count[1] = nc;
    layers[block.layer].write_corner(first, count, chunk, h5::type_id(layer.dtype), in);
    in += l.chunk_bytes();
  });
  writeback.wrote(path, l.block_bytes(n_rows));
}

void ActWriter::write_batch(ActBlock const& block) {
  Impl& m = *impl_;
  ActLayout const& l = m.layouts.at(block.layer);
  std::size_t const rows = m.rows(block.batch), row0 = m.first_row(block.batch);
  m.write_values(block);
  m.crc.write({block.batch, block.layer}, {1, 1}, h5::type_id(h5::Dtype::u32), &block.crc);
  hid_t const f64 = h5::type_id(h5::Dtype::f64), f32 = h5::type_id(h5::Dtype::f32);
  m.row_sum.write({block.layer, row0}, {1, rows}, f64, block.row_sum.data());
  m.row_squares.write({block.layer, row0}, {1, rows}, f64, block.row_sum_squares.data());
  if (m.keeps_moments()) {
    m.batch_mean[block.layer].write({block.batch, 0}, {1, l.units}, f32, block.mean.data());
    m.batch_m2[block.layer].write({block.batch, 0}, {1, l.units}, f32, block.m2.data());
  }
  m.report.write(block, row0, rows);
  if (!m.checked[block.layer]) {  // MPI-IO components with corrupting bugs are in the field
    m.checked[block.layer] = 1;
    if (!m.verify(block.layer, block.batch))
      fail(Exit::io, "{}: {}: what was written reads back different; this MPI-IO ({}) is unsound here, try OMPI_MCA_io=romio321 "
           "or another file system", m.path.string(), m.spec.layers[block.layer].name, m.comm.size() > 1 ? "parallel" : "serial");
  }
}

void ActWriter::write_skipped(std::size_t row, Skipped why) {
  auto const code = static_cast<std::uint8_t>(why);
  if (!impl_->skipped.shape().empty()) impl_->skipped.write({row}, {1}, h5::type_id(h5::Dtype::u8), &code);
}

std::size_t ActWriter::write_batch(std::size_t layer, std::size_t batch, float const* values) {
  ActBlock const block = encode(layer, batch, values);
  write_batch(block);
  return block.overflow;
}

std::vector<std::byte> ActWriter::Impl::read_batch(std::size_t layer, std::size_t batch) const {
  h5::Shape first(spec.layers[layer].shape.size() + 1, 0), count{rows(batch)};
  count.insert(count.end(), spec.layers[layer].shape.begin(), spec.layers[layer].shape.end());
  first[0] = first_row(batch);
  std::vector<std::byte> bytes(h5::volume(count) * layouts[layer].element);
  layers[layer].read(first, count, h5::type_id(spec.layers[layer].dtype), bytes.data());
  return bytes;
}

bool ActWriter::Impl::verify(std::size_t layer, std::size_t batch) const {
  std::uint32_t stored = 0;
  crc.read({batch, layer}, {1, 1}, h5::type_id(h5::Dtype::u32), &stored);
  std::vector<std::byte> const bytes = read_batch(layer, batch);
  return crc32c(bytes.data(), bytes.size()) == stored;
}

bool ActWriter::verify_batch(std::size_t layer, std::size_t batch) const { return impl_->verify(layer, batch); }

void ActWriter::flush() { together(impl_->comm, [&] { impl_->file.flush(); }); }

void ActWriter::mark(std::span<std::size_t const> batches) { set_flags(impl_->ledger, batches); }

/// Merges the moments of units [first, first + count) over the batches, in their order.
void ActWriter::Impl::panel_moments(std::size_t layer, std::size_t first, std::size_t count,
                                    std::vector<double> const& sums) {
  std::vector<double> mean(count, 0), m2(count, 0);
  std::vector<float> bm(count), bs(count), values;
  std::vector<std::uint8_t> above(count, 0), of_this(count);
  double total = 0;
  for (std::size_t b = 0; b < batches(); ++b) {
    std::vector<double> const of_batch(sums.begin() + static_cast<std::ptrdiff_t>(first_row(b)),
                                       sums.begin() + static_cast<std::ptrdiff_t>(first_row(b) + rows(b)));
    auto const valid = valid_rows(of_batch);
    auto const rows_here = static_cast<double>(std::ranges::count(valid, 1));
    if (keeps_moments()) {
      batch_mean[layer].read({b, first}, {1, count}, h5::type_id(h5::Dtype::f32), bm.data());
      batch_m2[layer].read({b, first}, {1, count}, h5::type_id(h5::Dtype::f32), bs.data());
      report.join_above(layer, b, first, above);
    } else {  // small batches: panels of whole layers (see moments)
      std::vector<std::byte> const bytes = read_batch(layer, b);
      values.resize(rows(b) * count);
      if (layouts[layer].element == 2)
        from_half(reinterpret_cast<std::uint16_t const*>(bytes.data()), values.size(), values.data());
      else
        std::memcpy(values.data(), bytes.data(), bytes.size());
      column_moments(values.data(), rows(b), count, count, valid, bm.data(), bs.data(), of_this.data());
      for (std::size_t u = 0; u < count; ++u) above[u] |= of_this[u];
    }
    merge_moments(total, rows_here, bm.data(), bs.data(), count, mean.data(), m2.data());
    total += rows_here;
  }
  if (total == 0) std::ranges::fill(mean, std::nan("")), std::ranges::fill(m2, std::nan(""));
  unit_mean[layer].write({first}, {count}, h5::type_id(h5::Dtype::f64), mean.data());
  unit_m2[layer].write({first}, {count}, h5::type_id(h5::Dtype::f64), m2.data());
  report.write_above(layer, first, above);
}

void ActWriter::Impl::moments() {
  constexpr std::size_t panel = 1 << 16;
  std::size_t turn = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::size_t const width = keeps_moments() ? panel : layouts[i].units;
    std::vector<double> sums;
    for (std::size_t first = 0; first < layouts[i].units; first += width) {
      if (turn++ % static_cast<std::size_t>(comm.size()) != static_cast<std::size_t>(comm.rank())) continue;
      if (sums.empty()) {
        sums.resize(n());
        row_sum.read({i, 0}, {1, n()}, h5::type_id(h5::Dtype::f64), sums.data());
      }
      panel_moments(i, first, std::min(width, layouts[i].units - first), sums);
    }
  }
}

void ActWriter::finish(std::map<std::string, std::string> const& late) {
  Impl& m = *impl_;
  if (m.state == StoreState::complete) return;
  flush();  // every rank's values and flags are there for the others to read
  together(m.comm, [&] {
    if (!m.comm.root()) return;
    auto const done = m.ledger.read<std::uint8_t>();
    if (auto const gap = std::ranges::find(done, 0); gap != done.end())
      fail(Exit::internal, "{}: finish was called but batch {} is not done", m.path.string(), gap - done.begin());
  });
  together(m.comm, [&] { m.moments(); }, 60);
  flush();
  for (auto* group : {&m.layers, &m.batch_mean, &m.batch_m2, &m.unit_mean, &m.unit_m2}) group->clear();
  m.ledger = {}, m.crc = {}, m.row_sum = {}, m.row_squares = {}, m.skipped = {}, m.report = {};
  together(m.comm, [&] { m.file.close(); });
  together(m.comm, [&] {
    if (!m.comm.root()) return;
    h5::File file = h5::File::open_for_writing(Comm(), m.path);
    for (auto const& [name, text] : late) file.set_attribute("/", name, text);
    file.set_attribute("/", "complete", std::int64_t{1});
    file.close();
  });
  m.state = StoreState::complete;
}

}  // namespace striate
