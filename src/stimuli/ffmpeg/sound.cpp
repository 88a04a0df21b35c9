#include "../sound.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "../bytes.hpp"
#include "av.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/media.hpp"

namespace striate {
namespace {

using av::Input;
using av::Own;

int channels_of(AVFrame const& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
  return frame.ch_layout.nb_channels;
#else
  return frame.channels;
#endif
}

template <class T>
double sample(AVFrame const& frame, bool planar, int channels, int channel, int i) {
  std::uint8_t const* const data = planar ? frame.extended_data[channel] : frame.extended_data[0];
  T value;
  std::memcpy(&value, data + sizeof(T) * static_cast<std::size_t>(planar ? i : i * channels + channel), sizeof(T));
  if constexpr (std::is_floating_point_v<T>) return static_cast<double>(value);
  if constexpr (std::is_same_v<T, std::uint8_t>) return (static_cast<double>(value) - 128) / 128;
  // Of n bits, by 2^(n - 1): what scipy.io.wavfile's int16 / 32768 gives.
  return static_cast<double>(value) / -static_cast<double>(std::numeric_limits<T>::min());
}

template <class T>
void mix(AVFrame const& frame, bool planar, std::vector<float>& to) {
  int const channels = channels_of(frame);
  for (int i = 0; i < frame.nb_samples; ++i) {
    double sum = 0;
    for (int c = 0; c < channels; ++c) sum += sample<T>(frame, planar, channels, c, i);
    to.push_back(static_cast<float>(sum / channels));
  }
}

/// Seconds by the header, 0 where it does not say.
double header_seconds(Input const& input) {
  AVStream const& stream = *input.stream;
  if (stream.duration > 0) return static_cast<double>(stream.duration) * av_q2d(stream.time_base);
  return input.format->duration > 0 ? static_cast<double>(input.format->duration) / AV_TIME_BASE : 0;
}

/// Of codecs that lose nothing a header's length is no estimate.
bool is_exact(Input const& input) {
  AVCodecID const codec = input.stream->codecpar->codec_id;
  return codec == AV_CODEC_ID_FLAC || codec == AV_CODEC_ID_ALAC || av_get_exact_bits_per_sample(codec) > 0;
}

/// FFmpeg takes what there is of a WAV file for all of it.
void check_wav(std::filesystem::path const& path) {
  FileBytes const file(path);
  std::uint8_t head[12];
  if (file.read(0, head, 12) < 12 || std::memcmp(head, "RIFF", 4) != 0 || std::memcmp(head + 8, "WAVE", 4) != 0) return;
  for (std::size_t at = 12; file.read(at, head, 8) == 8;) {
    std::size_t const bytes = head[4] | head[5] << 8 | head[6] << 16 | static_cast<std::size_t>(head[7]) << 24;
    bool const open_ended = bytes == 0 || bytes >= 0x7FFFFFFF;  // written to a pipe
    if (std::memcmp(head, "data", 4) == 0 && !open_ended && at + 8 + bytes > file.size())
      fail(Exit::data,
           "{} is truncated (its header promises {} bytes of sound, and {} are there); copy or download it again",
           path.string(), bytes, file.size() - at - 8);
    if (std::memcmp(head, "data", 4) == 0) return;
    at += 8 + bytes + bytes % 2;
  }
}

}  // namespace

struct SoundFile::Impl {
  std::filesystem::path path;
  std::optional<Input> input;
  Own<AVCodecContext> decoder;
  Own<AVFrame> frame = av::new_frame();
  int rate = 0;
  std::int64_t first = 0;      ///< place of the first sample in `samples`
  std::vector<float> samples;  ///< decoded and not yet passed over
  bool ended = false, flushing = false;
  bool damaged = false;  ///< a packet failed after sound had come; damage if more sound follows

  void open();
  void more();
  void take();
  void check_length() const;
};

/// At the end.
void SoundFile::Impl::check_length() const {
  // The length of a container with pictures says nothing of its sound.
  double const promised = input->format->nb_streams == 1 ? header_seconds(*input) : 0;
  double const there = static_cast<double>(first + static_cast<std::int64_t>(samples.size())) / rate;
  if (is_exact(*input) && there + 0.05 < promised)
    fail(Exit::data,
         "{} is truncated (its header promises {:.3f} s of sound, and {:.3f} s are there); copy or download it again",
         path.string(), promised, there);
}

void SoundFile::Impl::open() {
  decoder.reset();
  input.reset();
  input.emplace(path, AVMEDIA_TYPE_AUDIO);
  decoder = av::open_decoder(*input);
  rate = input->stream->codecpar->sample_rate;
  if (rate <= 0) fail(Exit::data, "{} does not say how many samples a second it has", path.string());
  check_wav(path);
  first = 0;
  samples.clear();
  ended = flushing = damaged = false;
}

void SoundFile::Impl::take() {
  if (damaged)
    fail(Exit::data, "{} is damaged {:.3f} s after its start; copy or encode it again", path.string(),
         static_cast<double>(first + static_cast<std::int64_t>(samples.size())) / rate);
  if (frame->sample_rate != rate)
    fail(Exit::data, "{} changes its sample rate from {} to {}; convert it (ffmpeg -i FILE OUT.wav)", path.string(),
         rate, frame->sample_rate);
  auto const format = static_cast<AVSampleFormat>(frame->format);
  bool const planar = av_sample_fmt_is_planar(format) != 0;
  switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
      return mix<std::uint8_t>(*frame, planar, samples);
    case AV_SAMPLE_FMT_S16:
      return mix<std::int16_t>(*frame, planar, samples);
    case AV_SAMPLE_FMT_S32:
      return mix<std::int32_t>(*frame, planar, samples);
    case AV_SAMPLE_FMT_S64:
      return mix<std::int64_t>(*frame, planar, samples);
    case AV_SAMPLE_FMT_FLT:
      return mix<float>(*frame, planar, samples);
    case AV_SAMPLE_FMT_DBL:
      return mix<double>(*frame, planar, samples);
    default:
      fail(Exit::data, "{} has samples of an unknown kind; convert it (ffmpeg -i FILE OUT.wav)", path.string());
  }
}

/// Decodes on until there is more sound, or the end.
void SoundFile::Impl::more() {
  while (!ended) {
    int const code = avcodec_receive_frame(decoder.get(), frame.get());
    if (code >= 0) return take();
    if (code == AVERROR_EOF || flushing) {
      ended = true;
      check_length();
      return;
    }
    // Before any sound and behind all of it: tags, which some decoders take for frames.
    if (code != AVERROR(EAGAIN)) damaged = first > 0 || !samples.empty();
    if (!input->next()) {
      flushing = true;
      (void)avcodec_send_packet(decoder.get(), nullptr);
    } else if (avcodec_send_packet(decoder.get(), input->packet.get()) < 0) {
      damaged = first > 0 || !samples.empty();
    }
  }
}

std::size_t SoundFile::read(std::int64_t from, std::span<float> out) {
  Impl& my = *impl_;
  if (!my.input || from < my.first) my.open();
  std::int64_t const to = from + static_cast<std::int64_t>(out.size()), begin = std::max<std::int64_t>(0, from);
  try {
    while (!my.ended && my.first + static_cast<std::int64_t>(my.samples.size()) < to) {
      my.more();
      // What lies well before is not needed again: the next read begins later.
      std::int64_t const passed =
          std::min<std::int64_t>(begin - my.first, static_cast<std::int64_t>(my.samples.size()));
      if (passed < (1 << 20) && my.first + passed < begin) continue;
      if (passed <= 0) continue;
      my.samples.erase(my.samples.begin(), my.samples.begin() + passed);
      my.first += passed;
    }
  } catch (...) {
    my.input.reset();  // whoever comes next meets the damage in the same way
    throw;
  }
  std::int64_t const end = my.first + static_cast<std::int64_t>(my.samples.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::int64_t const at = from + static_cast<std::int64_t>(i);
    out[i] = at >= my.first && at < end ? my.samples[static_cast<std::size_t>(at - my.first)] : 0.0F;
  }
  return static_cast<std::size_t>(std::clamp<std::int64_t>(end - from, 0, static_cast<std::int64_t>(out.size())));
}

SoundFile::SoundFile(std::filesystem::path path) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  impl_->open();
}
SoundFile::~SoundFile() = default;
int SoundFile::rate() const { return impl_->rate; }
std::filesystem::path const& SoundFile::path() const { return impl_->path; }

SoundHeader probe_sound(std::filesystem::path const& path) {
  Input const input(path, AVMEDIA_TYPE_AUDIO);
  (void)av::open_decoder(input);
  check_wav(path);
  return {.rate = input.stream->codecpar->sample_rate, .seconds = header_seconds(input), .is_exact = is_exact(input)};
}

double sound_seconds(std::filesystem::path const& path) {
  SoundHeader const header = probe_sound(path);
  if (header.is_exact && header.seconds > 0) return header.seconds;
  SoundFile file(path);  // of the others a header only estimates
  std::vector<float> block(1 << 16);
  std::int64_t at = 0;
  while (true) {
    std::size_t const got = file.read(at, block);
    at += static_cast<std::int64_t>(got);
    if (got < block.size()) return static_cast<double>(at) / file.rate();
  }
}

}  // namespace striate
