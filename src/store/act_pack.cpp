#include "striate/store/act_pack.hpp"

#include <fcntl.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "striate/base/fsio.hpp"
#include "striate/par/together.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

/// Attributes are few and small: copied as bytes of their own type.
void copy_attributes(hid_t from, hid_t to, fs::path const& file) {
  H5O_info_t info = {};
  H5Oget_info(from, &info);
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    h5::Id const a(H5Aopen_by_idx(from, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    h5::Id const type(H5Aget_type(a.get()), H5Tclose), space(H5Aget_space(a.get()), H5Sclose);
    std::string name(static_cast<std::size_t>(std::max<ssize_t>(0, H5Aget_name(a.get(), 0, nullptr))) + 1, '\0');
    H5Aget_name(a.get(), name.size(), name.data());
    std::vector<char> bytes(H5Tget_size(type.get()) *
                            static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get())));
    h5::Id const made(H5Acreate2(to, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    if (H5Aread(a.get(), type.get(), bytes.data()) < 0 || H5Awrite(made.get(), type.get(), bytes.data()) < 0)
      h5::raise(Exit::io, file, name.c_str(), "cannot be copied");
  }
}

/// As HDF5's shuffle filter: the first bytes of all values, then the second ones …
void shuffle(std::byte const* in, std::size_t values, std::size_t size, std::byte* out) {
  for (std::size_t j = 0; j < size; ++j)
    for (std::size_t i = 0; i < values; ++i) out[j * values + i] = in[i * size + j];
}

struct Chunk {
  h5::Shape first;
  std::vector<std::byte> raw, packed;
};

void compress(Chunk& chunk, std::size_t element, int level) {
  std::vector<std::byte> shuffled(chunk.raw.size());
  shuffle(chunk.raw.data(), chunk.raw.size() / element, element, shuffled.data());
  uLongf size = compressBound(static_cast<uLong>(shuffled.size()));
  chunk.packed.resize(size);
  if (compress2(reinterpret_cast<Bytef*>(chunk.packed.data()), &size, reinterpret_cast<Bytef const*>(shuffled.data()),
                static_cast<uLong>(shuffled.size()), level) != Z_OK)
    fail(Exit::internal, "zlib cannot compress a chunk of {} bytes", shuffled.size());
  chunk.packed.resize(size);
}

/// A chunk is whole in the file, whatever of it lies within the dataset.
void read_whole(h5::Dataset const& from, h5::Dtype type, h5::Shape const& shape, Chunk& chunk) {
  h5::Shape count = shape;
  bool cut = false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    count[i] = std::min(shape[i], from.shape()[i] - chunk.first[i]);
    cut = cut || count[i] < shape[i];
  }
  std::size_t const element = h5::size_of(type);
  chunk.raw.assign(h5::volume(shape) * element, std::byte{0});
  if (!cut) return from.read(chunk.first, count, h5::type_id(type), chunk.raw.data());
  // Rows and channels may be fewer; all behind them is whole.
  std::vector<std::byte> part(h5::volume(count) * element);
  from.read(chunk.first, count, h5::type_id(type), part.data());
  std::size_t const rows = count[0], used = part.size() / rows, whole = chunk.raw.size() / shape[0];
  for (std::size_t r = 0; r < rows; ++r)
    std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(r * used), used,
                chunk.raw.begin() + static_cast<std::ptrdiff_t>(r * whole));
}

class Packer {
 public:
  Packer(fs::path const& in, fs::path const& draft, int level, int threads)
      : from_(h5::File::open(in)),
        to_(h5::File::create(Comm(), draft)),
        draft_(draft),
        level_(level),
        arena_(std::max(1, threads)),
        at_once_(4 * static_cast<std::size_t>(std::max(1, threads))) {}

  /// False where it was stopped.
  bool run(std::vector<ActLayer> const& layers, StopFlag const& stop) {
    for (auto const& layer : layers)
      if (!pack(layer.name, layer.dtype, stop)) return false;
    for (auto const& name : from_.names())
      if (std::ranges::none_of(layers, [&](auto const& l) { return l.name == name; }) &&
          H5Ocopy(from_.id(), name.c_str(), to_.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
        h5::raise(Exit::io, draft_, name, "cannot be copied");
    copy_attributes(from_.id(), to_.id(), draft_);
    to_.close();
    return !stop.requested();
  }

 private:
  bool pack(std::string const& name, std::string const& dtype, StopFlag const& stop) {
    h5::Dataset const from = from_.dataset(name);
    h5::Dtype const type = h5::dtype_of_name(dtype);
    h5::Shape shape = from.chunk();
    if (shape.empty()) {  // a layer that was not written in chunks
      shape = from.shape();
      shape[0] = std::clamp<std::size_t>(
          (std::size_t{1} << 20) / std::max<std::size_t>(1, h5::volume(shape) / shape[0] * h5::size_of(type)), 1,
          shape[0]);
    }
    h5::Dataset to = to_.create_dataset(name, type, from.shape(), {.chunk = shape, .gzip = level_});
    copy_attributes(from.id(), to.id(), draft_);
    std::vector<Chunk> some;
    h5::Shape place(shape.size(), 0);
    while (place[0] < from.shape()[0]) {
      some.push_back({place, {}, {}});
      for (std::size_t axis = place.size(); axis-- > 0;) {
        if ((place[axis] += shape[axis]) < from.shape()[axis] || axis == 0) break;
        place[axis] = 0;
      }
      if (some.size() < at_once_ && place[0] < from.shape()[0]) continue;
      if (stop.requested()) return false;
      for (auto& chunk : some) read_whole(from, type, shape, chunk);
      arena_.execute([&] {
        tbb::parallel_for(std::size_t{0}, some.size(),
                          [&](std::size_t i) { compress(some[i], h5::size_of(type), level_); });
      });
      for (auto& chunk : some) to.write_filtered_chunk(chunk.first, chunk.packed.data(), chunk.packed.size());
      some.clear();
    }
    return true;
  }

  h5::File from_, to_;
  fs::path draft_;
  int level_;
  tbb::task_arena arena_;
  std::size_t at_once_;
};

fs::path draft_of(fs::path const& out) { return out.parent_path() / ("." + out.filename().string() + ".packing"); }

PackedSize pack_alone(fs::path const& in, fs::path const& out, int level, int threads, StopFlag const& stop) {
  fs::path const parent = out.parent_path(), draft = draft_of(out);
  PackedSize size{fs::file_size(in), 0};
  try {
    std::vector<ActLayer> const layers = ActReader(in.string()).layers();
    if (!Packer(in, draft, level, threads).run(layers, stop)) {
      ::unlink(draft.c_str());
      return size;
    }
    if (std::string const damage = ActReader(draft.string()).first_damage(); !damage.empty())
      fail(Exit::data,
           "{}: {} do not have their checksum once packed (is {} damaged? striate info --compare shows); it is "
           "left as it was",
           out.string(), damage, in.string());
    size.after = fs::file_size(draft);
    if (::rename(draft.c_str(), out.c_str()) != 0)
      fail(Exit::cant_create, "{}: cannot be replaced ({})", out.string(), std::strerror(errno));
  } catch (...) {
    ::unlink(draft.c_str());
    throw;
  }
  sync_folder(parent);
  return size;
}

}  // namespace

bool is_packed(fs::path const& store) {
  h5::File const file = h5::File::open(store);
  auto const layers = ActReader(store.string()).layers();
  return std::ranges::all_of(layers, [&](auto const& layer) { return file.dataset(layer.name).filtered(); });
}

void remove_pack_draft(fs::path const& out) { ::unlink(draft_of(out).c_str()); }

PackedSize pack_store(Comm const& comm, fs::path const& in, fs::path const& out, int level, int threads,
                      StopFlag const& stop) {
  PackedSize size;
  together(comm, [&] {
    if (comm.root()) size = pack_alone(in, out, level, threads, stop);
  });
  comm.broadcast(size.before, 0);
  comm.broadcast(size.after, 0);
  return size;
}

}  // namespace striate
