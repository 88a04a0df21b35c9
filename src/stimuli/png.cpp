// PNG through libpng, with PIL's conversions: alpha, transparency, gamma and background are ignored.
#include <png.h>

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "formats.hpp"

namespace striate {
namespace {

constexpr std::array<std::uint8_t, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::array<std::uint8_t, 12> end_chunk{0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};

/// What outlives libpng's longjmp: everything with a destructor.
struct PngJob {
  std::uint8_t const* data = nullptr;
  std::size_t bytes = 0, at = 0;
  png_structp png = nullptr;
  png_infop info = nullptr;
  Image* into = nullptr;
  std::vector<png_bytep> rows;
  std::vector<std::uint8_t> indices;  ///< of palette pictures
  std::array<char, 160> said{};
  ~PngJob() { png_destroy_read_struct(&png, &info, nullptr); }
};

void on_error(png_structp png, png_const_charp what) {
  auto& job = *static_cast<PngJob*>(png_get_error_ptr(png));
  std::snprintf(job.said.data(), job.said.size(), "%s", what);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}  // of chunks that do not touch the pixels

void give_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto& job = *static_cast<PngJob*>(png_get_io_ptr(png));
  if (count > job.bytes - job.at) png_error(png, "it ends too early");
  std::memcpy(to, job.data + job.at, count);
  job.at += count;
}

/// Everything but palettes comes out as 8-bit RGB; those as one index a byte.
void set_conversions(PngJob& job, int type, int depth) {
  if (type == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(job.png);
    return;
  }
  // PIL keeps the high byte of 16-bit colour; of 16-bit grey it makes white of all above 255, which nobody wants.
  if (depth == 16 && type == PNG_COLOR_TYPE_GRAY) png_set_scale_16(job.png);
  if (depth == 16 && type != PNG_COLOR_TYPE_GRAY) png_set_strip_16(job.png);
  if (depth < 8) png_set_expand_gray_1_2_4_to_8(job.png);
  if ((type & PNG_COLOR_MASK_ALPHA) != 0) png_set_strip_alpha(job.png);
  if ((type & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(job.png);
}

void set_rows(PngJob& job, std::uint8_t* first, std::size_t stride) {
  job.rows.resize(job.into->height);
  for (std::size_t y = 0; y < job.rows.size(); ++y) job.rows[y] = first + y * stride;
}

/// False where libpng gave up; job.said tells why. No object with a destructor may live in this frame.
bool run(PngJob& job, bool header) {
  if (setjmp(png_jmpbuf(job.png)) != 0) return false;
  if (header) {
    png_read_info(job.png, job.info);
    return true;
  }
  png_read_image(job.png, job.rows.data());
  png_read_end(job.png, nullptr);
  return true;
}

[[noreturn]] void damaged(PngJob const& job) {
  fail(Exit::data, "is damaged ({}); copy or download it again", job.said.data());
}

void map_palette(PngJob& job) {
  png_colorp palette = nullptr;
  int colours = 0;
  if (png_get_PLTE(job.png, job.info, &palette, &colours) == 0) fail(Exit::data, "is damaged: its palette is missing");
  std::uint8_t* out = job.into->rgb.data();
  for (std::uint8_t const index : job.indices) {
    if (index >= colours)
      fail(Exit::data, "is damaged: a pixel has colour {} of a palette of {}; convert it anew", index, colours);
    *out++ = palette[index].red, *out++ = palette[index].green, *out++ = palette[index].blue;
  }
}

}  // namespace

bool png_claims(std::uint8_t const* head, std::size_t bytes) {
  return bytes >= signature.size() && std::memcmp(head, signature.data(), signature.size()) == 0;
}

ImageSize png_probe(ByteSource const& bytes) {
  std::array<std::uint8_t, 24> head{};
  if (bytes.read(0, head.data(), head.size()) < head.size())
    fail(Exit::data, "is truncated (it ends in its header); copy or download it again");
  if (std::memcmp(head.data() + 12, "IHDR", 4) != 0) fail(Exit::data, "is damaged: a PNG begins with the chunk IHDR");
  auto number = [](std::uint8_t const* at) { return std::size_t{at[0]} << 24 | at[1] << 16 | at[2] << 8 | at[3]; };
  ImageSize const size{.width = number(&head[16]), .height = number(&head[20])};
  check_pixels(size);
  std::array<std::uint8_t, 12> part{};
  if (bytes.size() >= part.size() && bytes.read(bytes.size() - part.size(), part.data(), part.size()) == part.size() &&
      part == end_chunk)
    return size;
  for (std::size_t at = signature.size(); bytes.read(at, part.data(), 8) == 8; at += 12 + number(part.data()))
    if (std::memcmp(&part[4], "IEND", 4) == 0 && at + 12 <= bytes.size()) return size;  // something is appended
  fail(Exit::data, "is truncated (its end chunk is missing); copy or download it again");
}

void png_decode(std::uint8_t const* data, std::size_t bytes, Image& into) {
  ImageSize const size = png_probe(MemoryBytes(data, bytes));
  PngJob job;
  job.data = data, job.bytes = bytes, job.into = &into;
  job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
  job.info = job.png != nullptr ? png_create_info_struct(job.png) : nullptr;
  if (job.info == nullptr) fail(Exit::limit, "the PNG decoder cannot be started");
  png_set_read_fn(job.png, &job, give_bytes);
  if (!run(job, true)) damaged(job);
  int const type = png_get_color_type(job.png, job.info), depth = png_get_bit_depth(job.png, job.info);
  set_size(into, size);
  set_conversions(job, type, depth);
  if (type == PNG_COLOR_TYPE_PALETTE) {
    job.indices.resize(size.width * size.height);
    set_rows(job, job.indices.data(), size.width);
  } else {
    set_rows(job, into.rgb.data(), 3 * size.width);
  }
  if (!run(job, false)) damaged(job);
  if (type == PNG_COLOR_TYPE_PALETTE) map_palette(job);
}

}  // namespace striate
