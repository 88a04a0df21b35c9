// Results of several nets and subjects as one tidy table.
#include <algorithm>
#include <filesystem>
#include <ostream>
#include <sstream>

#include "info_print.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"

namespace striate::info {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> cells_of(std::string const& line) {
  std::vector<std::string> cells(1);
  for (char c : line) {
    if (c == '\t')
      cells.emplace_back();
    else if (c != '\r')
      cells.back() += c;
  }
  return cells;
}

struct Table {
  std::string result;  ///< its folder, as given
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

Table read_table(fs::path place) {
  if (!place.has_filename()) place = place.parent_path();  // "out/encode/"
  if (!fs::exists(place)) fail(Exit::no_input, "info: {} does not exist; check the path", place.string());
  bool const folder = fs::is_directory(place);
  fs::path const file = folder ? place / "summary.tsv" : place;
  if (!fs::exists(file))
    fail(Exit::no_input, "info: {} has no summary.tsv; let the command that makes it end first", place.string());
  Table t;
  t.result = folder ? place.string() : place.has_parent_path() ? place.parent_path().string() : ".";
  std::istringstream text(read_text(file));
  std::string line;
  for (std::size_t number = 1; std::getline(text, line); ++number) {
    auto cells = cells_of(line);
    if (number == 1) {
      t.head = std::move(cells);
      continue;
    }
    if (cells.size() != t.head.size())
      fail(Exit::data, "info: {}: line {} has {} cells but the first line names {} columns; the table is damaged",
           file.string(), number, cells.size(), t.head.size());
    t.rows.push_back(std::move(cells));
  }
  if (t.head.empty()) fail(Exit::data, "info: {} is empty; it needs a line of column names", file.string());
  return t;
}

/// What a line is of: tables of encode (and partition), permute and predict differ in it.
std::string line_of(Table const& t) {
  std::string text;
  for (char const* key : {"net", "layer", "roi", "score", "gradient"}) {
    bool const before = std::ranges::find(t.head, "targets") > std::ranges::find(t.head, key);
    if (before) text += (text.empty() ? "" : " × ") + std::string(key);
  }
  return text;
}

/// Tables of one command have the same lines, whatever their columns.
void check_kind(std::vector<Table> const& tables) {
  for (Table const& t : tables)
    if (line_of(t) != line_of(tables[0]))
      fail(Exit::usage,
           "info: --join takes tables of one kind, but {} has a line per {} and {} one per {}; join them apart",
           tables[0].result, line_of(tables[0]), t.result, line_of(t));
}

}  // namespace

void print_joined(std::vector<std::string> const& places, std::ostream& out) {
  std::vector<Table> tables;
  std::vector<std::string> columns;
  std::string kind;
  for (auto const& place : places) {
    fs::path const path = place;
    std::string const name = path.extension() == ".tsv" ? path.filename().string() : "summary.tsv";
    if (kind.empty()) kind = name;
    if (name != kind) fail(Exit::usage, "info: --join takes tables of one kind, not {} and {}", kind, name);
    tables.push_back(read_table(path));
    for (auto const& column : tables.back().head)
      if (std::ranges::find(columns, column) == columns.end()) columns.push_back(column);
  }
  check_kind(tables);
  out << "result";
  for (auto const& column : columns) out << '\t' << column;
  out << '\n';
  for (Table const& t : tables)
    for (auto const& row : t.rows) {
      out << t.result;
      for (auto const& column : columns) {
        auto const at = std::ranges::find(t.head, column) - t.head.begin();
        out << '\t' << (at < static_cast<std::ptrdiff_t>(row.size()) ? row[static_cast<std::size_t>(at)] : "n/a");
      }
      out << '\n';
    }
}

}  // namespace striate::info
