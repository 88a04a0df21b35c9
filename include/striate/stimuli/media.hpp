#pragma once
/// Video and sound, which FFmpeg's libraries decode; striate is built with them where CMake finds them.
#include <filesystem>
#include <string>

namespace striate {

/// "libavcodec 59.37.100 …"; empty where striate was built without.
[[nodiscard]] std::string media_libraries();
/// Throws Error(Exit::config) that says how to build striate so that it reads `what` ("video").
void require_media(char const* what);
/// Seconds that a video or a sound lasts, by its frames or samples. Throws Error(Exit::no_input | Exit::data) naming
/// the file.
[[nodiscard]] double video_seconds(std::filesystem::path const& path);
[[nodiscard]] double sound_seconds(std::filesystem::path const& path);

}  // namespace striate
