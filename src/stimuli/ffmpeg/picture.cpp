#include "picture.hpp"

#include <cmath>
#include <cstring>

#include "../formats.hpp"
#include "striate/base/error.hpp"

namespace striate::av {
namespace {

/// Rows of `stride` bytes → dense, turned clockwise.
void turn(std::uint8_t const* from, std::size_t stride, ImageSize size, int quarter_turns, Image& into) {
  std::size_t const w = size.width, h = size.height;
  bool const swaps = quarter_turns % 2 != 0;
  set_size(into, {.width = swaps ? h : w, .height = swaps ? w : h});
  if (quarter_turns == 0) {
    for (std::size_t y = 0; y < h; ++y) std::memcpy(into.rgb.data() + 3 * w * y, from + stride * y, 3 * w);
    return;
  }
  for (std::size_t y = 0; y < h; ++y)
    for (std::size_t x = 0; x < w; ++x) {
      std::size_t const to_x = quarter_turns == 1 ? h - 1 - y : quarter_turns == 2 ? w - 1 - x : y;
      std::size_t const to_y = quarter_turns == 1 ? x : quarter_turns == 2 ? h - 1 - y : w - 1 - x;
      std::memcpy(into.rgb.data() + 3 * (to_y * into.width + to_x), from + stride * y + 3 * x, 3);
    }
}

std::uint8_t const* display_matrix(AVStream const& stream) {
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  auto const* data = av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                                             AV_PKT_DATA_DISPLAYMATRIX);
  return data != nullptr ? data->data : nullptr;
#else
  return av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr);
#endif
}

}  // namespace

void PictureMaker::set_stream(AVStream const& stream) {
  quarter_turns_ = 0;
  std::uint8_t const* const matrix = display_matrix(stream);
  if (matrix == nullptr) return;
  double const turned = av_display_rotation_get(reinterpret_cast<std::int32_t const*>(matrix));  // anticlockwise
  if (std::isnan(turned)) return;
  quarter_turns_ = (static_cast<int>(std::lround(-turned / 90)) % 4 + 4) % 4;
}

void PictureMaker::set_up(AVFrame const& frame, std::filesystem::path const& file) {
  auto const format = static_cast<AVPixelFormat>(frame.format);
  scaler_.reset(sws_getContext(frame.width, frame.height, format, frame.width, frame.height, AV_PIX_FMT_RGB24,
                               SWS_BICUBIC, nullptr, nullptr, nullptr));
  if (!scaler_) {
    char const* const name = av_get_pix_fmt_name(format);
    fail(Exit::data,
         "{} has pixels of format {}, which cannot become RGB; convert it (ffmpeg -i FILE -pix_fmt yuv420p)",
         file.string(), name != nullptr ? name : "unknown");
  }
  width_ = frame.width, height_ = frame.height, format_ = frame.format;
  space_ = frame.colorspace, range_ = frame.color_range;
  int *matrix = nullptr, *out_matrix = nullptr;
  int full = 0, out_full = 0, brightness = 0, contrast = 0, saturation = 0;
  if (sws_getColorspaceDetails(scaler_.get(), &matrix, &full, &out_matrix, &out_full, &brightness, &contrast,
                               &saturation) < 0)
    return;  // no conversion between colour spaces: the frame is RGB
  bool const named = space_ >= 1 && space_ <= 10 && space_ != 8;
  int const* const coefficients = sws_getCoefficients(named ? space_ : SWS_CS_DEFAULT);
  if (range_ != AVCOL_RANGE_UNSPECIFIED) full = range_ == AVCOL_RANGE_JPEG ? 1 : 0;
  (void)sws_setColorspaceDetails(scaler_.get(), coefficients, full, coefficients, out_full, brightness, contrast,
                                 saturation);
}

void PictureMaker::convert(AVFrame const& frame, std::filesystem::path const& file, Image& into) {
  if (!scaler_ || frame.width != width_ || frame.height != height_ || frame.format != format_ ||
      frame.colorspace != space_ || frame.color_range != range_)
    set_up(frame, file);
  auto const width = static_cast<std::size_t>(width_), height = static_cast<std::size_t>(height_);
  std::size_t const stride = (3 * width + 63) / 64 * 64 + 64;  // its vector code writes beyond a row
  rows_.resize(stride * height + 64);
  std::uint8_t* planes[] = {rows_.data(), nullptr, nullptr, nullptr};
  int const strides[] = {static_cast<int>(stride), 0, 0, 0};
  if (sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, planes, strides) != frame.height)
    fail(Exit::data, "{} has a frame that cannot become RGB", file.string());
  turn(rows_.data(), stride, {.width = width, .height = height}, quarter_turns_, into);
}

}  // namespace striate::av
