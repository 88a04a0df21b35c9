#include <znzlib.h>

#include <cerrno>
#include <cstring>

#include "nifti_header.hpp"
#include "striate/base/error.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/base/temp_file.hpp"

namespace striate {

struct NiftiWriter::State {
  State(std::filesystem::path path, Space const& s, std::size_t n) : temp(std::move(path)), space(s), volumes(n) {
    std::string name = temp.path().string();
    bool compressed = name.size() > 3 && name.compare(name.size() - 3, 3, ".gz") == 0;
    file = znzopen(name.c_str(), "wb", compressed ? 1 : 0);
    if (znz_isnull(file)) temp.broken();
    std::string header = nifti::header_for_maps(space, volumes);
    header.append(4, '\0');  // no extensions: those of the input describe its data, not ours
    write(header.data(), header.size());
    line.resize(space.size());
  }
  ~State() {
    if (!znz_isnull(file)) Xznzclose(&file);
  }
  void write(void const* bytes, std::size_t count) {
    errno = 0;
    if (znzwrite(bytes, 1, count, file) != count) temp.broken();
  }

  TempFile temp;
  Space space;
  std::size_t volumes, written = 0;
  znzFile file = nullptr;
  std::vector<float> line;  ///< one volume, x fastest
};

NiftiWriter::NiftiWriter(std::filesystem::path path, Space const& space, std::size_t volumes)
    : state_(std::make_unique<State>(std::move(path), space, volumes)) {}
NiftiWriter::~NiftiWriter() = default;

void NiftiWriter::add(std::span<float const> values) {
  State& s = *state_;
  if (values.size() != s.space.size() || s.written >= s.volumes) throw std::logic_error("NiftiWriter: wrong size");
  std::uint64_t nx = s.space.shape[0], ny = s.space.shape[1], nz = s.space.shape[2];
  for (std::uint64_t x = 0; x < nx; ++x)
    for (std::uint64_t y = 0; y < ny; ++y)
      for (std::uint64_t z = 0; z < nz; ++z) s.line[x + nx * (y + ny * z)] = values[(x * ny + y) * nz + z];
  s.write(s.line.data(), s.line.size() * sizeof(float));
  ++s.written;
}

void NiftiWriter::finish() {
  State& s = *state_;
  if (s.written != s.volumes) throw std::logic_error("NiftiWriter: volumes are missing");
  errno = 0;
  int closed = Xznzclose(&s.file);
  s.file = nullptr;
  if (closed != 0) s.temp.broken();
  s.temp.commit();
}

void write_nifti(std::filesystem::path const& path, Space const& space, std::span<float const> values,
                 std::size_t maps) {
  NiftiWriter writer(path, space, maps);
  for (std::size_t m = 0; m < maps; ++m) writer.add(values.subspan(m * space.size(), space.size()));
  writer.finish();
}

}  // namespace striate
