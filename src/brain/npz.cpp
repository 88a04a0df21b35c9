/// .npz: a zip archive of .npy files, stored or deflated (APPNOTE.TXT of PKWARE, with the 64-bit records).
#include <zlib.h>

#include <cstring>
#include <fstream>
#include <optional>

#include "striate/base/error.hpp"
#include "striate/brain/npy.hpp"

namespace striate {
namespace {

struct Entry {
  std::string name;
  std::uint16_t method = 0;
  std::uint64_t packed = 0, size = 0, header = 0;  ///< bytes; place of the local header
};

class Archive {
 public:
  explicit Archive(std::filesystem::path const& path)
      : name_(path.filename().string()), in_(path, std::ios::binary | std::ios::ate) {
    if (!in_) fail(Exit::no_input, "{} cannot be read; check the path", path.string());
    size_ = static_cast<std::uint64_t>(in_.tellg());
  }

  std::vector<Entry> entries() {
    std::string const tail =
        bytes(size_ - std::min<std::uint64_t>(size_, 65557), std::min<std::uint64_t>(size_, 65557));
    auto const end = tail.rfind("PK\x05\x06");
    if (end == std::string::npos || end + 22 > tail.size()) broken("it has no directory");
    std::uint64_t count = number(tail, end + 10, 2), place = number(tail, end + 16, 4);
    std::uint64_t length = number(tail, end + 12, 4);
    if (count == 0xFFFF || place == 0xFFFFFFFF || length == 0xFFFFFFFF) {
      auto const locator = tail.rfind("PK\x06\x07", end);
      if (locator == std::string::npos) broken("its 64-bit directory is missing");
      std::string const wide = bytes(number(tail, locator + 8, 8), 56);
      count = number(wide, 32, 8), length = number(wide, 40, 8), place = number(wide, 48, 8);
    }
    std::string const directory = bytes(place, length);
    std::vector<Entry> all;
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(entry(directory, at));
    return all;
  }

  /// Where an entry's data begin.
  std::uint64_t data(Entry const& e) {
    std::string const head = bytes(e.header, 30);
    if (!head.starts_with("PK\x03\x04")) broken("an entry does not begin as one");
    return e.header + 30 + number(head, 26, 2) + number(head, 28, 2);
  }

  std::shared_ptr<std::byte const> inflated(Entry const& e) {
    std::string const packed = bytes(data(e), e.packed);
    std::shared_ptr<std::byte[]> out(new std::byte[e.size + 1]);
    z_stream z{};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) fail(Exit::limit, "{}: zlib cannot start", name_);
    std::uint64_t in_at = 0, out_at = 0;
    int state = Z_OK;
    while (state == Z_OK) {  // zlib counts in 32 bits
      constexpr std::uint64_t step = std::uint64_t{1} << 30;
      if (z.avail_in == 0 && in_at < packed.size()) {
        z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + in_at));
        z.avail_in = static_cast<uInt>(std::min<std::uint64_t>(step, packed.size() - in_at));
        in_at += z.avail_in;
      }
      z.next_out = reinterpret_cast<Bytef*>(out.get() + out_at);
      z.avail_out = static_cast<uInt>(std::min<std::uint64_t>(step, e.size + 1 - out_at));
      auto const before = z.avail_out;
      state = inflate(&z, Z_NO_FLUSH);
      out_at += before - z.avail_out;
      if (state == Z_BUF_ERROR || (state == Z_OK && before == z.avail_out && z.avail_in == 0)) break;
    }
    inflateEnd(&z);
    if (state != Z_STREAM_END || out_at != e.size) broken(e.name + " does not unpack");
    return {out, out.get()};
  }

 private:
  [[noreturn]] void broken(std::string const& what) const {
    fail(Exit::data, "{}: {}; it is no .npz, or truncated", name_, what);
  }
  std::string bytes(std::uint64_t first, std::uint64_t count) {
    if (first > size_ || count > size_ - first) broken("it ends too early");
    std::string text(count, '\0');
    in_.seekg(static_cast<std::streamoff>(first));
    in_.read(text.data(), static_cast<std::streamsize>(count));
    if (!in_) broken("it cannot be read");
    return text;
  }
  [[nodiscard]] std::uint64_t number(std::string const& text, std::size_t at, std::size_t width) const {
    if (at + width > text.size()) broken("its directory ends too early");
    std::uint64_t value = 0;
    std::memcpy(&value, text.data() + at, width);
    return value;
  }
  Entry entry(std::string const& d, std::size_t& at) const {
    if (d.compare(at, 4, "PK\x01\x02") != 0) broken("its directory is damaged");
    Entry e;
    e.method = static_cast<std::uint16_t>(number(d, at + 10, 2));
    e.packed = number(d, at + 20, 4), e.size = number(d, at + 24, 4), e.header = number(d, at + 42, 4);
    std::size_t const name = number(d, at + 28, 2), extra = number(d, at + 30, 2), comment = number(d, at + 32, 2);
    if (at + 46 + name + extra > d.size()) broken("its directory is damaged");
    e.name = d.substr(at + 46, name);
    std::size_t const end = at + 46 + name + extra;
    for (std::size_t x = at + 46 + name; x + 4 <= end;) {
      std::size_t const kind = number(d, x, 2), length = number(d, x + 2, 2);
      std::size_t v = x + 4;
      if (kind == 1)
        for (auto* field : {&e.size, &e.packed, &e.header})
          if (*field == 0xFFFFFFFF) *field = number(d, v, 8), v += 8;
      x += 4 + length;
    }
    at = end + comment;
    return e;
  }

  std::string name_;
  std::ifstream in_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::vector<NpzArray> read_npz(std::filesystem::path const& path) {
  Archive archive(path);
  std::string const file = path.filename().string();
  std::vector<NpzArray> arrays;
  for (auto const& e : archive.entries()) {
    if (!e.name.ends_with(".npy")) continue;
    std::string const name = e.name.substr(0, e.name.size() - 4), full = file + ": " + name;
    if (e.method == 0)
      arrays.push_back({name, NpyFile(path, full, archive.data(e), e.size), false});
    else if (e.method == 8)
      arrays.push_back({name, NpyFile(full, archive.inflated(e), e.size), true});
    else
      fail(Exit::data, "{} is packed with method {}; save it with numpy.savez or savez_compressed", full, e.method);
  }
  if (arrays.empty()) fail(Exit::data, "{} holds no arrays", file);
  return arrays;
}

}  // namespace striate
