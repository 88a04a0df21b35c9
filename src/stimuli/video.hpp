#pragma once
/// Frames of a video file, exact and forward. What is behind it stands in src/stimuli/ffmpeg.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "striate/stimuli/image.hpp"

namespace striate {

/// When each frame of a file is shown. Immutable: threads share it.
struct VideoIndex {
  std::vector<std::int64_t> shown;  ///< (frames) ascending, in ticks
  std::vector<std::int64_t> keys;   ///< of frames from which decoding may start, ascending
  double tick = 1;                  ///< seconds
  double frame_seconds = 0;         ///< that a frame is shown, on average
  bool seeks = false;               ///< else frames are counted from the start of the file

  [[nodiscard]] std::size_t frames() const { return shown.size(); }
  [[nodiscard]] double seconds_of(std::size_t frame) const {  ///< after the first frame
    return static_cast<double>(shown[frame] - shown[0]) * tick;
  }
  [[nodiscard]] double seconds() const { return seconds_of(frames() - 1) + frame_seconds; }
  /// The frame that is on screen at this time; the first before, the last after. A frame counts from a millisecond
  /// before its time, because containers and tables round to milliseconds.
  [[nodiscard]] std::size_t at(double seconds) const;
  [[nodiscard]] std::size_t before(std::int64_t ticks) const;  ///< the last frame that is shown by then
};

/// Reads the whole file, but decodes it only where its format does not say when frames are shown. Any thread. Throws
/// Error(Exit::no_input | Exit::data | Exit::io) naming the file.
[[nodiscard]] std::shared_ptr<VideoIndex const> index_video(std::filesystem::path const& path);
/// Opens the file and looks at its header: cheap. Throws as index_video.
void probe_video(std::filesystem::path const& path);

/// A video that is open; of one thread.
class VideoFile {
 public:
  VideoFile(std::filesystem::path path, std::shared_ptr<VideoIndex const> index);
  ~VideoFile();
  VideoFile(VideoFile const&) = delete;
  VideoFile& operator=(VideoFile const&) = delete;
  /// Frame `number` (from 0) upright, as RGB. Cheap where numbers ascend; else it decodes again from the key frame
  /// before. Throws Error(Exit::data) naming the file where the frame, or one that it is built on, is damaged.
  void frame(std::size_t number, Image& into);
  [[nodiscard]] std::filesystem::path const& path() const;
  [[nodiscard]] VideoIndex const& index() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate
