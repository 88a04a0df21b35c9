#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

#include "striate/base/error.hpp"
#include "striate/base/temp_file.hpp"
#include "striate/store/mat_file.hpp"

namespace striate {
namespace {

constexpr std::uint32_t mi_int8 = 1, mi_uint16 = 4, mi_int32 = 5, mi_uint32 = 6, mi_single = 7, mi_matrix = 14;
constexpr std::uint32_t mx_cell = 1, mx_char = 4, mx_single = 7;

void put(std::string& out, std::uint32_t value) {
  char raw[4];
  std::memcpy(raw, &value, 4);
  out.append(raw, 4);
}
void element(std::string& out, std::uint32_t type, void const* data, std::size_t size) {
  put(out, type), put(out, static_cast<std::uint32_t>(size));
  out.append(static_cast<char const*>(data), size);
  out.append((8 - size % 8) % 8, '\0');
}

/// Flags, axes and name of an array.
std::string head(std::uint32_t kind, std::vector<std::size_t> shape, std::string const& name) {
  std::string out;
  std::uint32_t const flags[2] = {kind, 0};
  element(out, mi_uint32, flags, 8);
  while (shape.size() < 2) shape.push_back(1);
  std::vector<std::int32_t> const dims(shape.begin(), shape.end());
  element(out, mi_int32, dims.data(), dims.size() * 4);
  element(out, mi_int8, name.data(), name.size());
  return out;
}

std::u16string utf16(std::string const& text) {
  std::u16string out;
  for (std::size_t i = 0; i < text.size();) {
    auto const lead = static_cast<unsigned char>(text[i]);
    std::size_t const more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    std::uint32_t code = more == 0 ? lead : lead & (0x3FU >> more);
    for (std::size_t k = 1; k <= more && i + k < text.size(); ++k)
      code = code << 6 | (static_cast<unsigned char>(text[i + k]) & 63U);
    i += more + 1;
    if (code < 0x10000) {
      out += static_cast<char16_t>(code);
    } else {
      out += static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10));
      out += static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return out;
}

}  // namespace

struct MatWriter::Impl {
  explicit Impl(std::filesystem::path const& path) : temp(path), file(std::fopen(temp.path().c_str(), "wb")) {
    if (file == nullptr) temp.broken();
  }
  ~Impl() {
    if (file != nullptr) std::fclose(file);
  }
  void write(void const* data, std::size_t size) {
    errno = 0;
    if (size > 0 && std::fwrite(data, 1, size, file) != size) temp.broken();
  }
  TempFile temp;
  std::FILE* file;
};

MatWriter::MatWriter(std::filesystem::path const& path) : impl_(std::make_unique<Impl>(path)) {
  std::string text = "MATLAB 5.0 MAT-file, written by striate";
  text.resize(116, ' ');
  text.append(8, '\0');
  text.append("\x00\x01IM", 4);
  impl_->write(text.data(), text.size());
}
MatWriter::~MatWriter() = default;

void MatWriter::add(std::string const& name, std::vector<std::size_t> const& shape, std::span<float const> values) {
  std::size_t const size = values.size_bytes();
  if (size > limit)
    fail(Exit::data,
         "{}: {} has {} bytes, but a variable of a MAT-file has at most 2 GiB; MATLAB reads .act.h5 itself "
         "(h5read), and .npy has no limit",
         impl_->temp.target().filename().string(), name, size);
  std::string text = head(mx_single, shape, name);
  std::string out;
  std::size_t const padded = (size + 7) / 8 * 8;
  put(out, mi_matrix), put(out, static_cast<std::uint32_t>(text.size() + 8 + padded));
  out += text;
  put(out, mi_single), put(out, static_cast<std::uint32_t>(size));
  impl_->write(out.data(), out.size());
  impl_->write(values.data(), size);
  impl_->write("\0\0\0\0\0\0\0", padded - size);
}

void MatWriter::add_cells(std::string const& name, std::vector<std::string> const& texts) {
  std::string all = head(mx_cell, {texts.size(), 1}, name);
  for (auto const& text : texts) {
    auto const wide = utf16(text);
    std::string one = head(mx_char, {wide.empty() ? std::size_t{0} : 1, wide.size()}, "");
    element(one, mi_uint16, wide.data(), wide.size() * 2);
    put(all, mi_matrix), put(all, static_cast<std::uint32_t>(one.size()));
    all += one;
  }
  if (all.size() > limit)
    fail(Exit::data, "{}: {} texts are more than a MAT-file holds", impl_->temp.target().string(), texts.size());
  std::string tag;
  put(tag, mi_matrix), put(tag, static_cast<std::uint32_t>(all.size()));
  impl_->write(tag.data(), tag.size());
  impl_->write(all.data(), all.size());
}

void MatWriter::close() {
  errno = 0;
  if (std::fclose(std::exchange(impl_->file, nullptr)) != 0) impl_->temp.broken();
  impl_->temp.commit();
}

std::string mat_name(std::string const& name, std::vector<std::string> const& taken) {
  std::string clean;
  for (char const c : name) clean += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  if (clean.empty() || std::isalpha(static_cast<unsigned char>(clean[0])) == 0) clean = "x" + clean;
  clean.resize(std::min<std::size_t>(clean.size(), 60));
  std::string unique = clean;
  for (int i = 2; std::find(taken.begin(), taken.end(), unique) != taken.end(); ++i)
    unique = fmt::format("{}_{}", clean, i);
  return unique;
}

}  // namespace striate
