#include "striate/store/result.hpp"

#include <algorithm>

#include "striate/base/version.hpp"
#include "striate/par/together.hpp"
#include "working_file.hpp"

namespace striate {
namespace {

constexpr char const* complete_name = ".striate/complete";

std::string bare(std::string const& name) { return name.starts_with('/') ? name.substr(1) : name; }

/// Chunks as wide as a tile and at most about 1 MiB; none (contiguous) where the dataset is not tiled.
h5::Shape chunk_of(ResultDataset const& d) {
  if (d.tile == 0 || d.shape.empty() || h5::volume(d.shape) == 0) return {};
  h5::Shape chunk(d.shape.size(), 1);
  chunk.back() = std::min(d.tile, d.shape.back());
  std::size_t room = std::max<std::size_t>(1, (std::size_t{1} << 20) / (chunk.back() * h5::size_of(d.type)));
  for (std::size_t a = d.shape.size() - 1; a-- > 0;) {
    chunk[a] = std::min(d.shape[a], room);
    room = std::max<std::size_t>(1, room / chunk[a]);
  }
  return chunk;
}

}  // namespace

struct ResultFile::Impl {
  Comm comm;
  std::filesystem::path path;
  StoreState state = StoreState::created;
  std::vector<std::uint8_t> done;
  h5::File file;
  h5::Dataset ledger;
  mutable std::map<std::string, h5::Dataset> open;  ///< by bare name

  h5::Dataset& dataset(std::string const& name) const {
    std::string const key = bare(name);
    auto const at = open.find(key);
    if (at != open.end()) return at->second;
    if (!file.is_dataset(key)) fail(Exit::internal, "{}: dataset '{}' was not declared", path.string(), name);
    return open.emplace(key, file.dataset(key)).first->second;
  }
};

ResultFile::ResultFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ResultFile::~ResultFile() = default;

std::unique_ptr<ResultFile> ResultFile::open(Comm const& comm, std::filesystem::path const& path, ResultSpec const& spec,
                                             bool fresh) {
  auto impl = std::make_unique<Impl>();
  impl->comm = comm, impl->path = path;
  impl->state = find_or_make(comm, path, spec.identity, fresh, [&](h5::File& f) {
    std::vector<std::uint8_t> const zeros(spec.tiles, 0);
    h5::Dataset flags = f.create_dataset(done_name, h5::Dtype::u8, {spec.tiles});
    h5::Dataset complete = f.create_dataset(complete_name, h5::Dtype::u8, {});
    if (comm.root()) flags.write(std::span(zeros)), complete.write(std::span<std::uint8_t const>(std::vector<std::uint8_t>{0}));
    for (ResultDataset const& d : spec.datasets) f.create_dataset(bare(d.name), d.type, d.shape, {.chunk = chunk_of(d)});
    for (auto const& [name, texts] : spec.texts) f.write_strings(bare(name), texts);
    f.set_attribute("/", "striate_version", std::string(version()));
    for (auto const& [name, text] : spec.attributes) f.set_attribute("/", name, text);
  });
  impl->done = shared_ledger(comm, path);
  if (impl->done.size() != spec.tiles)
    fail(Exit::cant_create, "{}: holds {} tiles, {} are expected; use --fresh to discard it", path.string(),
         impl->done.size(), spec.tiles);
  if (impl->state == StoreState::complete) {
    impl->file = h5::File::open(path);
  } else {
    impl->file = h5::File::open_for_writing(comm, path);
    together(comm, [&] {
      impl->ledger = impl->file.dataset(done_name);
      for (ResultDataset const& d : spec.datasets) {  // opened by all, so that later calls need not be collective
        if (impl->dataset(d.name).shape() != d.shape)
          fail(Exit::cant_create, "{}: '{}' is {} there but {} now; use --fresh to discard it", path.string(), d.name,
               h5::text_of(impl->dataset(d.name).shape()), h5::text_of(d.shape));
      }
    });
  }
  return std::unique_ptr<ResultFile>(new ResultFile(std::move(impl)));
}

StoreState ResultFile::state() const { return impl_->state; }
std::vector<std::uint8_t> const& ResultFile::done() const { return impl_->done; }
std::vector<std::size_t> ResultFile::shape(std::string const& name) const { return impl_->dataset(name).shape(); }
std::size_t ResultFile::volume_of(std::string const& name) const { return h5::volume(shape(name)); }

void ResultFile::write_box(std::string const& name, std::size_t row, std::size_t rows, std::size_t first,
                           std::size_t columns, h5::Dtype type, void const* values) {
  h5::Dataset& d = impl_->dataset(name);
  h5::Shape const& shape = d.shape();
  bool const fits = shape.size() == 1 ? row == 0 && rows == 1 && first + columns <= shape[0]
                                      : shape.size() == 2 && row + rows <= shape[0] && first + columns <= shape[1];
  if (!fits)
    fail(Exit::internal, "{}: {}: rows {}+{}, columns {}+{} do not fit {}", impl_->path.string(), name, row, rows, first,
         columns, h5::text_of(shape));
  if (shape.size() == 1)
    d.write({first}, {columns}, h5::type_id(type), values);
  else
    d.write({row, first}, {rows, columns}, h5::type_id(type), values);
}

void ResultFile::write_whole(std::string const& name, std::size_t count, h5::Dtype type, void const* values) {
  h5::Dataset& d = impl_->dataset(name);
  if (count != h5::volume(d.shape()))
    fail(Exit::internal, "{}: {}: {} values for {}", impl_->path.string(), name, count, h5::text_of(d.shape()));
  d.write(h5::Shape(d.shape().size(), 0), d.shape(), h5::type_id(type), values);
}

void ResultFile::read_whole(std::string const& name, h5::Dtype type, void* out) const {
  h5::Dataset const& d = impl_->dataset(name);
  d.read(h5::Shape(d.shape().size(), 0), d.shape(), h5::type_id(type), out);
}

void ResultFile::read_part(std::string const& name, std::size_t first, std::size_t count, h5::Dtype type,
                           void* out) const {
  h5::Dataset const& d = impl_->dataset(name);
  if (d.shape().size() != 1 || first + count > d.shape()[0])
    fail(Exit::internal, "{}: {}: {}+{} do not fit {}", impl_->path.string(), name, first, count, h5::text_of(d.shape()));
  if (count > 0) d.read({first}, {count}, h5::type_id(type), out);
}

void ResultFile::flush() { together(impl_->comm, [&] { impl_->file.flush(); }); }

void ResultFile::mark(std::span<std::size_t const> tiles, std::size_t base) {
  std::vector<std::size_t> flags(tiles.begin(), tiles.end());
  for (std::size_t& flag : flags) flag += base;
  set_flags(impl_->ledger, flags);
}

void ResultFile::finish(std::function<void(ResultFile&)> const& derive) {
  Impl& m = *impl_;
  if (m.state == StoreState::complete) return;
  flush();
  m.open.clear();
  m.ledger = {};
  together(m.comm, [&] { m.file.close(); });
  // Rank 0 alone from here on: the structure is fixed, so a kill leaves an unfinished but sound file.
  together(m.comm, [&] {
    if (!m.comm.root()) return;
    m.file = h5::File::open_for_writing(Comm(), m.path);
    derive(*this);
    m.open.clear();
    m.file.flush();  // the mark comes after the data
    std::uint8_t const one = 1;
    m.file.dataset(complete_name).write({}, {}, h5::type_id(h5::Dtype::u8), &one);
    m.file.close();
  });
  m.state = StoreState::complete;
}

}  // namespace striate
