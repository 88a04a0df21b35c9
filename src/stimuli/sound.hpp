#pragma once
/// Samples of a sound file or of a video's sound track, mixed to one channel. What is behind it stands in
/// src/stimuli/ffmpeg.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace striate {

/// What a file's header says: cheap.
struct SoundHeader {
  int rate = 0;           ///< samples a second
  double seconds = 0;     ///< 0 where it does not say
  bool is_exact = false;  ///< else `seconds` is an estimate
};
/// Throws Error(Exit::no_input | Exit::data) naming the file: missing, of no known format, without sound, shorter than
/// its header says where that can be known.
[[nodiscard]] SoundHeader probe_sound(std::filesystem::path const& path);

/// A sound that is open; of one thread.
class SoundFile {
 public:
  explicit SoundFile(std::filesystem::path path);
  ~SoundFile();
  SoundFile(SoundFile const&) = delete;
  SoundFile& operator=(SoundFile const&) = delete;
  /// Samples [first, first + out.size()) counted from the first one; those before 0 and behind the end are 0. Returns
  /// how many, from the front, lie before the end. -1 to 1, the mean of the channels. Cheap where `first` ascends; else
  /// it decodes again from the start, because most codecs are exact only from there. Throws Error(Exit::data |
  /// Exit::io) naming the file.
  std::size_t read(std::int64_t first, std::span<float> out);
  [[nodiscard]] int rate() const;
  [[nodiscard]] std::filesystem::path const& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate
