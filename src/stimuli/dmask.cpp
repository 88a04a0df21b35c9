#include "striate/stimuli/dmask.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "striate/base/config.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

std::string_view trimmed(std::string_view text) {
  auto const first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

/// Fields between commas; empty ones at the end, which spreadsheets add, do not count.
std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    auto const comma = std::min(line.find(','), line.size());
    fields.push_back(trimmed(line.substr(0, comma)));
    if (comma == line.size()) break;
    line.remove_prefix(comma + 1);
  }
  while (!fields.empty() && fields.back().empty()) fields.pop_back();
  return fields;
}

std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Reader {
 public:
  explicit Reader(fs::path const& path) : name_(path.filename().string()) {
    mask_.file = path;
    std::error_code code;
    if (!fs::exists(path, code) && !code)
      fail(Exit::no_input, "{} does not exist; check the path (it is relative to the config file)", path.string());
    if (fs::is_directory(path, code)) fail(Exit::no_input, "{} is a folder, not a .dmask.csv", path.string());
    text_ = read_text(path);
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    if (text_.find('\0') != std::string::npos) fail(Exit::data, "{} is no UTF-8 text file", name_);
  }

  UnitMask read() {
    while (next_line()) read_layer();
    if (mask_.layers.empty())
      fail(Exit::data, "{} names no layer; write a line `conv5=chn` and the channels, from 1, in the next", name_);
    return std::move(mask_);
  }

 private:
  [[noreturn]] void wrong(std::string const& what) const { fail(Exit::data, "{}: line {} {}", name_, line_, what); }

  /// The next line that is neither blank nor a comment.
  bool next_line() {
    while (at_ < text_.size()) {
      std::size_t const end = std::min(text_.find('\n', at_), text_.size());
      content_ = std::string_view(text_).substr(at_, end - at_);
      at_ = end + 1;
      ++line_;
      if (content_.ends_with('\r')) content_.remove_suffix(1);
      content_ = trimmed(content_);
      if (!content_.empty() && content_.front() != '#') return true;
    }
    return false;
  }

  void read_layer() {
    auto const equals = content_.rfind('=');
    if (equals == std::string_view::npos)
      wrong("holds numbers that belong to no axis; a line `layer=chn,row,col` names the axes of the lines after it");
    MaskLayer layer;
    layer.name = trimmed(content_.substr(0, equals));
    layer.line = line_;
    if (layer.name.empty()) wrong("has no layer before the `=`");
    if (auto const* const before = mask_.find(layer.name))
      wrong(fmt::format("names the layer `{}` a second time (first in line {}); keep one", layer.name, before->line));
    auto const axes = read_axes(content_.substr(equals + 1));
    for (auto const* const axis : axes) {
      bool const there = next_line() && content_.find('=') == std::string_view::npos;
      if (!there)
        fail(Exit::data, "{}: line {} gives {} {} to `{}`, but the {} line{} of numbers after it end{} before `{}`",
             name_, layer.line, axes.size(), axes.size() == 1 ? "axis" : "axes", layer.name, layer.lines.size(),
             layer.lines.size() == 1 ? "" : "s", layer.lines.size() == 1 ? "s" : "", axis->word);
      layer.lines.emplace_back(axis->word, line_);
      read_numbers(layer.selection.*axis->list);
    }
    mask_.layers.push_back(std::move(layer));
  }

  std::vector<SelectionAxis const*> read_axes(std::string_view text) const {
    std::vector<SelectionAxis const*> axes;
    std::vector<std::string> known;
    for (auto const& axis : selection_axes()) known.emplace_back(axis.word);
    for (auto const field : fields_of(text)) {
      auto const at = std::ranges::find(known, field);
      if (at == known.end()) {
        std::string const near = nearest(std::string(field), known);
        wrong(fmt::format("names the unknown axis `{}`; {}", field,
                          near.empty() ? "known are chn, row, col (frm, tok, unit)" : "did you mean " + near + "?"));
      }
      auto const* const axis = &selection_axes()[static_cast<std::size_t>(at - known.begin())];
      if (std::ranges::find(axes, axis) != axes.end()) wrong(fmt::format("names the axis {} twice", axis->word));
      axes.push_back(axis);
    }
    if (axes.size() > 1)
      for (auto const* const axis : axes)
        if (axis->list == &UnitSelection::units) wrong("lists `unit` beside other axes; units stand alone");
    return axes;
  }

  void read_numbers(std::vector<std::size_t>& list) const {
    for (auto const field : fields_of(content_))
      if (std::string const what = read_indices(field, list); !what.empty()) wrong(what);
    if (list.empty()) wrong("holds no number; leave the axis out to keep all of it");
  }

  std::string name_, text_;
  std::string_view content_;
  std::size_t at_ = 0, line_ = 0;
  UnitMask mask_;
};

}  // namespace

std::string MaskLayer::place(std::string const& word) const {
  for (auto const& [axis, where] : lines)
    if (axis == word) return fmt::format("line {}", where);
  return fmt::format("line {}", line);
}

MaskLayer const* UnitMask::find(std::string const& name) const {
  auto const found = std::ranges::find(layers, name, &MaskLayer::name);
  return found == layers.end() ? nullptr : &*found;
}

std::string read_indices(std::string_view text, std::vector<std::size_t>& list) {
  constexpr std::size_t most = std::size_t{1} << 26;  // of a list: more units than any layer has
  auto const dash = text.find('-', text.empty() ? 0 : 1);
  auto const first = number_of(trimmed(text.substr(0, dash)));
  auto const last = dash == std::string_view::npos ? first : number_of(trimmed(text.substr(dash + 1)));
  std::string const shown(text.substr(0, 40));
  if (!first || !last) return fmt::format("holds `{}`, which is no whole number (nor a range, 4-8)", shown);
  if (*first == 0 || *last == 0) return fmt::format("holds `{}`, but numbers begin at 1", shown);
  if (*last < *first) return fmt::format("holds the range {}, which runs backwards", shown);
  if (*last > most || *last - *first >= most - std::min(most, list.size()))
    return fmt::format("holds `{}`, more than any layer has", shown);
  for (std::size_t i = *first; i <= *last; ++i) list.push_back(i - 1);
  return "";
}

UnitMask read_dmask(fs::path const& path) { return Reader(path).read(); }

void write_dmask(fs::path const& path, UnitMask const& mask) {
  std::string text;
  for (auto const& layer : mask.layers) {
    if (layer.name.empty() || layer.name.find_first_of("=\r\n") != std::string::npos ||
        trimmed(layer.name) != layer.name)
      fail(Exit::data, "{} cannot hold a layer of the name `{}`", path.filename().string(), layer.name);
    std::string axes, lines;
    for (auto const& axis : selection_axes()) {
      auto const& list = layer.selection.*axis.list;
      if (list.empty()) continue;
      axes += (axes.empty() ? "" : ",") + std::string(axis.word);
      for (std::size_t i = 0; i < list.size(); ++i) lines += (i > 0 ? "," : "") + std::to_string(list[i] + 1);
      lines += '\n';
    }
    text += layer.name + "=" + axes + "\n" + lines;
  }
  write_atomically(path, text);
}

}  // namespace striate
