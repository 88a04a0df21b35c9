#pragma once
/// The frames of a video as a table.
#include "striate/stimuli/stim_table.hpp"

namespace striate {

/// Of type video: the frames on screen every `every` seconds, with `onset` (seconds after the first) and `duration`.
/// Throws Error(Exit::no_input | Exit::data).
[[nodiscard]] StimTable frames_of_video(std::filesystem::path const& path, double every);

}  // namespace striate
