#include "striate/brain/nifti.hpp"

#include <nifti2_io.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "nifti_header.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace {

struct FreeImage {
  void operator()(nifti_image* image) const { nifti_image_free(image); }
};
using Image = std::unique_ptr<nifti_image, FreeImage>;

bool ends_with(std::string const& s, char const* end) {
  std::string e = end;
  return s.size() > e.size() && s.compare(s.size() - e.size(), e.size(), e) == 0;
}

Image read_header(std::filesystem::path const& path) {
  std::string name = path.filename().string();
  std::error_code code;
  auto status = std::filesystem::status(path, code);
  if (!std::filesystem::exists(status)) fail(Exit::no_input, "{} does not exist; check the path", path.string());
  if (!std::filesystem::is_regular_file(status))
    fail(Exit::no_input, "{} is not a file; check the path", path.string());
  if (::access(path.c_str(), R_OK) != 0) fail(Exit::no_input, "{} cannot be read (permission)", path.string());
  nifti_set_debug_level(0);
  Image image(nifti_image_read(path.c_str(), 0));
  if (!image) {
    auto size = std::filesystem::file_size(path, code);
    fail(Exit::data,
         "{} is not a NIfTI file (its header does not read; {} bytes); it may be truncated or of another format", name,
         size);
  }
  if (image->iname == nullptr || !std::filesystem::exists(image->iname))
    fail(Exit::no_input, "{} has no .img file beside it; both files of the pair are needed", path.string());
  return image;
}

/// 1 or 2 (0 for ANALYZE). image.nifti_type does not say: nifti_clib resets it by the file's name.
int version_of(nifti_image const& image) {
  int version = 0;
  void* header = nifti_read_header(image.fname, &version, 0);
  std::free(header);
  return version;
}

char const* type_name(int datatype) {
  switch (datatype) {
    case NIFTI_TYPE_UINT8:
      return "uint8";
    case NIFTI_TYPE_INT8:
      return "int8";
    case NIFTI_TYPE_UINT16:
      return "uint16";
    case NIFTI_TYPE_INT16:
      return "int16";
    case NIFTI_TYPE_UINT32:
      return "uint32";
    case NIFTI_TYPE_INT32:
      return "int32";
    case NIFTI_TYPE_UINT64:
      return "uint64";
    case NIFTI_TYPE_INT64:
      return "int64";
    case NIFTI_TYPE_FLOAT32:
      return "float32";
    case NIFTI_TYPE_FLOAT64:
      return "float64";
    case NIFTI_TYPE_FLOAT128:
      return "float128";
    case NIFTI_TYPE_COMPLEX64:
      return "complex64";
    case NIFTI_TYPE_COMPLEX128:
      return "complex128";
    case NIFTI_TYPE_COMPLEX256:
      return "complex256";
    case NIFTI_TYPE_RGB24:
      return "RGB";
    case NIFTI_TYPE_RGBA32:
      return "RGBA";
    default:
      return "unknown";
  }
}

bool is_real_number(int datatype) {
  switch (datatype) {
    case NIFTI_TYPE_UINT8:
    case NIFTI_TYPE_INT8:
    case NIFTI_TYPE_UINT16:
    case NIFTI_TYPE_INT16:
    case NIFTI_TYPE_UINT32:
    case NIFTI_TYPE_INT32:
    case NIFTI_TYPE_UINT64:
    case NIFTI_TYPE_INT64:
    case NIFTI_TYPE_FLOAT32:
    case NIFTI_TYPE_FLOAT64:
      return true;
    default:
      return false;
  }
}

/// znzFile closed on every path out.
class Stream {
 public:
  Stream(char const* path, bool compressed) : file_(znzopen(path, "rb", compressed ? 1 : 0)) {}
  ~Stream() {
    if (!znz_isnull(file_)) Xznzclose(&file_);
  }
  Stream(Stream const&) = delete;
  Stream& operator=(Stream const&) = delete;
  [[nodiscard]] bool open() const { return !znz_isnull(file_); }
  bool seek(std::int64_t offset) { return znzseek(file_, offset, SEEK_SET) >= 0; }
  /// Bytes read; fewer than asked for at the end of the file or on corrupt compression (then `failed`).
  std::size_t read(void* to, std::size_t bytes) {
    std::size_t got = znzread(to, 1, bytes, file_);
    if (got > bytes) failed = true, got = 0;  // znzread passes zlib's -1 through
    return got;
  }
  bool failed = false;

 private:
  znzFile file_;
};

struct Scaling {
  double slope = 1, inter = 0;
};

template <class T>
T value_at(std::byte const* bytes, std::size_t i, bool swap) {
  std::byte raw[sizeof(T)];
  std::memcpy(raw, bytes + i * sizeof(T), sizeof(T));
  if (swap) std::reverse(raw, raw + sizeof(T));
  T value;
  std::memcpy(&value, raw, sizeof(T));
  return value;
}

template <class T, class Out>
void gather_as(std::byte const* bytes, std::span<std::uint64_t const> offsets, bool swap, Scaling s, Out* out) {
  for (std::size_t i = 0; i < offsets.size(); ++i)
    out[i] = static_cast<Out>(static_cast<double>(value_at<T>(bytes, offsets[i], swap)) * s.slope + s.inter);
}

template <class Out>
void gather(int datatype, std::byte const* b, std::span<std::uint64_t const> o, bool w, Scaling s, Out* out) {
  switch (datatype) {
    case NIFTI_TYPE_UINT8:
      return gather_as<std::uint8_t>(b, o, w, s, out);
    case NIFTI_TYPE_INT8:
      return gather_as<std::int8_t>(b, o, w, s, out);
    case NIFTI_TYPE_UINT16:
      return gather_as<std::uint16_t>(b, o, w, s, out);
    case NIFTI_TYPE_INT16:
      return gather_as<std::int16_t>(b, o, w, s, out);
    case NIFTI_TYPE_UINT32:
      return gather_as<std::uint32_t>(b, o, w, s, out);
    case NIFTI_TYPE_INT32:
      return gather_as<std::int32_t>(b, o, w, s, out);
    case NIFTI_TYPE_UINT64:
      return gather_as<std::uint64_t>(b, o, w, s, out);
    case NIFTI_TYPE_INT64:
      return gather_as<std::int64_t>(b, o, w, s, out);
    case NIFTI_TYPE_FLOAT32:
      return gather_as<float>(b, o, w, s, out);
    default:
      return gather_as<double>(b, o, w, s, out);
  }
}

class NiftiReader final : public ImageReader {
 public:
  explicit NiftiReader(std::filesystem::path const& path) : image_(read_header(path)) {
    nifti_image const& h = *image_;
    name_ = path.filename().string();
    if (h.nifti_type == NIFTI_FTYPE_ASCII) fail(Exit::data, "{} is NIfTI in ASCII; convert it to .nii.gz", name_);
    if (!is_real_number(h.datatype))
      fail(Exit::data, "{} holds {} values (only real numbers can be responses); convert it to float32", name_,
           type_name(h.datatype));
    std::int64_t longer = 0;
    for (std::int64_t d : {h.nt, h.nu, h.nv, h.nw}) longer += d > 1 ? 1 : 0;
    if (nifti_looks_like_cifti(image_.get()) != 0 || ends_with(name_, ".dscalar.nii") ||
        ends_with(name_, ".dtseries.nii"))
      fail(Exit::data, "{} is a CIFTI-2 file, which is not read yet; convert it to a volume or to .npy", name_);
    if (longer > 1)
      fail(Exit::data, "{} has {} dimensions; 3-D, 4-D, or 5-D with one of the last two of length 1 is needed", name_,
           h.ndim);
    volumes_ = static_cast<std::size_t>(h.nt * h.nu * h.nv * h.nw);
    space_.format = "nifti", space_.source = name_;
    space_.shape = {static_cast<std::uint64_t>(h.nx), static_cast<std::uint64_t>(h.ny),
                    static_cast<std::uint64_t>(h.nz)};
    space_.affine = nifti::affine_of(h), space_.oriented = h.sform_code > 0 || h.qform_code > 0;
    space_.header = nifti::header_of(h, version_of(h));
    compressed_ = nifti_is_gzfile(h.iname) != 0;
    space_.extension = compressed_ ? ".nii.gz" : ".nii";
    if (std::isfinite(h.scl_slope) && h.scl_slope != 0)
      scaling_ = {h.scl_slope, std::isfinite(h.scl_inter) ? h.scl_inter : 0};
    if (!compressed_) check_length();
  }

  [[nodiscard]] Space const& space() const override { return space_; }
  [[nodiscard]] std::size_t volumes() const override { return volumes_; }

  void scan(std::span<std::uint64_t const> places,
            std::function<void(std::size_t, std::span<float const>)> const& sink) override {
    read_volumes<float>(places, 0, volumes_, sink);
  }

  template <class Out>
  void read_volumes(std::span<std::uint64_t const> places, std::size_t first, std::size_t last,
                    std::function<void(std::size_t, std::span<Out const>)> const& sink) {
    auto offsets = file_offsets(places);
    std::size_t volume_bytes = space_.size() * static_cast<std::size_t>(image_->nbyper);
    std::vector<std::byte> bytes(volume_bytes);
    std::vector<Out> values(places.size());
    Stream stream(image_->iname, compressed_);
    if (!stream.open()) fail(Exit::no_input, "{} cannot be opened", name_);
    if (!stream.seek(image_->iname_offset + static_cast<std::int64_t>(first * volume_bytes)))
      truncated(first, stream.failed);
    bool swap = image_->byteorder != nifti_short_order() && image_->nbyper > 1;
    for (std::size_t v = first; v < last; ++v) {
      if (stream.read(bytes.data(), volume_bytes) != volume_bytes) truncated(v, stream.failed);
      gather(image_->datatype, bytes.data(), offsets, swap, scaling_, values.data());
      sink(v, values);
    }
    // zlib checks its sum only once it sees the end of the stream.
    std::byte beyond;
    if (compressed_ && last == volumes_) {
      stream.read(&beyond, 1);
      if (stream.failed) truncated(volumes_ - 1, true);
    }
  }

 private:
  void check_length() const {
    std::error_code code;
    auto have = std::filesystem::file_size(image_->iname, code);
    auto need = static_cast<std::uint64_t>(image_->iname_offset) +
                static_cast<std::uint64_t>(volumes_) * space_.size() * static_cast<std::uint64_t>(image_->nbyper);
    if (!code && have < need)
      fail(Exit::data, "{} is truncated ({} bytes where its header promises {}); copy or download it again", name_,
           have, need);
  }
  [[noreturn]] void truncated(std::size_t volume, bool corrupt) const {
    fail(Exit::data, "{} is {} (reading stops in volume {} of {}); copy or download it again", name_,
         corrupt ? "corrupt" : "truncated", volume + 1, volumes_);
  }
  /// Flat C-order index → place in the file, where x runs fastest.
  [[nodiscard]] std::vector<std::uint64_t> file_offsets(std::span<std::uint64_t const> places) const {
    std::vector<std::uint64_t> offsets(places.size());
    std::uint64_t nx = space_.shape[0], ny = space_.shape[1], nz = space_.shape[2];
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::uint64_t z = places[i] % nz, y = places[i] / nz % ny, x = places[i] / (nz * ny);
      offsets[i] = x + nx * (y + ny * z);
    }
    return offsets;
  }

  Image image_;
  std::string name_;
  Space space_;
  std::size_t volumes_ = 1;
  Scaling scaling_;
  bool compressed_ = false;
};

}  // namespace

std::unique_ptr<ImageReader> open_nifti(std::filesystem::path const& path) {
  return std::make_unique<NiftiReader>(path);
}

bool is_nifti_name(std::filesystem::path const& path) {
  std::string name = path.filename().string();
  for (auto end : {".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"})
    if (ends_with(name, end)) return true;
  return false;
}

NiftiInfo nifti_info(std::filesystem::path const& path) {
  Image image = read_header(path);
  NiftiInfo info;
  info.version = version_of(*image);
  info.swapped = image->byteorder != nifti_short_order();
  info.dtype = type_name(image->datatype);
  info.slope = image->scl_slope, info.inter = image->scl_inter;
  info.qform_code = image->qform_code, info.sform_code = image->sform_code;
  for (int i = 1; i <= image->dim[0] && i < 8; ++i)
    info.dims.push_back(image->dim[i]), info.pixdim.push_back(image->pixdim[i]);
  return info;
}

std::vector<double> nifti_volume(std::filesystem::path const& path, std::size_t v) {
  NiftiReader reader(path);
  if (v >= reader.volumes())
    fail(Exit::data, "{} has {} volumes; volume {} was asked for", path.filename().string(), reader.volumes(), v + 1);
  std::vector<std::uint64_t> places(reader.space().size());
  std::iota(places.begin(), places.end(), 0);
  std::vector<double> out;
  reader.read_volumes<double>(
      places, v, v + 1, [&](std::size_t, std::span<double const> values) { out.assign(values.begin(), values.end()); });
  return out;
}

}  // namespace striate
