#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

char const* what_lies_in(std::string const& type) {
  return type == "image"        ? "pictures"
         : type == "video"      ? "frames of a video"
         : type == "video_clip" ? "videos"
         : type == "audio"      ? "sounds"
                                : "arrays";
}

std::vector<std::filesystem::path> files_of(std::vector<StimulusRow> const& rows) {
  std::vector<std::filesystem::path> files;
  files.reserve(rows.size());
  for (auto const& row : rows) files.push_back(row.file);
  return files;
}

}  // namespace

std::shared_ptr<StimulusSource> stimulus_source(StimTable const& table, InputForm const& form,
                                                Preprocessing const& how) {
  using Kind = InputForm::Kind;
  auto rows = stimulus_rows(table);
  if (table.type == "array") return array_file_source(files_of(rows), form, how);
  if (form.kind == Kind::image && table.type == "image") {
    for (auto const& row : rows)
      if (row.box) return image_source(std::move(rows), how);
    return image_source(files_of(rows), how);
  }
  if (form.kind == Kind::image && table.type == "video") return frame_source(std::move(rows), how);
  if (form.kind == Kind::clip && table.type == "video_clip") return clip_source(std::move(rows), form, how);
  if ((form.kind == Kind::mel || form.kind == Kind::audio) && (table.type == "audio" || table.type == "video_clip"))
    return sound_source(std::move(rows), form);
  std::string advice;
  if (form.kind == Kind::clip && table.type == "video")
    advice = "; list clips: type=video_clip with columns file, start, end";
  if (form.kind == Kind::image && table.type == "video_clip")
    advice = "; list frames: type=video with their numbers as stimID";
  fail(Exit::data, "{} lists {} (type={}), but the network takes stimuli of kind {}{}", table.file.filename().string(),
       what_lies_in(table.type), table.type, name_of(form.kind), advice);
}

}  // namespace striate
