#include "../video.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "av.hpp"
#include "picture.hpp"
#include "striate/base/error.hpp"

namespace striate {

using av::Input;
using av::Own;

struct VideoFile::Impl {
  std::filesystem::path path;
  std::shared_ptr<VideoIndex const> index;
  std::optional<Input> input;
  Own<AVCodecContext> decoder;
  Own<AVFrame> frame = av::new_frame();
  av::PictureMaker pictures;
  std::optional<std::size_t> at;   ///< the frame in `frame`
  bool ended = false;              ///< the decoder was told that no packet follows
  bool spoiled = false;            ///< something since the last key frame was damaged
  std::set<std::int64_t> damaged;  ///< times of frames on their way that cannot be trusted

  void open();
  void seek(std::int64_t key);
  void feed(std::int64_t wanted);
  bool receive(std::int64_t wanted);
  void go_to(std::size_t number);
  void decode_to(std::size_t number);
  [[nodiscard]] std::int64_t key_before(std::size_t number) const {
    return *std::prev(std::upper_bound(index->keys.begin(), index->keys.end(), index->shown[number]));
  }
  [[noreturn]] void broken(std::size_t number) const {
    fail(Exit::data, "{} is damaged at frame {} ({:.3f} s), or at one that it is built on; copy or encode it again",
         path.string(), number + 1, index->seconds_of(number));
  }
};

void VideoFile::Impl::open() {
  decoder.reset();
  input.reset();
  input.emplace(path, AVMEDIA_TYPE_VIDEO);
  decoder = av::open_decoder(*input);
  pictures.set_stream(*input->stream);
  at.reset();
  ended = spoiled = false;
  damaged.clear();
}

/// To the packet of a key frame, or some way before it.
void VideoFile::Impl::seek(std::int64_t key) {
  at.reset();
  ended = spoiled = false;
  damaged.clear();
  if (av_seek_frame(input->format.get(), input->stream->index, key, AVSEEK_FLAG_BACKWARD) < 0) return open();
  avcodec_flush_buffers(decoder.get());
}

/// One packet on. Frames before the wanted one that nothing is built on are passed over.
void VideoFile::Impl::feed(std::int64_t wanted) {
  if (!input->next()) {
    (void)avcodec_send_packet(decoder.get(), nullptr);
    ended = true;
    return;
  }
  AVPacket const& packet = *input->packet;
  if ((packet.flags & AV_PKT_FLAG_KEY) != 0) spoiled = false;
  bool const skip = index->seeks && packet.pts < wanted;
  decoder->skip_frame = skip ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
  bool const whole = (packet.flags & AV_PKT_FLAG_CORRUPT) == 0;
  if (avcodec_send_packet(decoder.get(), &packet) < 0 || !whole) spoiled = true;
  if (spoiled && packet.pts != AV_NOPTS_VALUE) damaged.insert(packet.pts);
}

/// The next frame of the decoder, if it has one.
bool VideoFile::Impl::receive(std::int64_t wanted) {
  while (true) {
    int const code = avcodec_receive_frame(decoder.get(), frame.get());
    if (code >= 0) {
      bool const unsound = frame->decode_error_flags != 0;
      spoiled = spoiled || unsound;
      if (unsound || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0) damaged.insert(frame->best_effort_timestamp);
      return true;
    }
    if (code == AVERROR_EOF || ended) return false;
    if (code != AVERROR(EAGAIN)) {
      spoiled = true;
      if (input->packet->pts != AV_NOPTS_VALUE) damaged.insert(input->packet->pts);
    }
    feed(wanted);
  }
}

/// Files that do not tell when frames are shown: counts frames.
void VideoFile::Impl::decode_to(std::size_t number) {
  if (!input || (at && *at > number)) open();
  while (!at || *at < number) {
    if (!receive(0) || spoiled || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      at.reset(), input.reset();
      broken(number);
    }
    at = at ? *at + 1 : 0;
  }
}

void VideoFile::Impl::go_to(std::size_t number) {
  if (!index->seeks) return decode_to(number);
  std::int64_t const wanted = index->shown[number], key = key_before(number);
  if (!input) open();
  // A few frames on it decodes whatever lies between; further on, nothing before the key frame.
  bool const forward = at && *at < number && (index->shown[*at] >= key || number - *at <= 4);
  bool sought = false;
  // Without a place the file was just opened, or the last frame was damaged.
  if (!forward) seek(key), sought = true;
  while (true) {
    bool const there = receive(wanted);
    std::int64_t const shown = there ? frame->pts : std::numeric_limits<std::int64_t>::max();
    if (shown == wanted) {
      if (damaged.contains(shown)) break;
      damaged.erase(damaged.begin(), damaged.lower_bound(shown));
      at = number;
      return;
    }
    if (shown > wanted) {
      if (!sought) break;
      // The container landed behind the key frame: from the start, once.
      open(), sought = false;
    }
  }
  at.reset(), input.reset();
  broken(number);
}

VideoFile::VideoFile(std::filesystem::path path, std::shared_ptr<VideoIndex const> index)
    : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  impl_->index = std::move(index);
}
VideoFile::~VideoFile() = default;

void VideoFile::frame(std::size_t number, Image& into) {
  Impl& my = *impl_;
  if (number >= my.index->frames())
    fail(Exit::data, "{} has {} frames, but frame {} is asked for", my.path.string(), my.index->frames(), number + 1);
  if (my.at != number) my.go_to(number);
  my.pictures.convert(*my.frame, my.path, into);
}

std::filesystem::path const& VideoFile::path() const { return impl_->path; }
VideoIndex const& VideoFile::index() const { return *impl_->index; }

}  // namespace striate
