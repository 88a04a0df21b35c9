#include "h5_chunks.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "striate/base/error.hpp"

namespace striate::h5 {
namespace {

constexpr std::size_t kept_bytes = std::size_t{64} << 20;

std::vector<int> filters_of(hid_t list) {
  std::vector<int> filters;
  for (int i = 0; i < H5Pget_nfilters(list); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t values = 0;
    filters.push_back(H5Pget_filter2(list, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config));
  }
  return filters;
}

void unshuffle(std::vector<std::byte>& bytes, std::size_t element) {
  std::size_t const count = bytes.size() / element;
  std::vector<std::byte> out(bytes);
  for (std::size_t b = 0; b < element; ++b)
    for (std::size_t i = 0; i < count; ++i) out[i * element + b] = bytes[b * count + i];
  bytes = std::move(out);
}

}  // namespace

bool Pieces::can_read(Dataset const& data) {
  Id const list(H5Dget_create_plist(data.id()), H5Pclose);
  H5D_layout_t const layout = H5Pget_layout(list.get());
  if (layout == H5D_CONTIGUOUS) return H5Pget_external_count(list.get()) == 0;
  if (layout != H5D_CHUNKED) return false;
  auto const filters = filters_of(list.get());
  return std::ranges::all_of(
      filters, [](int f) { return f == H5Z_FILTER_DEFLATE || f == H5Z_FILTER_SHUFFLE || f == H5Z_FILTER_FLETCHER32; });
}

Pieces::Pieces(std::filesystem::path const& file, Dataset const& data) : path_(file), shape_(data.shape()) {
  Id const type(H5Dget_type(data.id()), H5Tclose), list(H5Dget_create_plist(data.id()), H5Pclose);
  element_ = H5Tget_size(type.get());
  row_bytes_ = element_ * volume(shape_) / shape_[0];
  fill_.resize(element_);
  if (H5Pget_fill_value(list.get(), type.get(), fill_.data()) < 0) std::ranges::fill(fill_, std::byte{0});
  do fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  while (fd_ < 0 && errno == EINTR);
  if (fd_ < 0) fail(Exit::no_input, "{} cannot be read ({})", path_.string(), std::strerror(errno));
  chunk_ = data.chunk();
  if (chunk_.empty()) {
    haddr_t const at = H5Dget_offset(data.id());
    empty_ = at == HADDR_UNDEF;
    offset_ = empty_ ? 0 : at;
    return;
  }
  filters_ = filters_of(list.get());
  find_chunks(data);
  find_user_block(data);
}

Pieces::~Pieces() {
  if (fd_ >= 0) ::close(fd_);
}

void Pieces::find_chunks(Dataset const& data) {
  chunk_bytes_ = element_ * volume(chunk_);
  for (std::size_t a = 0; a < shape_.size(); ++a) grid_.push_back((shape_[a] + chunk_[a] - 1) / chunk_[a]);
  slab_ = volume(grid_) / grid_[0];
  chunks_.resize(volume(grid_));
  std::vector<hsize_t> first(shape_.size());
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    for (std::size_t a = shape_.size(), rest = c; a-- > 0; rest /= grid_[a]) first[a] = rest % grid_[a] * chunk_[a];
    haddr_t at = 0;
    hsize_t bytes = 0;
    if (H5Dget_chunk_info_by_coord(data.id(), first.data(), &chunks_[c].skipped, &at, &bytes) < 0)
      raise(Exit::io, path_, data.name(), "cannot find a chunk");
    if (at != HADDR_UNDEF) chunks_[c].at = at, chunks_[c].bytes = bytes;
  }
}

/// Some versions of HDF5 leave a user block (of MATLAB's files) out of a chunk's address: looks which this one is.
void Pieces::find_user_block(Dataset const& data) {
  Id const file(H5Iget_file_id(data.id()), H5Fclose);
  Id const list(H5Fget_create_plist(file.get()), H5Pclose);
  hsize_t block = 0;
  auto const written = std::ranges::find_if(chunks_, [](Chunk const& c) { return c.bytes > 0; });
  if (H5Pget_userblock(list.get(), &block) < 0 || block == 0 || written == chunks_.end()) return;
  std::vector<hsize_t> first(shape_.size());
  for (std::size_t a = shape_.size(), rest = static_cast<std::size_t>(written - chunks_.begin()); a-- > 0;
       rest /= grid_[a])
    first[a] = rest % grid_[a] * chunk_[a];
  std::vector<std::byte> known(written->bytes), found(written->bytes);
  std::uint32_t mask = 0;
  if (H5Dread_chunk(data.id(), H5P_DEFAULT, first.data(), &mask, known.data()) < 0)
    raise(Exit::io, path_, data.name(), "cannot read a chunk");
  read(written->at, found.data(), found.size());
  if (found != known) offset_ = block;
}

void Pieces::read(std::uint64_t at, std::byte* out, std::size_t bytes) const {
  for (std::size_t done = 0; done < bytes;) {
    ssize_t const got = ::pread(fd_, out + done, bytes - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Exit::io, "{} cannot be read ({})", path_.string(), std::strerror(errno));
    if (got == 0) fail(Exit::data, "{} is truncated; copy it again", path_.string());
    done += static_cast<std::size_t>(got);
  }
}

std::vector<std::byte> Pieces::decode(Chunk const& chunk) const {
  std::vector<std::byte> bytes(chunk.bytes);
  read(chunk.at + offset_, bytes.data(), bytes.size());
  for (std::size_t f = filters_.size(); f-- > 0;) {
    if ((chunk.skipped >> f & 1U) != 0) continue;
    if (filters_[f] == H5Z_FILTER_FLETCHER32) {
      bytes.resize(bytes.size() - std::min<std::size_t>(4, bytes.size()));
    } else if (filters_[f] == H5Z_FILTER_SHUFFLE) {
      unshuffle(bytes, element_);
    } else {
      std::vector<std::byte> out(chunk_bytes_ + 4);  // a checksum may lie inside
      uLongf size = out.size();
      if (::uncompress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<Bytef const*>(bytes.data()),
                       bytes.size()) != Z_OK)
        fail(Exit::data, "{} is damaged: a chunk cannot be unpacked; copy it again", path_.string());
      out.resize(size);
      bytes = std::move(out);
    }
  }
  if (bytes.size() != chunk_bytes_)
    fail(Exit::data, "{} is damaged: a chunk has {} bytes, not {}", path_.string(), bytes.size(), chunk_bytes_);
  return bytes;
}

/// Kept for the next rows of the same chunk.
Pieces::Bytes Pieces::chunk(std::size_t index) const {
  if (chunk_[0] == 1) return std::make_shared<std::vector<std::byte> const>(decode(chunks_[index]));
  {
    std::lock_guard const lock(mutex_);
    auto const known = where_.find(index);
    if (known != where_.end()) {
      kept_.splice(kept_.begin(), kept_, known->second);
      return known->second->second;
    }
  }
  auto bytes = std::make_shared<std::vector<std::byte> const>(decode(chunks_[index]));
  std::lock_guard const lock(mutex_);
  if (where_.contains(index)) return bytes;  // another thread was faster
  kept_.emplace_front(index, bytes);
  where_[index] = kept_.begin();
  if (kept_.size() > std::max(4 * slab_, kept_bytes / chunk_bytes_)) {
    where_.erase(kept_.back().first);
    kept_.pop_back();
  }
  return bytes;
}

/// The part of a chunk at `place` of the grid that belongs to `row`.
void Pieces::copy_part(std::vector<std::byte> const& from, std::vector<std::size_t> const& place, std::size_t row,
                       std::byte* out) const {
  std::size_t const axes = shape_.size();
  // Where the chunk's row begins in the row, how far it reaches, and strides of both, in elements.
  std::vector<std::size_t> first(axes), count(axes), in(axes, 1), to(axes, 1), at(axes, 0);
  for (std::size_t a = axes; a-- > 1;) {
    first[a] = place[a] * chunk_[a];
    count[a] = std::min(chunk_[a], shape_[a] - first[a]);
    if (a + 1 < axes) in[a] = in[a + 1] * chunk_[a + 1], to[a] = to[a + 1] * shape_[a + 1];
  }
  std::size_t const whole = volume(chunk_) / chunk_[0], line = axes > 1 ? count[axes - 1] : 1;
  std::byte const* source = from.data() + element_ * (row % chunk_[0]) * whole;
  while (true) {
    std::size_t s = 0, t = axes > 1 ? first[axes - 1] : 0;
    for (std::size_t a = 1; a + 1 < axes; ++a) s += at[a] * in[a], t += (first[a] + at[a]) * to[a];
    std::memcpy(out + element_ * t, source + element_ * s, element_ * line);
    std::size_t a = axes > 2 ? axes - 2 : 0;
    while (a >= 1 && ++at[a] == count[a]) at[a--] = 0;
    if (a == 0) return;
  }
}

void Pieces::read_row(std::size_t row, std::byte* out) const {
  if (chunk_.empty() && !empty_) return read(offset_ + row * row_bytes_, out, row_bytes_);
  for (std::size_t i = 0; i < row_bytes_; i += element_) std::memcpy(out + i, fill_.data(), element_);
  if (chunk_.empty()) return;
  std::vector<std::size_t> place(shape_.size());
  std::size_t const first = row / chunk_[0] * slab_;
  for (std::size_t c = first; c < first + slab_; ++c) {
    if (chunks_[c].bytes == 0) continue;
    for (std::size_t a = shape_.size(), rest = c; a-- > 0; rest /= grid_[a]) place[a] = rest % grid_[a];
    copy_part(*chunk(c), place, row, out);
  }
}

}  // namespace striate::h5
