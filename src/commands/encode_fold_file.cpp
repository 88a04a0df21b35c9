/// `cv.file`: folds by stimulus id.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <unordered_map>

#include "encode_inputs.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"

namespace striate::encode {
namespace {

struct FoldTable {
  std::string name;               ///< of the file, for messages
  std::vector<std::string> head;  ///< names of the fold columns
  std::vector<std::string> ids;
  std::vector<std::vector<std::string>> columns;  ///< as head
};

std::vector<std::string> cells_of(std::string line, char separator) {
  if (line.ends_with('\r')) line.pop_back();
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, separator);) {
    auto const first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

bool is_number(std::string const& word) {
  char* end = nullptr;
  (void)std::strtod(word.c_str(), &end);
  return !word.empty() && *end == '\0';
}

std::string word_of(FoldTable const& table, std::size_t column, std::vector<std::string> const& cells,
                    std::size_t line) {
  std::string const word = column + 1 < cells.size() ? cells[column + 1] : "";
  if (word.empty() || word == "n/a") return "";
  if (word != "train" && word != "test" && !is_number(word))
    fail(Exit::data,
         "cv.file: {} line {}: `{}` in column {} is neither train, test, a fold number nor empty (= left out); mend it",
         table.name, line, word, table.head[column]);
  return word;
}

FoldTable read_table(std::filesystem::path const& path) {
  FoldTable table;
  table.name = path.filename().string();
  char const separator = path.extension() == ".csv" ? ',' : '\t';
  std::istringstream in(read_text(path));
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    auto const cells = cells_of(line, separator);
    if (std::ranges::all_of(cells, [](auto const& c) { return c.empty(); })) continue;
    if (table.head.empty()) {
      if (cells.size() < 2)
        fail(Exit::data, "cv.file: {} line {} names {} column (stimulus id and a column for each fold are needed{})",
             table.name, number, cells.size(), separator == '\t' ? ", parted by tabs" : ", parted by commas");
      table.head.assign(cells.begin() + 1, cells.end());
      table.columns.resize(table.head.size());
      continue;
    }
    if (cells.size() > table.head.size() + 1)
      fail(Exit::data, "cv.file: {} line {} has {} columns but the first line names {}; mend it", table.name, number,
           cells.size(), table.head.size() + 1);
    table.ids.push_back(cells[0]);
    for (std::size_t c = 0; c < table.head.size(); ++c) table.columns[c].push_back(word_of(table, c, cells, number));
  }
  if (table.ids.empty()) fail(Exit::data, "cv.file: {} holds no stimuli; a line per stimulus is needed", table.name);
  return table;
}

std::unordered_map<std::string, std::size_t> line_of_id(FoldTable const& table) {
  std::unordered_map<std::string, std::size_t> line;
  std::vector<std::string> twice;
  for (std::size_t i = 0; i < table.ids.size(); ++i)
    if (!line.try_emplace(table.ids[i], i).second) twice.push_back(table.ids[i]);
  if (!twice.empty())
    fail(Exit::data, "cv.file: {} names {} stimuli more than once ({}); one line a stimulus", table.name, twice.size(),
         first_three(twice));
  return line;
}

}  // namespace

std::vector<std::vector<std::string>> read_fold_file(std::filesystem::path const& path,
                                                     std::vector<std::string> const& ids) {
  FoldTable const table = read_table(path);
  auto const line = line_of_id(table);
  std::set<std::string> const shown(ids.begin(), ids.end());
  std::vector<std::string> missing, unknown;
  for (auto const& id : shown)
    if (!line.contains(id)) missing.push_back(id);
  for (auto const& id : table.ids)
    if (!shown.contains(id)) unknown.push_back(id);
  if (!missing.empty())
    fail(Exit::data, "cv.file: {} lacks {} of the stimuli of the responses ({}); give each a line (empty: left out)",
         table.name, missing.size(), first_three(missing));
  if (!unknown.empty())
    fail(Exit::data, "cv.file: {} names {} stimuli that no response shows ({}); take their lines out", table.name,
         unknown.size(), first_three(unknown));
  std::vector<std::vector<std::string>> columns(table.columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c)
    for (auto const& id : ids) columns[c].push_back(table.columns[c][line.at(id)]);
  return columns;
}

}  // namespace striate::encode
