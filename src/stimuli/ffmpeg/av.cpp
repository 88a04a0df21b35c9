#include "av.hpp"

#include <mutex>

#include "../bytes.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/media.hpp"

namespace striate {
namespace av {

std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

Own<AVFrame> new_frame() {
  Own<AVFrame> frame(av_frame_alloc());
  if (!frame) fail(Exit::limit, "out of memory for a frame of a video");
  return frame;
}

Input::Input(std::filesystem::path file, AVMediaType type) : path(std::move(file)) {
  static std::once_flag quiet;
  std::call_once(quiet, [] { av_log_set_level(AV_LOG_QUIET); });
  FileBytes const there(path);  // says what is wrong with a file that cannot be opened
  char const* what = type == AVMEDIA_TYPE_VIDEO ? "video" : "sound";
  if (there.size() == 0) fail(Exit::data, "{} is empty; copy or download it again", path.string());
  AVFormatContext* opened = nullptr;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);  // a play list must not open anything else
  int code = avformat_open_input(&opened, ("file:" + path.string()).c_str(), nullptr, &options);
  av_dict_free(&options);
  if (code < 0)
    fail(Exit::data, "{} is no {} that FFmpeg can read ({}): of another kind, or cut off before its end", path.string(),
         what, error_text(code));
  format.reset(opened);
  if ((code = avformat_find_stream_info(opened, nullptr)) < 0)
    fail(Exit::data, "{} is damaged: FFmpeg finds no stream in it ({})", path.string(), error_text(code));
  int const found = av_find_best_stream(opened, type, -1, -1, nullptr, 0);
  if (found < 0) fail(Exit::data, "{} holds no {}", path.string(), what);
  for (unsigned i = 0; i < opened->nb_streams; ++i)
    if (static_cast<int>(i) != found) opened->streams[i]->discard = AVDISCARD_ALL;
  stream = opened->streams[found];
  packet.reset(av_packet_alloc());
  if (!packet) fail(Exit::limit, "out of memory for a packet of {}", path.string());
}

bool Input::next() {
  while (true) {
    av_packet_unref(packet.get());
    int const code = av_read_frame(format.get(), packet.get());
    if (code == AVERROR(EAGAIN)) continue;
    if (code < 0) {
      if (code != AVERROR_EOF || (format->pb != nullptr && format->pb->error < 0)) truncated = true;
      return false;
    }
    if (packet->stream_index != stream->index) continue;
    if ((packet->flags & AV_PKT_FLAG_CORRUPT) != 0) truncated = true;
    return true;
  }
}

Own<AVCodecContext> open_decoder(Input const& input) {
  AVCodecParameters const* known = input.stream->codecpar;
  AVCodec const* codec = avcodec_find_decoder(known->codec_id);
  if (codec == nullptr)
    fail(Exit::data, "{} is coded as {}, which this FFmpeg cannot decode; convert it (ffmpeg -i FILE -crf 18 OUT.mp4)",
         input.path.string(), avcodec_get_name(known->codec_id));
  Own<AVCodecContext> decoder(avcodec_alloc_context3(codec));
  if (!decoder) fail(Exit::limit, "out of memory for a decoder of {}", input.path.string());
  int code = avcodec_parameters_to_context(decoder.get(), known);
  decoder->pkt_timebase = input.stream->time_base;
  decoder->thread_count = 1;  // threads decode files side by side
  decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
  // Frames before a key frame of an open group come out flagged; left out, they would take others with them at the end.
  decoder->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
  if (code >= 0) code = avcodec_open2(decoder.get(), codec, nullptr);
  if (code < 0) fail(Exit::data, "{} cannot be decoded ({})", input.path.string(), error_text(code));
  return decoder;
}

}  // namespace av

std::string media_libraries() {
  auto const text = [](unsigned v) {
    return std::to_string(v >> 16) + "." + std::to_string(v >> 8 & 255) + "." + std::to_string(v & 255);
  };
  return "libavcodec " + text(avcodec_version()) + ", libavformat " + text(avformat_version()) + ", libswscale " +
         text(swscale_version());
}

void require_media(char const*) {}

}  // namespace striate
