// When the frames of a video are shown: from the packets alone, or by decoding.
#include <algorithm>
#include <array>

#include "../video.hpp"
#include "av.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/media.hpp"

namespace striate {
namespace {

using av::Input;

/// Of these codecs a packet is a frame that is shown, and a key frame needs nothing before it.
bool packets_are_frames(AVCodecID codec) {
  constexpr std::array known{AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,       AV_CODEC_ID_VP9,     AV_CODEC_ID_AV1,
                             AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4,   AV_CODEC_ID_H263,
                             AV_CODEC_ID_MJPEG,      AV_CODEC_ID_PNG,        AV_CODEC_ID_FFV1,    AV_CODEC_ID_PRORES,
                             AV_CODEC_ID_DNXHD,      AV_CODEC_ID_HUFFYUV,    AV_CODEC_ID_RAWVIDEO};
  return std::find(known.begin(), known.end(), codec) != known.end();
}

/// False where the packets do not tell.
bool index_packets(Input& input, VideoIndex& index) {
  if (!packets_are_frames(input.stream->codecpar->codec_id)) return false;
  bool known = true, begun = false;
  while (input.next()) {
    AVPacket const& packet = *input.packet;
    bool const key = (packet.flags & AV_PKT_FLAG_KEY) != 0;
    begun = begun || key;  // what comes before cannot be decoded
    if (!begun || (packet.flags & AV_PKT_FLAG_DISCARD) != 0) continue;
    if (packet.pts == AV_NOPTS_VALUE) known = false;
    index.shown.push_back(packet.pts);
    if (key) index.keys.push_back(packet.pts);
  }
  if (!known || index.shown.empty()) return false;
  std::sort(index.shown.begin(), index.shown.end());
  std::sort(index.keys.begin(), index.keys.end());
  // Two packets at one time: fields, or a container that does not know.
  return index.keys.front() == index.shown.front() &&
         std::adjacent_find(index.shown.begin(), index.shown.end()) == index.shown.end();
}

void index_by_decoding(std::filesystem::path const& path, VideoIndex& index) {
  Input input(path, AVMEDIA_TYPE_VIDEO);
  auto const decoder = av::open_decoder(input);
  auto const frame = av::new_frame();
  index.shown.clear(), index.keys.clear();
  bool times = true;
  auto const take = [&] {
    while (avcodec_receive_frame(decoder.get(), frame.get()) >= 0) {
      std::int64_t const shown = frame->best_effort_timestamp;
      times = times && shown != AV_NOPTS_VALUE && (index.shown.empty() || shown > index.shown.back());
      index.shown.push_back(shown);
    }
  };
  while (input.next()) {
    if (avcodec_send_packet(decoder.get(), input.packet.get()) < 0) continue;
    take();
  }
  (void)avcodec_send_packet(decoder.get(), nullptr);
  take();
  if (times) return;
  AVRational const rate = input.stream->avg_frame_rate.num > 0 ? input.stream->avg_frame_rate : AVRational{25, 1};
  index.tick = static_cast<double>(rate.den) / rate.num;
  for (std::size_t i = 0; i < index.shown.size(); ++i) index.shown[i] = static_cast<std::int64_t>(i);
}

}  // namespace

std::shared_ptr<VideoIndex const> index_video(std::filesystem::path const& path) {
  auto index = std::make_shared<VideoIndex>();
  Input input(path, AVMEDIA_TYPE_VIDEO);
  index->tick = av_q2d(input.stream->time_base);
  index->seeks = index_packets(input, *index);
  if (input.truncated)
    fail(Exit::data, "{} is truncated (its last packet lacks its end); copy or download it again", path.string());
  if (!index->seeks) index_by_decoding(path, *index);
  if (index->shown.empty()) fail(Exit::data, "{} holds no frame", path.string());
  std::size_t const n = index->frames();
  AVRational const rate = input.stream->avg_frame_rate;
  index->frame_seconds = rate.num > 0 ? static_cast<double>(rate.den) / rate.num : 0.04;
  if (n > 1) index->frame_seconds = index->seconds_of(n - 1) / static_cast<double>(n - 1);
  return index;
}

void probe_video(std::filesystem::path const& path) {
  Input input(path, AVMEDIA_TYPE_VIDEO);
  (void)av::open_decoder(input);
  if (!input.next()) fail(Exit::data, "{} holds no frame", path.string());
}

double video_seconds(std::filesystem::path const& path) { return index_video(path)->seconds(); }

}  // namespace striate
