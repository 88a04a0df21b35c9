// Long videos and sounds, a row a piece, or a row a frame.
#include <cmath>
#include <map>

#include "frame_table.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/stimuli/source.hpp"
#include "video.hpp"

namespace striate {
namespace {

std::string text_of(double seconds) { return fmt::format("{}", std::round(seconds * 1e6) / 1e6); }

/// A time of the experiment, moved on.
std::string later(std::string const& onset, double seconds, StimTable const& table, std::size_t row) {
  if (onset.empty()) return "";
  try {
    std::size_t used = 0;
    double const value = std::stod(onset, &used);
    if (used == onset.size()) return text_of(value + seconds);
  } catch (std::exception const&) {
  }
  fail(Exit::data, "{}: row {} has `{}` in the column onset, which is no number", table.file.filename().string(),
       row + 1, onset);
}

}  // namespace

StimTable cut_into_windows(StimTable const& table, double length, double step) {
  if (table.type != "video_clip" && table.type != "audio")
    fail(Exit::data, "{} is of type {}; windows are cut out of videos and sounds (type=video_clip, type=audio)",
         table.file.filename().string(), table.type);
  auto const rows = stimulus_rows(table);
  StimTable out = table;
  for (auto const* name : {"file", "start", "end"})
    if (!out.has(name)) out.columns.emplace_back(name);
  out.values.assign(out.columns.size(), {});
  std::map<std::string, double> lasts;
  double const rounding = table.type == "audio" ? 1e-5 : 1e-3;  // seconds: less than a sample; of times of frames
  for (std::size_t r = 0; r < rows.size(); ++r) {
    auto const [known, is_new] = lasts.emplace(rows[r].file.native(), 0);
    if (is_new) known->second = table.type == "audio" ? sound_seconds(rows[r].file) : video_seconds(rows[r].file);
    double const end = std::min(rows[r].end, known->second);
    std::size_t made = 0;
    for (; rows[r].start + static_cast<double>(made) * step + length <= end + rounding; ++made) {
      double const moved = static_cast<double>(made) * step, from = rows[r].start + moved;
      for (std::size_t c = 0; c < out.columns.size(); ++c) {
        std::string const& name = out.columns[c];
        std::string value = c < table.columns.size() ? table.values[c][r] : "";
        if (name == "stimID") value += "#" + std::to_string(made + 1);
        if (name == "file") value = rows[r].file.lexically_relative(table.folder).string();
        if (name == "start") value = text_of(from);
        if (name == "end") value = text_of(from + length);
        if (name == "onset") value = later(value, moved, table, r);
        if (name == "duration") value = text_of(length);
        out.values[c].push_back(std::move(value));
      }
    }
    if (made == 0)
      fail(Exit::data, "{}: row {} ({}) lasts {:.3f} s, which is shorter than a window of {} s",
           table.file.filename().string(), r + 1, table.ids()[r], end - rows[r].start, length);
  }
  return out;
}

StimTable frames_of_video(std::filesystem::path const& path, double every) {
  require_media("video");
  auto const index = index_video(path);
  if (every < index->frame_seconds - 1e-3)
    fail(Exit::data, "{} shows a frame every {:.4g} s; `every: {}` would show frames twice", path.string(),
         index->frame_seconds, every);
  StimTable table;
  table.file = table.folder = std::filesystem::absolute(path).lexically_normal();
  table.type = "video";
  table.columns = {"stimID", "onset", "duration"};
  table.values.resize(3);
  for (std::size_t i = 0; static_cast<double>(i) * every < index->seconds() - 1e-3; ++i) {
    double const time = static_cast<double>(i) * every;
    table.values[0].push_back(std::to_string(index->at(time) + 1));
    table.values[1].push_back(text_of(time));
    table.values[2].push_back(text_of(every));
  }
  return table;
}

}  // namespace striate
