// JPEG through libjpeg-turbo. The decoder's defaults (accurate DCT, smooth chroma upsampling) are PIL's.
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "formats.hpp"

namespace striate {
namespace {

struct JpegHeader {
  ImageSize size;
  int components = 0;
  std::size_t scan = 0;                                   ///< offset behind the first start-of-scan marker
  std::vector<std::pair<std::size_t, std::size_t>> junk;  ///< [begin, end) of bytes between segments, in order
};

[[noreturn]] void truncated(char const* what) {
  fail(Exit::data, "is truncated ({}); copy or download it again", what);
}

void read_frame(ByteSource const& bytes, std::size_t at, JpegHeader& header) {
  std::array<std::uint8_t, 6> frame{};
  if (bytes.read(at, frame.data(), frame.size()) < frame.size()) truncated("it ends in its header");
  if (frame[0] != 8)
    fail(Exit::data, "has {} bits a channel, which neither striate nor PIL reads in a JPEG; convert it to PNG",
         frame[0]);
  header.size = {.width = frame[3] * 256U + frame[4], .height = frame[1] * 256U + frame[2]};
  header.components = frame[5];
}

/// Walks the marker segments up to the first scan.
JpegHeader read_header(ByteSource const& bytes) {
  JpegHeader header;
  std::size_t at = 2;
  while (true) {
    std::array<std::uint8_t, 4> head{};
    std::size_t const got = bytes.read(at, head.data(), head.size());
    if (got < 2) truncated("it ends in its header");
    std::uint8_t const marker = head[1];
    if (head[0] != 0xFF || marker == 0x00) {  // no marker: skipped, as libjpeg and PIL do
      std::size_t const end = at + (head[0] == 0xFF ? 2 : 1);
      if (!header.junk.empty() && header.junk.back().second == at)
        header.junk.back().second = end;
      else
        header.junk.emplace_back(at, end);
      at = end;
      continue;
    }
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // markers without a segment
      at += 2;
      continue;
    }
    if (marker == 0xD9) fail(Exit::data, "is damaged: it holds a header but no picture");
    if (got < 4) truncated("it ends in its header");
    std::size_t const length = head[2] * 256U + head[3];
    if (length < 2) fail(Exit::data, "is damaged: the segment at byte {} has no length", at);
    bool const frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame && header.components == 0) read_frame(bytes, at + 4, header);
    at += 2 + length;
    if (marker == 0xDA) break;
  }
  if (header.components == 0) fail(Exit::data, "is damaged: it has a scan but no frame header");
  header.scan = at;
  return header;
}

/// Is there an end-of-image marker behind `from`? In a scan 0xFF is always escaped, so any FF D9 is one.
bool has_end(ByteSource const& bytes, std::size_t from) {
  constexpr std::size_t tail = 4096, piece = 65536;
  auto holds_end = [&](std::size_t start, std::size_t end) {
    std::vector<std::uint8_t> part(end - start);
    std::size_t const got = bytes.read(start, part.data(), part.size());
    for (std::size_t i = 0; i + 1 < got; ++i)
      if (part[i] == 0xFF && part[i + 1] == 0xD9) return true;
    return false;
  };
  std::size_t const size = bytes.size();
  if (size <= from) return false;
  if (holds_end(size > from + tail ? size - tail : from, size)) return true;
  for (std::size_t at = from; at + 1 < size; at += piece - 1)  // something long is appended: look everywhere
    if (holds_end(at, std::min(size, at + piece))) return true;
  return false;
}

JpegHeader checked_header(ByteSource const& bytes) {
  JpegHeader const header = read_header(bytes);
  check_pixels(header.size);
  if (header.components != 1 && header.components != 3 && header.components != 4)
    fail(Exit::data, "has {} colour components; a JPEG has 1 (grey), 3 (colour) or 4 (CMYK)", header.components);
  if (!has_end(bytes, header.scan)) truncated("its end-of-image marker is missing");
  return header;
}

/// One decoder a picture (making one takes no time): kept, it would lend tables of the last picture to one without.
class TurboDecoder {
 public:
  TurboDecoder() : handle_(tjInitDecompress()) {
    if (handle_ == nullptr) fail(Exit::limit, "the JPEG decoder cannot be started ({})", tjGetErrorStr2(nullptr));
  }
  ~TurboDecoder() { tjDestroy(handle_); }
  TurboDecoder(TurboDecoder const&) = delete;
  TurboDecoder& operator=(TurboDecoder const&) = delete;

  /// Throws on any warning that means guessed pixels.
  void decode(std::uint8_t const* data, std::size_t bytes, JpegHeader const& header, int format, std::uint8_t* out) {
    // The decoder tells its first warning only. So what it would warn of without harm is cut out, lest it hide another.
    std::vector<std::uint8_t> clean;
    if (!header.junk.empty()) {
      std::size_t from = 0;
      for (auto const& [begin, end] : header.junk) {
        clean.insert(clean.end(), data + from, data + begin);
        from = end;
      }
      clean.insert(clean.end(), data + from, data + bytes);
    }
    auto attempt = [&] {
      return clean.empty() ? run(data, bytes, header.size, format, out)
                           : run(clean.data(), clean.size(), header.size, format, out);
    };
    if (attempt() || harmless(said())) return;
    if (std::size_t const padding = extraneous(said()); padding > 0) {
      if (clean.empty()) clean.assign(data, data + bytes);
      if (cut_padding(clean, bytes - header.scan, padding) && (attempt() || harmless(said()))) return;
    }
    fail(Exit::data, "is damaged ({}); copy or download it again", said());
  }

 private:
  /// Did all go without a warning? Throws where there is no picture.
  bool run(std::uint8_t const* data, std::size_t bytes, ImageSize size, int format, std::uint8_t* out) {
    int flags = TJFLAG_ACCURATEDCT;
#ifdef TJFLAG_LIMITSCANS
    flags |= TJFLAG_LIMITSCANS;  // thousands of empty progressive scans would take hours
#endif
    int const status = tjDecompress2(handle_, data, bytes, out, static_cast<int>(size.width), 0,
                                     static_cast<int>(size.height), format, flags);
    if (status != 0 && tjGetErrorCode(handle_) != TJERR_WARNING)
      fail(Exit::data, "is damaged ({}); copy or download it again", said());
    return status == 0;
  }

  std::string_view said() const { return tjGetErrorStr2(handle_); }

  /// Oddities of encoders, not of data. All other warnings mean that the decoder guessed pixels.
  static bool harmless(std::string_view said) {
    return said.starts_with("Warning: unknown JFIF") || said.starts_with("Unknown Adobe color transform") ||
           said.starts_with("Invalid SOS parameters for sequential JPEG");
  }

  /// How many bytes stood between the scan and the end of the image, if that was the warning.
  static std::size_t extraneous(std::string_view said) {
    constexpr std::string_view before = "Corrupt JPEG data: ", after = " extraneous bytes before marker 0xd9";
    if (!said.starts_with(before) || !said.ends_with(after)) return 0;
    std::size_t count = 0;
    std::from_chars(said.data() + before.size(), said.data() + said.size(), count);
    return count;
  }

  /// Cuts `count` equal bytes out before the end-of-image marker, which some writers pad with. Bytes that differ are
  /// what a damaged scan leaves over: false. `tail`: bytes from the first scan on.
  static bool cut_padding(std::vector<std::uint8_t>& bytes, std::size_t tail, std::size_t count) {
    constexpr std::array<std::uint8_t, 2> marker{0xFF, 0xD9};
    auto const scan = bytes.end() - static_cast<std::ptrdiff_t>(tail);
    auto const end = std::search(scan, bytes.end(), marker.begin(), marker.end());
    if (end == bytes.end() || static_cast<std::size_t>(end - scan) < count) return false;
    auto const begin = end - static_cast<std::ptrdiff_t>(count);
    if (std::any_of(begin, end, [&](auto byte) { return byte != *begin; })) return false;
    bytes.erase(begin, end);
    return true;
  }

  tjhandle handle_;
};

/// PIL takes every CMYK file as Adobe writes it, inverted: ink = 255 − value. Then R = (255−K) − C (255−K)/255.
void cmyk_to_rgb(std::uint8_t const* cmyk, std::size_t pixels, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < pixels; ++i) {
    int const light = cmyk[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      int const product = (255 - cmyk[4 * i + c]) * light + 128;
      rgb[3 * i + c] = static_cast<std::uint8_t>(light - (((product >> 8) + product) >> 8));
    }
  }
}

}  // namespace

bool jpeg_claims(std::uint8_t const* head, std::size_t bytes) {
  return bytes >= 3 && head[0] == 0xFF && head[1] == 0xD8 && head[2] == 0xFF;
}

ImageSize jpeg_probe(ByteSource const& bytes) { return checked_header(bytes).size; }

void jpeg_decode(std::uint8_t const* data, std::size_t bytes, Image& into) {
  JpegHeader const header = checked_header(MemoryBytes(data, bytes));
  TurboDecoder decoder;
  set_size(into, header.size);
  if (header.components != 4) {
    decoder.decode(data, bytes, header, TJPF_RGB, into.rgb.data());
    return;
  }
  std::size_t const pixels = into.width * into.height;
  thread_local std::vector<std::uint8_t> cmyk;
  cmyk.resize(4 * pixels);
  decoder.decode(data, bytes, header, TJPF_CMYK, cmyk.data());
  cmyk_to_rgb(cmyk.data(), pixels, into.rgb.data());
}

}  // namespace striate
