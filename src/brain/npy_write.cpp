#include <bit>
#include <fstream>

#include "striate/brain/npy.hpp"
#include "temp_file.hpp"

namespace striate {
namespace {

void write_any(std::filesystem::path const& path, void const* data, std::size_t bytes, char const* dtype,
               std::vector<std::uint64_t> const& shape) {
  static_assert(std::endian::native == std::endian::little, "striate writes little-endian files");
  std::string dims;
  for (std::uint64_t d : shape) dims += std::to_string(d) + ", ";
  if (shape.size() > 1) dims.resize(dims.size() - 2);
  if (shape.size() == 1) dims.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", dtype, dims);
  header.append(63 - (10 + header.size()) % 64, ' ');  // data aligned to 64, as NumPy does
  header.push_back('\n');
  std::string head("\x93NUMPY\x01\x00", 8);
  head.push_back(static_cast<char>(header.size() & 255));
  head.push_back(static_cast<char>(header.size() >> 8));
  head += header;
  TempFile temp(path);
  {
    std::ofstream file(temp.path(), std::ios::binary | std::ios::trunc);
    errno = 0;
    file.write(head.data(), static_cast<std::streamsize>(head.size()));
    file.write(static_cast<char const*>(data), static_cast<std::streamsize>(bytes));
    file.close();
    if (!file) temp.broken();
  }
  temp.commit();
}

}  // namespace

void write_npy(std::filesystem::path const& path, std::span<float const> values,
               std::vector<std::uint64_t> const& shape) {
  write_any(path, values.data(), values.size_bytes(), "<f4", shape);
}
void write_npy(std::filesystem::path const& path, std::span<double const> values,
               std::vector<std::uint64_t> const& shape) {
  write_any(path, values.data(), values.size_bytes(), "<f8", shape);
}
void write_npy(std::filesystem::path const& path, std::span<std::int32_t const> values,
               std::vector<std::uint64_t> const& shape) {
  write_any(path, values.data(), values.size_bytes(), "<i4", shape);
}

}  // namespace striate
