#include <algorithm>
#include <numeric>

#include "striate/store/h5.hpp"
#include "striate/store/half.hpp"

namespace striate::h5 {
namespace {

constexpr std::size_t largest_transfer = std::size_t{1} << 30;  // MPI-IO counts in int

hid_t make_float16() {
  hid_t const t = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(t, 15, 10, 5, 0, 10);
  H5Tset_size(t, 2);
  H5Tset_ebias(t, 15);
  return t;
}

Id simple_space(Shape const& shape) {
  std::vector<hsize_t> dims(shape.begin(), shape.end());
  return dims.empty() ? Id(H5Screate(H5S_SCALAR), H5Sclose)
                      : Id(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
}

void select(hid_t space, Shape const& first, Shape const& count) {
  if (first.empty()) return;  // a scalar
  std::vector<hsize_t> const f(first.begin(), first.end()), c(count.begin(), count.end());
  H5Sselect_hyperslab(space, H5S_SELECT_SET, f.data(), nullptr, c.data(), nullptr);
}

/// Calls part(first, count, done) for pieces of a box that each hold at most `most` elements; `done` elements of the
/// box, in C order, come before the piece. Cuts the first axis that is longer than one.
template <class F>
void in_pieces(Shape first, Shape count, std::size_t most, std::size_t done, F const& part) {
  std::size_t const all = volume(count);
  auto const axis = std::ranges::find_if(count, [](std::size_t c) { return c > 1; });
  if (all <= most || axis == count.end()) return part(first, count, done);
  auto const a = static_cast<std::size_t>(axis - count.begin());
  std::size_t const inner = all / count[a], step = std::max<std::size_t>(1, most / inner), total = count[a];
  std::size_t const start = first[a];
  for (std::size_t i = 0; i < total; i += step) {
    first[a] = start + i;
    count[a] = std::min(step, total - i);
    in_pieces(first, count, most, done + i * inner, part);
  }
}

}  // namespace

std::size_t size_of(Dtype type) {
  switch (type) {
    case Dtype::u8: return 1;
    case Dtype::f16: return 2;
    case Dtype::f32: case Dtype::u32: case Dtype::i32: return 4;
    default: return 8;
  }
}

namespace {
struct Name {
  Dtype type;
  char const *full, *brief;
};
constexpr Name names[] = {{Dtype::f16, "float16", "f16"}, {Dtype::f32, "float32", "f32"}, {Dtype::f64, "float64", "f64"},
                          {Dtype::u8, "uint8", "u8"},     {Dtype::u32, "uint32", "u32"},  {Dtype::u64, "uint64", "u64"},
                          {Dtype::i32, "int32", "i32"},   {Dtype::i64, "int64", "i64"}};
}  // namespace

char const* name_of(Dtype type) { return std::ranges::find(names, type, &Name::type)->full; }

Dtype dtype_of_name(std::string const& name) {
  for (Name const& n : names)
    if (name == n.full || name == n.brief) return n.type;
  fail(Exit::config, "unknown number type '{}' (known: float16, float32, float64, uint8, uint32, uint64, int32, int64)", name);
}

hid_t type_id(Dtype type) {
  init();
  static hid_t const half = make_float16();
  switch (type) {
    case Dtype::f16: return half;
    case Dtype::f32: return H5T_IEEE_F32LE;
    case Dtype::f64: return H5T_IEEE_F64LE;
    case Dtype::u8: return H5T_STD_U8LE;
    case Dtype::u32: return H5T_STD_U32LE;
    case Dtype::u64: return H5T_STD_U64LE;
    case Dtype::i32: return H5T_STD_I32LE;
    default: return H5T_STD_I64LE;
  }
}

std::size_t volume(Shape const& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

std::string text_of(Shape const& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (std::size_t s : shape) text += (text.empty() ? "" : " × ") + std::to_string(s);
  return text;
}

Shape Dataset::chunk() const {
  Id const plist(H5Dget_create_plist(id_.get()), H5Pclose);
  if (H5Pget_layout(plist.get()) != H5D_CHUNKED) return {};
  std::vector<hsize_t> dims(shape_.size());
  H5Pget_chunk(plist.get(), static_cast<int>(dims.size()), dims.data());
  return {dims.begin(), dims.end()};
}

std::optional<std::uint64_t> Dataset::dense_address() const {
#if H5_VERSION_GE(1, 10, 5)
  Shape const c = chunk();
  if (c.empty() || filtered()) return std::nullopt;
  std::vector<hsize_t> place(c.size(), 0);
  std::uint64_t chunks = 1;
  auto const address = [&] {
    haddr_t at = HADDR_UNDEF;
    hsize_t size = 0;
    unsigned mask = 0;
    if (H5Dget_chunk_info_by_coord(id_.get(), place.data(), &mask, &at, &size) < 0) H5Eclear2(H5E_DEFAULT);
    return std::pair(at, size);
  };
  auto const [first, size] = address();
  for (std::size_t i = 0; i < c.size(); ++i) {
    std::uint64_t const along = (shape_[i] + c[i] - 1) / c[i];
    chunks *= along, place[i] = (along - 1) * c[i];
  }
  auto const last = address().first;
  // All are allocated in row-major order, and none overlap: there is room between them for nothing else.
  if (first == HADDR_UNDEF || last == HADDR_UNDEF || last - first != (chunks - 1) * size) return std::nullopt;
  return first;
#else
  return std::nullopt;
#endif
}

bool Dataset::filtered() const {
  Id const plist(H5Dget_create_plist(id_.get()), H5Pclose);
  return H5Pget_nfilters(plist.get()) > 0;
}

bool Dataset::numeric() const {
  Id const type(H5Dget_type(id_.get()), H5Tclose);
  H5T_class_t const c = H5Tget_class(type.get());
  return c == H5T_INTEGER || c == H5T_FLOAT;
}

bool Dataset::is_float16() const {
  Id const type(H5Dget_type(id_.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_FLOAT || H5Tget_size(type.get()) != 2) return false;
  std::size_t s = 0, epos = 0, esize = 0, mpos = 0, msize = 0;
  H5Tget_fields(type.get(), &s, &epos, &esize, &mpos, &msize);
  return esize == 5 && msize == 10;  // not bfloat16
}

std::string Dataset::type_name() const {
  Id const type(H5Dget_type(id_.get()), H5Tclose);
  std::size_t const bits = 8 * H5Tget_size(type.get());
  switch (H5Tget_class(type.get())) {
    case H5T_FLOAT: return fmt::format("float{}", bits);
    case H5T_INTEGER: return fmt::format("{}int{}", H5Tget_sign(type.get()) == H5T_SGN_NONE ? "u" : "", bits);
    case H5T_STRING: return "string";
    case H5T_ENUM: return "enum";
    case H5T_COMPOUND: return "compound";
    default: return "other";
  }
}

namespace {

/// HDF5 itself converts half precision bit by bit, a hundred times slower than it is read.
template <class T>
void read_halves(Dataset const& from, Shape const& first, Shape const& count, T* out) {
  constexpr std::size_t most = std::size_t{1} << 22;
  std::vector<std::uint16_t> halves(std::min(volume(count), most));
  std::vector<float> values(halves.size());
  in_pieces(first, count, most, 0, [&](Shape const& f, Shape const& c, std::size_t done) {
    std::size_t const n = volume(c);
    from.read(f, c, type_id(Dtype::f16), halves.data());
    from_half(halves.data(), n, values.data());
    std::copy_n(values.begin(), n, out + done);
  });
}

}  // namespace

void Dataset::read(Shape const& first, Shape const& count, hid_t memory_type, void* out) const {
  std::size_t const element = H5Tget_size(memory_type);
  if (volume(count) == 0) return;
  if ((memory_type == H5T_IEEE_F32LE || memory_type == H5T_IEEE_F64LE) && is_float16())
    return element == 4 ? read_halves(*this, first, count, static_cast<float*>(out))
                        : read_halves(*this, first, count, static_cast<double*>(out));
  Id const file(H5Dget_space(id_.get()), H5Sclose);
  in_pieces(first, count, largest_transfer / element, 0, [&](Shape const& f, Shape const& c, std::size_t done) {
    select(file.get(), f, c);
    Id const memory = simple_space(c);
    if (H5Dread(id_.get(), memory_type, memory.get(), file.get(), H5P_DEFAULT, static_cast<char*>(out) + done * element) < 0)
      raise(Exit::io, file_, name_, "cannot read");
  });
}

void Dataset::write(Shape const& first, Shape const& count, hid_t memory_type, void const* in) {
  std::size_t const element = H5Tget_size(memory_type);
  if (volume(count) == 0) return;
  Id const file(H5Dget_space(id_.get()), H5Sclose);
  in_pieces(first, count, largest_transfer / element, 0, [&](Shape const& f, Shape const& c, std::size_t done) {
    select(file.get(), f, c);
    Id const memory = simple_space(c);
    if (H5Dwrite(id_.get(), memory_type, memory.get(), file.get(), H5P_DEFAULT,
                 static_cast<char const*>(in) + done * element) < 0)
      raise(Exit::io, file_, name_, "cannot write");
  });
}

void Dataset::write_filtered_chunk(Shape const& first, void const* bytes, std::size_t count) {
  std::vector<hsize_t> const place(first.begin(), first.end());
  if (H5Dwrite_chunk(id_.get(), H5P_DEFAULT, 0, place.data(), count, bytes) < 0)
    raise(Exit::io, file_, name_, "cannot write");
}

void Dataset::write_corner(Shape const& first, Shape const& count, Shape const& memory, hid_t memory_type,
                           void const* in) {
  Id const file(H5Dget_space(id_.get()), H5Sclose), space = simple_space(memory);
  select(file.get(), first, count);
  select(space.get(), Shape(memory.size(), 0), count);
  if (H5Dwrite(id_.get(), memory_type, space.get(), file.get(), H5P_DEFAULT, in) < 0)
    raise(Exit::io, file_, name_, "cannot write");
}

void Dataset::read_columns(Shape const& first, Shape const& count, hid_t memory_type, void* out,
                           std::size_t memory_columns, std::size_t column) const {
  if (volume(count) == 0) return;
  std::size_t const element = H5Tget_size(memory_type), columns = volume(count) / count[0];
  Id const file(H5Dget_space(id_.get()), H5Sclose);
  in_pieces(first, count, largest_transfer / element, 0, [&](Shape const& f, Shape const& c, std::size_t done) {
    select(file.get(), f, c);
    // The memory of a piece begins at its first row; a cut inside a row leaves single rows.
    Shape const rows{c[0], memory_columns};
    Id const memory = simple_space(rows);
    select(memory.get(), {0, column + done % columns}, {c[0], volume(c) / c[0]});
    char* const start = static_cast<char*>(out) + done / columns * memory_columns * element;
    if (H5Dread(id_.get(), memory_type, memory.get(), file.get(), H5P_DEFAULT, start) < 0)
      raise(Exit::io, file_, name_, "cannot read");
  });
}

void Dataset::check_volume(std::size_t values) const {
  if (values != volume(shape_))
    fail(Exit::internal, "{}: {}: {} values for a dataset of {}", file_.string(), name_, values, text_of(shape_));
}

}  // namespace striate::h5
