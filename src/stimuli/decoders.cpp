#include <algorithm>
#include <array>

#include "formats.hpp"

namespace striate {

std::vector<ImageDecoder> const& image_decoders() {
  static std::vector<ImageDecoder> const table{
      {"JPEG", "grey, colour, CMYK; baseline and progressive, 8 bits", jpeg_claims, jpeg_probe, jpeg_decode},
      {"PNG", "grey, colour, palette; 1 to 16 bits, interlaced or not", png_claims, png_probe, png_decode}};
  return table;
}

namespace {

/// What users hand in instead, to say more than "no picture".
struct Foreign {
  char const* name;
  std::size_t at;
  std::string_view begins;
  char const* advice;
};
using namespace std::string_view_literals;
constexpr char const* convert = "convert it to PNG or JPEG (magick mogrify -format png FILE)";
constexpr char const* fetch = "the picture itself was not downloaded; fetch it again";
constexpr std::array foreign{Foreign{"a GIF", 0, "GIF8"sv, convert},
                             Foreign{"a BMP picture", 0, "BM"sv, convert},
                             Foreign{"a WebP picture", 8, "WEBP"sv, convert},
                             Foreign{"a TIFF picture", 0, "II*\0"sv, convert},
                             Foreign{"a TIFF picture", 0, "MM\0*"sv, convert},
                             Foreign{"a JPEG 2000 picture", 4, "jP  "sv, convert},
                             Foreign{"a HEIF or AVIF picture", 4, "ftyphei"sv, convert},
                             Foreign{"a HEIF or AVIF picture", 4, "ftypmif1"sv, convert},
                             Foreign{"a HEIF or AVIF picture", 4, "ftypavif"sv, convert},
                             Foreign{"a Photoshop picture", 0, "8BPS"sv, convert},
                             Foreign{"a web page or SVG", 0, "<"sv, fetch},
                             Foreign{"a Git LFS pointer", 0, "version https://git-lfs"sv, fetch},
                             Foreign{"a git-annex pointer", 0, "/annex/"sv, fetch},
                             Foreign{"a MATLAB or HDF5 file", 1, "HDF\r\n"sv, "export its pictures as PNG"},
                             Foreign{"a NumPy array", 1, "NUMPY"sv, "export its pictures as PNG"}};

ImageDecoder const& decoder_of(ByteSource const& source) {
  std::array<std::uint8_t, 32> head{};
  std::size_t const bytes = source.read(0, head.data(), head.size());
  if (bytes == 0) fail(Exit::data, "is empty; copy or download it again");
  for (auto const& decoder : image_decoders())
    if (decoder.claims(head.data(), bytes)) return decoder;
  std::string_view const text(reinterpret_cast<char const*>(head.data()), bytes);
  for (auto const& format : foreign)
    if (text.size() > format.at && text.substr(format.at).starts_with(format.begins))
      fail(Exit::data, "is {}, which striate does not read; {}", format.name, format.advice);
  std::string names;
  for (auto const& decoder : image_decoders()) names += (names.empty() ? "" : " or ") + std::string(decoder.name);
  fail(Exit::data, "is no {} file, whatever its name says; {}", names, convert);
}

/// Puts the file's name before what a decoder has to say about it.
template <class Work>
auto named(std::filesystem::path const& path, Work&& work) {
  try {
    return work();
  } catch (Error const& error) {
    if (error.code() != Exit::data) throw;  // of the file system: named already
    throw Error(error.code(), path.string() + " " + error.what());
  }
}

}  // namespace

void check_pixels(ImageSize size) {
  constexpr std::size_t most = 178956970;  // twice PIL's MAX_IMAGE_PIXELS, where its DecompressionBombError begins
  if (size.width == 0 || size.height == 0)
    fail(Exit::data, "is damaged: its header says {} × {} pixels", size.width, size.height);
  if (size.width > most / size.height)
    fail(Exit::data, "has {} × {} pixels (more than {} are taken for damage); shrink it", size.width, size.height,
         most);
}

void set_size(Image& into, ImageSize size) {
  check_pixels(size);
  into.width = size.width, into.height = size.height;
  into.rgb.resize(3 * size.width * size.height);
}

void read_image(std::filesystem::path const& path, Image& into) {
  thread_local std::vector<std::uint8_t> content;
  FileBytes const file(path);
  named(path, [&] {
    ImageDecoder const& decoder = decoder_of(file);  // first: what is no picture may be too large for the memory
    content.resize(file.size());
    content.resize(file.read(0, content.data(), content.size()));
    decoder.decode(content.data(), content.size(), into);
  });
}

Image read_image(std::filesystem::path const& path) {
  Image image;
  read_image(path, image);
  return image;
}

ImageSize probe_image(std::filesystem::path const& path) {
  FileBytes const file(path);
  return named(path, [&] { return decoder_of(file).probe(file); });
}

}  // namespace striate
