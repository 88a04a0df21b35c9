// Where the stimuli of a table lie.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

class RowReader {
 public:
  explicit RowReader(StimTable const& table) : table_(table) {
    for (auto const& name : place_columns()) columns_.push_back(table.has(name) ? &table.column(name) : nullptr);
    bool const timed = table.type != "image" && table.type != "array";  // else free columns: times of the experiment
    if (!timed || table.type == "video") columns_[start] = columns_[end] = nullptr;
    std::size_t boxes = 0;
    for (std::size_t side = 0; side < 4; ++side) boxes += columns_[box + side] != nullptr ? 1 : 0;
    if (boxes != 0 && boxes != 4)
      fail(Exit::data, "{} has {} of the columns crop_left, crop_top, crop_right, crop_bottom; a box needs all four",
           table.file.filename().string(), boxes);
  }

  StimulusRow row(std::size_t r) const {
    StimulusRow out;
    out.file = table_.folder;
    bool const frames = table_.type == "video";
    if (columns_[file] != nullptr && !text(file, r).empty())
      out.file = frames ? table_.folder.parent_path() / text(file, r) : table_.folder / text(file, r);
    else if (!frames)
      out.file /= table_.ids()[r];
    if (frames) out.frame = frame_number(r);
    if (!text(start, r).empty()) out.start = seconds(start, r);
    if (!text(end, r).empty()) out.end = seconds(end, r);
    if (out.end <= out.start)
      wrong(r, fmt::format("ends at {} s, which is not after its start at {} s", out.end, out.start));
    read_box(r, out);
    return out;
  }

 private:
  enum Column : std::size_t { file, start, end, box };

  [[noreturn]] void wrong(std::size_t r, std::string const& what) const {
    fail(Exit::data, "{}: row {} ({}) {}", table_.file.filename().string(), r + 1, table_.ids()[r], what);
  }
  [[nodiscard]] std::string text(std::size_t column, std::size_t r) const {
    return columns_[column] != nullptr ? (*columns_[column])[r] : std::string();
  }
  [[nodiscard]] double number(std::string const& name, std::string const& text, std::size_t r) const {
    double value = 0;
    auto const [rest, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (trouble != std::errc() || rest != text.data() + text.size() || !std::isfinite(value))
      wrong(r, fmt::format("has `{}` in the column {}, which is no number", text, name));
    return value;
  }
  [[nodiscard]] double seconds(std::size_t column, std::size_t r) const {
    double const value = number(place_columns()[column], text(column, r), r);
    if (value < 0)
      wrong(r, fmt::format("has {} {} s, but seconds of a file count from 0", place_columns()[column], value));
    return value;
  }
  /// DNNBrain writes 1.0 where other columns hold fractions.
  [[nodiscard]] std::size_t frame_number(std::size_t r) const {
    std::string const name = table_.has("frame") ? "frame" : "stimID";
    double const value = number(name, table_.column(name)[r], r);
    if (value < 1 || value != std::floor(value) || value > 1e9)
      wrong(r, fmt::format("has {} {}, but frames of a video are numbered from 1", name, value));
    return static_cast<std::size_t>(value);
  }
  void read_box(std::size_t r, StimulusRow& out) const {
    if (columns_[box] == nullptr) return;
    std::size_t sides[4], filled = 0;
    for (std::size_t side = 0; side < 4; ++side) {
      std::string const value = text(box + side, r);
      if (value.empty()) continue;
      ++filled;
      double const pixels = number(place_columns()[box + side], value, r);
      if (pixels < 0 || pixels != std::floor(pixels) || pixels > 1e9)
        wrong(r, fmt::format("has {} {}, which is no whole number of pixels inside the picture",
                             place_columns()[box + side], value));
      sides[side] = static_cast<std::size_t>(pixels);
    }
    if (filled == 0) return;  // the whole picture
    if (filled != 4) wrong(r, "has only a part of a crop box; fill its four cells, or none");
    if (sides[2] <= sides[0] || sides[3] <= sides[1])
      wrong(r, fmt::format("has an empty crop box: {}, {}, {}, {} (left, top, right, bottom)", sides[0], sides[1],
                           sides[2], sides[3]));
    out.box = CropBox{.left = sides[0], .top = sides[1], .right = sides[2], .bottom = sides[3]};
  }

  StimTable const& table_;
  std::vector<std::vector<std::string> const*> columns_;
};

}  // namespace

std::vector<std::string> const& place_columns() {
  static std::vector<std::string> const names{"file",     "start",      "end",         "crop_left",
                                              "crop_top", "crop_right", "crop_bottom", "frame"};
  return names;
}

std::vector<StimulusRow> stimulus_rows(StimTable const& table) {
  RowReader const reader(table);
  std::vector<StimulusRow> rows(table.rows());
  for (std::size_t r = 0; r < rows.size(); ++r) rows[r] = reader.row(r);
  return rows;
}

}  // namespace striate
