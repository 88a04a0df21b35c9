#pragma once
/// Owners of FFmpeg's objects, and its errors as ours.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <filesystem>
#include <memory>
#include <string>

namespace striate::av {

struct Free {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};
template <class T>
using Own = std::unique_ptr<T, Free>;

/// A file with one of its streams chosen, the others being passed over.
struct Input {
  std::filesystem::path path;
  Own<AVFormatContext> format;
  AVStream* stream = nullptr;
  Own<AVPacket> packet;
  bool truncated = false;  ///< a packet lacked its end, or reading failed before the end of the file

  /// Opens it. Throws Error(Exit::no_input | Exit::data) naming the file: missing, of no known format, without such a
  /// stream (AVMEDIA_TYPE_VIDEO | AVMEDIA_TYPE_AUDIO), cut off before its table of contents.
  Input(std::filesystem::path file, AVMediaType type);
  /// The next packet of the stream; false at the end.
  bool next();
};

/// A decoder for the stream, on one thread. Throws Error(Exit::data) naming the file where FFmpeg has none.
[[nodiscard]] Own<AVCodecContext> open_decoder(Input const& input);
[[nodiscard]] std::string error_text(int code);
/// A new object, or Error(Exit::limit).
[[nodiscard]] Own<AVFrame> new_frame();

}  // namespace striate::av
