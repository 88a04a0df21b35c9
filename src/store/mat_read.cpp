#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "striate/base/error.hpp"
#include "striate/store/mat_file.hpp"

namespace striate {
namespace {

enum Type : std::uint32_t {
  i8 = 1,
  u8,
  i16,
  u16,
  i32,
  u32,
  f32 = 7,
  f64 = 9,
  i64 = 12,
  u64,
  matrix,
  packed,
  utf8,
  utf16,
  utf32
};

/// The bytes of one element, and what is still to be read of them.
class Cursor {
 public:
  Cursor(std::string const& file, char const* begin, std::size_t size, bool swapped)
      : file_(file), at_(begin), end_(begin + size), swapped_(swapped) {}
  struct Element {
    std::uint32_t type = 0;
    char const* data = nullptr;
    std::size_t size = 0;
  };
  [[nodiscard]] bool more() const { return end_ - at_ >= 8; }
  [[nodiscard]] bool swapped() const { return swapped_; }
  [[nodiscard]] std::string const& file() const { return file_; }
  [[noreturn]] void broken() const { fail(Exit::data, "{}: is damaged or truncated (inside a variable)", file_); }

  template <class T>
  T number(char const* from) const {
    char raw[sizeof(T)];
    std::memcpy(raw, from, sizeof(T));
    if (swapped_) std::reverse(raw, raw + sizeof(T));
    T value;
    std::memcpy(&value, raw, sizeof(T));
    return value;
  }

  Element next() {
    if (!more()) broken();
    auto const first = number<std::uint32_t>(at_);
    if (first >> 16 != 0) {  // small: size and type share a word, up to 4 bytes follow
      Element const e{first & 0xFFFF, at_ + 4, first >> 16};
      if (e.size > 4) broken();
      at_ += 8;
      return e;
    }
    Element const e{first, at_ + 8, number<std::uint32_t>(at_ + 4)};
    if (e.size > static_cast<std::size_t>(end_ - at_) - 8) broken();
    std::size_t const padded = e.type == packed ? e.size : (e.size + 7) / 8 * 8;
    at_ += 8 + std::min(padded, static_cast<std::size_t>(end_ - at_) - 8);
    return e;
  }

 private:
  std::string file_;
  char const *at_, *end_;
  bool swapped_;
};

std::size_t width_of(std::uint32_t type) {
  switch (type) {
    case i8:
    case u8:
    case utf8:
      return 1;
    case i16:
    case u16:
    case utf16:
      return 2;
    case i32:
    case u32:
    case f32:
    case utf32:
      return 4;
    case f64:
    case i64:
    case u64:
      return 8;
    default:
      return 0;
  }
}

double value_of(Cursor const& c, std::uint32_t type, char const* p) {
  switch (type) {
    case i8:
      return c.number<std::int8_t>(p);
    case u8:
    case utf8:
      return c.number<std::uint8_t>(p);
    case i16:
      return c.number<std::int16_t>(p);
    case u16:
    case utf16:
      return c.number<std::uint16_t>(p);
    case i32:
      return c.number<std::int32_t>(p);
    case u32:
    case utf32:
      return c.number<std::uint32_t>(p);
    case f32:
      return static_cast<double>(c.number<float>(p));
    case f64:
      return c.number<double>(p);
    case i64:
      return static_cast<double>(c.number<std::int64_t>(p));
    case u64:
      return static_cast<double>(c.number<std::uint64_t>(p));
    default:
      c.broken();
  }
}

std::vector<double> numbers(Cursor const& c, Cursor::Element const& e) {
  std::size_t const width = width_of(e.type);
  if (width == 0) c.broken();
  std::vector<double> values(e.size / width);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = value_of(c, e.type, e.data + i * width);
  return values;
}

void append_utf8(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6), text += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12), text += static_cast<char>(0x80 | (code >> 6 & 63));
    text += static_cast<char>(0x80 | (code & 63));
  } else {
    text += static_cast<char>(0xF0 | code >> 18), text += static_cast<char>(0x80 | (code >> 12 & 63));
    text += static_cast<char>(0x80 | (code >> 6 & 63)), text += static_cast<char>(0x80 | (code & 63));
  }
}

std::string text_of(Cursor const& c, Cursor::Element const& e) {
  if (e.type == utf8 || e.type == i8 || e.type == u8) return {e.data, e.size};
  std::string text;
  auto const codes = numbers(c, e);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    auto code = static_cast<std::uint32_t>(codes[i]);
    if (code >= 0xD800 && code < 0xDC00 && i + 1 < codes.size())  // a pair of UTF-16
      code = 0x10000 + ((code - 0xD800) << 10) + (static_cast<std::uint32_t>(codes[++i]) - 0xDC00);
    append_utf8(text, code);
  }
  return text;
}

std::pair<std::string, MatValue> read_matrix(Cursor c, int depth);

void read_parts(Cursor& c, MatValue& value, std::uint32_t kind, int depth) {
  switch (kind) {
    case 1:  // cell
      value.kind = MatValue::Kind::cell;
      for (std::size_t i = 0; i < value.size(); ++i) {
        auto const e = c.next();
        value.cells.push_back(read_matrix({c.file(), e.data, e.size, c.swapped()}, depth + 1).second);
      }
      return;
    case 2: {  // struct
      value.kind = MatValue::Kind::structure;
      auto const length = numbers(c, c.next());
      auto const names = c.next();
      auto const width = length.empty() ? std::size_t{0} : static_cast<std::size_t>(length[0]);
      if (width == 0 || width > 4096) c.broken();
      for (std::size_t at = 0; at + width <= names.size; at += width)
        value.fields.emplace_back(names.data + at, strnlen(names.data + at, width));
      for (std::size_t i = 0; i < value.size() * value.fields.size(); ++i) {
        auto const e = c.next();
        value.values.push_back(read_matrix({c.file(), e.data, e.size, c.swapped()}, depth + 1).second);
      }
      return;
    }
    case 4:  // char
      value.kind = MatValue::Kind::text;
      if (value.size() > 0) value.text = text_of(c, c.next());
      return;
    default:
      break;
  }
  if (kind < 6 || kind > 15) return;  // sparse arrays, objects, functions
  value.kind = MatValue::Kind::number;
  value.float64 = kind == 6;
  if (value.size() == 0) return;
  auto const e = c.next();
  std::size_t const width = width_of(e.type);
  if (width == 0 || e.size / width != value.size()) c.broken();
  value.numbers.resize(value.size());
  for (std::size_t i = 0; i < value.numbers.size(); ++i)
    value.numbers[i] = static_cast<float>(value_of(c, e.type, e.data + i * width));
}

std::pair<std::string, MatValue> read_matrix(Cursor c, int depth) {
  if (depth > 32) c.broken();
  MatValue value;
  if (!c.more()) return {"", value};  // an empty element of a cell
  auto const flags = numbers(c, c.next());
  if (flags.empty()) c.broken();
  auto const kind = static_cast<std::uint32_t>(flags[0]) & 0xFF;
  if (kind == 17 || kind == 16) return {"", value};  // opaque objects have another head
  std::size_t all = 1;
  for (double const d : numbers(c, c.next())) {
    if (d < 0 || d > 1e12) c.broken();
    value.shape.push_back(static_cast<std::size_t>(d));
    if (value.shape.back() != 0 && all > (std::size_t{1} << 40) / value.shape.back()) c.broken();
    all *= value.shape.back();
  }
  auto const e = c.next();
  std::string name(e.data, e.size);
  read_parts(c, value, kind, depth);
  return {name, std::move(value)};
}

std::string inflated(std::string const& file, char const* data, std::size_t size) {
  z_stream z{};
  if (inflateInit(&z) != Z_OK) fail(Exit::limit, "{}: zlib cannot start", file);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data)), z.avail_in = static_cast<uInt>(size);
  std::string out;
  int state = Z_OK;
  while (state == Z_OK) {
    std::size_t const before = out.size(),
                      step = std::max<std::size_t>(1 << 16, std::min<std::size_t>(before, 1 << 28));
    out.resize(before + step);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + before), z.avail_out = static_cast<uInt>(step);
    state = inflate(&z, Z_NO_FLUSH);
    out.resize(before + step - z.avail_out);
    if (state == Z_OK && z.avail_in == 0 && z.avail_out > 0) break;  // it ends too early
  }
  inflateEnd(&z);
  if (state != Z_STREAM_END) fail(Exit::data, "{}: is damaged or truncated (a variable does not unpack)", file);
  return out;
}

}  // namespace

MatValue const* MatValue::field(std::size_t i, std::string const& name) const {
  auto const at = std::ranges::find(fields, name);
  if (kind != Kind::structure || at == fields.end() || i >= size()) return nullptr;
  return &values[i * fields.size() + static_cast<std::size_t>(at - fields.begin())];
}

std::vector<std::pair<std::string, MatValue>> read_mat(std::filesystem::path const& path) {
  std::string const name = path.filename().string();
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) fail(Exit::no_input, "{} cannot be read; check the path", path.string());
  std::string bytes(static_cast<std::size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (bytes.size() < 128 || (bytes.compare(126, 2, "IM") != 0 && bytes.compare(126, 2, "MI") != 0))
    fail(Exit::data, "{}: is no MAT-file of version 6 or 7 (save(…, '-v7') writes one; -v7.3 is read as well)", name);
  bool const swapped = bytes.compare(126, 2, "MI") == 0;
  Cursor all(name, bytes.data() + 128, bytes.size() - 128, swapped);
  std::vector<std::pair<std::string, MatValue>> variables;
  while (all.more()) {
    auto const e = all.next();
    std::string unpacked;
    Cursor one(name, e.data, e.size, swapped);
    if (e.type == packed) {
      unpacked = inflated(name, e.data, e.size);
      auto const inner = Cursor(name, unpacked.data(), unpacked.size(), swapped).next();
      if (inner.type != matrix) continue;
      one = Cursor(name, inner.data, inner.size, swapped);
    } else if (e.type != matrix) {
      continue;
    }
    auto variable = read_matrix(one, 0);
    if (!variable.first.empty()) variables.push_back(std::move(variable));
  }
  return variables;
}

}  // namespace striate
