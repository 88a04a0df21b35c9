#include "striate/stimuli/stim_table.hpp"

#include <algorithm>
#include <set>

#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

std::string joined(std::vector<std::string> const& words, std::size_t most = 12) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, words.size()); ++i) text += (i > 0 ? ", " : "") + words[i];
  return words.size() > most ? text + ", …" : text;
}

std::string_view trimmed(std::string_view text) {
  auto const first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

class Reader {
 public:
  explicit Reader(fs::path const& path) : name_(path.filename().string()) {
    table_.file = path;
    std::error_code code;
    if (fs::is_directory(path, code))
      fail(Exit::no_input, "{} is a folder; write {{folder: {}}} to take its images", path.string(), path.string());
    if (!fs::exists(path, code) && !code)
      fail(Exit::no_input, "{} does not exist; check the path (it is relative to the config file)", path.string());
    text_ = read_text(path);
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    if (text_.starts_with("\xFF\xFE") || text_.starts_with("\xFE\xFF"))
      fail(Exit::data, "{} is UTF-16 text; save it as UTF-8", name_);
    if (text_.find('\0') != std::string::npos) fail(Exit::data, "{} is no text file", name_);
  }

  StimTable read() {
    while (next_line() && read_header()) {
    }
    check_header();
    while (next_line()) read_row();
    if (table_.rows() == 0) fail(Exit::data, "{} has no row after its `data=` line; add one line a stimulus", name_);
    return std::move(table_);
  }

 private:
  [[noreturn]] void wrong(std::string const& what) const { fail(Exit::data, "{}: line {} {}", name_, line_, what); }

  /// The next line that is not blank.
  bool next_line() {
    while (at_ < text_.size()) {
      std::size_t const end = std::min(text_.find('\n', at_), text_.size());
      content_ = std::string_view(text_).substr(at_, end - at_);
      at_ = end + 1;
      ++line_;
      if (content_.ends_with('\r')) content_.remove_suffix(1);
      if (content_.find('\r') != std::string_view::npos)
        wrong("ends in a lone carriage return (an old Macintosh file); save it with Unix line ends");
      if (!trimmed(content_).empty()) return true;
    }
    return false;
  }

  /// Splits at commas outside of quotes.
  void split(std::string_view line, std::vector<std::string>& fields) const {
    fields.clear();
    while (true) {
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      if (line.starts_with('"')) {
        fields.push_back(unquote(line));
      } else {
        auto const comma = std::min(line.find(','), line.size());
        fields.emplace_back(trimmed(line.substr(0, comma)));
        line.remove_prefix(comma);
      }
      if (line.empty()) return;
      line.remove_prefix(1);
    }
  }
  /// Takes a quoted field off the front, up to the next comma.
  std::string unquote(std::string_view& line) const {
    std::string field;
    std::size_t i = 1;
    for (;; ++i) {
      if (i >= line.size()) wrong("has a quote that is not closed; double a quote that belongs to a field (\"\")");
      if (line[i] == '"') {
        if (i + 1 >= line.size() || line[i + 1] != '"') break;
        ++i;
      }
      field += line[i];
    }
    line.remove_prefix(i + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.empty() && line.front() != ',')
      wrong("has text behind a closing quote; quote the whole field, with \"\" for a quote in it");
    return field;
  }

  /// False at the line `data=`.
  bool read_header() {
    auto const equals = content_.find('=');
    if (equals == std::string_view::npos)
      wrong("is neither `key=value` nor `data=…`; the rows come after the line `data=stimID,…`");
    std::string const key(trimmed(content_.substr(0, equals)));
    std::string_view value = trimmed(content_.substr(equals + 1));
    if (key == "data") {
      read_columns(value);
      return false;
    }
    while (value.ends_with(',')) value.remove_suffix(1);  // spreadsheets fill every line up to the widest
    if (key == "type" || key == "path") {
      bool& seen = key == "type" ? has_type_ : has_path_;
      if (seen) wrong("gives `" + key + "=` a second time; keep one");
      seen = true;
    }
    if (key == "type")
      set_type(value);
    else if (key == "path")
      set_folder(value);
    else
      table_.header.emplace_back(key, value);
    return true;
  }

  void set_type(std::string_view value) {
    static std::vector<std::string> const known{"image", "video", "video_clip", "audio", "array"};
    table_.type = value;
    if (std::ranges::find(known, table_.type) != known.end()) return;
    std::string const near = nearest(table_.type, known);
    wrong("gives the unknown type `" + table_.type + "`; " +
          (near.empty() ? "known: " + joined(known) : "did you mean " + near + "?"));
  }

  void set_folder(std::string_view value) {
    if (value.empty()) wrong("gives an empty `path=`; write the folder of the stimuli, or `path=.`");
    table_.folder = fs::absolute(table_.file).parent_path() / fs::path(value);
    table_.folder = table_.folder.lexically_normal();
  }

  void read_columns(std::string_view value) {
    has_data_ = true;
    split(value, table_.columns);
    std::set<std::string> seen;
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      if (table_.columns[i].empty()) wrong(fmt::format("leaves column {} of `data=` without a name", i + 1));
      if (!seen.insert(table_.columns[i]).second) wrong("names the column `" + table_.columns[i] + "` twice");
    }
    if (table_.columns.front() != "stimID")
      wrong("begins with the column `" + table_.columns.front() + "`; the first column is stimID");
    table_.values.resize(table_.columns.size());
  }

  void check_header() const {
    if (!has_data_)
      fail(Exit::data, "{} has no line `data=stimID,…`, which names the columns; add it before the rows", name_);
    if (!has_type_) fail(Exit::data, "{} has no line `type=…` before `data=`; add type=image", name_);
    if (!has_path_)
      fail(Exit::data, "{} has no line `path=…` before `data=`; add the folder of the stimuli, relative to the file",
           name_);
  }

  void read_row() {
    split(content_, fields_);
    if (fields_.size() != table_.columns.size())
      wrong(fmt::format("has {} {} but `data=` names {} {} ({}); quote a field that holds a comma", fields_.size(),
                        fields_.size() == 1 ? "field" : "fields", table_.columns.size(),
                        table_.columns.size() == 1 ? "column" : "columns", joined(table_.columns)));
    if (fields_[0].empty()) wrong("has an empty stimID; every row needs one");
    for (std::size_t c = 0; c < fields_.size(); ++c) table_.values[c].push_back(std::move(fields_[c]));
  }

  std::string name_, text_;
  std::string_view content_;
  std::size_t at_ = 0, line_ = 0;
  bool has_type_ = false, has_path_ = false, has_data_ = false;
  std::vector<std::string> fields_;
  StimTable table_;
};

std::string quoted(std::string const& field, fs::path const& file) {
  if (field.find_first_of("\r\n") != std::string::npos)
    fail(Exit::data, "{} cannot hold the field `{}`, which has a line end in it; rename it", file.filename().string(),
         field.substr(0, field.find_first_of("\r\n")));
  bool const plain = field.find_first_of(",\"") == std::string::npos && trimmed(field).size() == field.size();
  if (plain) return field;
  std::string text = "\"";
  for (char const c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + '"';
}

}  // namespace

bool StimTable::has(std::string const& column) const { return std::ranges::find(columns, column) != columns.end(); }

std::vector<std::string> const& StimTable::column(std::string const& name) const {
  auto const found = std::ranges::find(columns, name);
  if (found != columns.end()) return values[static_cast<std::size_t>(found - columns.begin())];
  std::string const near = nearest(name, columns);
  fail(Exit::data, "{} has no column `{}`{} (its columns: {})", file.filename().string(), name,
       near.empty() ? "" : "; did you mean `" + near + "`?", joined(columns));
}

StimTable read_stim_table(fs::path const& path) { return Reader(path).read(); }

void write_stim_table(fs::path const& path, StimTable const& table) {
  std::string text = "type=" + table.type + "\npath=" + table.folder.string() + "\n";
  if (table.folder.string().find_first_of("\r\n") != std::string::npos)
    fail(Exit::data, "{} cannot hold a folder with a line end in its name; rename it", path.filename().string());
  for (auto const& [key, value] : table.header) {
    if ((key + value).find_first_of("\r\n") != std::string::npos || key.find('=') != std::string::npos || key.empty())
      fail(Exit::data, "{} cannot hold the header line `{}`: a key has no `=`, and both have no line end",
           path.filename().string(), key.substr(0, key.find_first_of("\r\n")));
    text += key + "=" + value + "\n";
  }
  text += "data=";
  for (std::size_t c = 0; c < table.columns.size(); ++c) text += (c > 0 ? "," : "") + quoted(table.columns[c], path);
  text += "\n";
  for (std::size_t r = 0; r < table.rows(); ++r)
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      text += quoted(table.values[c][r], path) + (c + 1 < table.columns.size() ? "," : "\n");
  write_atomically(path, text);
}

}  // namespace striate
