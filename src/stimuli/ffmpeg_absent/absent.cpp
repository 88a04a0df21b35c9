// Built in place of src/stimuli/ffmpeg where CMake does not find FFmpeg's libraries.
#include "../sound.hpp"
#include "../video.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/media.hpp"

namespace striate {

struct VideoFile::Impl {
  std::filesystem::path path;
  std::shared_ptr<VideoIndex const> index;
};

std::string media_libraries() { return ""; }

void require_media(char const* what) {
  fail(Exit::config,
       "this striate was built without FFmpeg's libraries and cannot read {}; install them (Debian/Ubuntu: "
       "libavformat-dev libavcodec-dev libswscale-dev; clusters: module load ffmpeg) and build again",
       what);
}

std::shared_ptr<VideoIndex const> index_video(std::filesystem::path const&) {
  require_media("video");
  return nullptr;
}
void probe_video(std::filesystem::path const&) { require_media("video"); }
double video_seconds(std::filesystem::path const&) {
  require_media("video");
  return 0;
}
SoundHeader probe_sound(std::filesystem::path const&) {
  require_media("sound");
  return {};
}
double sound_seconds(std::filesystem::path const&) {
  require_media("sound");
  return 0;
}

struct SoundFile::Impl {
  std::filesystem::path path;
};
SoundFile::SoundFile(std::filesystem::path) { require_media("sound"); }
SoundFile::~SoundFile() = default;
std::size_t SoundFile::read(std::int64_t, std::span<float>) { return 0; }
int SoundFile::rate() const { return 0; }
std::filesystem::path const& SoundFile::path() const { return impl_->path; }

VideoFile::VideoFile(std::filesystem::path, std::shared_ptr<VideoIndex const>) { require_media("video"); }
VideoFile::~VideoFile() = default;
void VideoFile::frame(std::size_t, Image&) { require_media("video"); }
std::filesystem::path const& VideoFile::path() const { return impl_->path; }
VideoIndex const& VideoFile::index() const { return *impl_->index; }

}  // namespace striate
