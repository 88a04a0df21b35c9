#include "convolve_events.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "striate/base/config.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate::convolve {
namespace {

std::vector<std::string> cells_of(std::string line, char separator) {
  if (line.ends_with('\r')) line.pop_back();
  std::vector<std::string> cells;
  std::istringstream in(line + separator);
  for (std::string cell; std::getline(in, cell, separator);) {
    auto const first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

}  // namespace

EventTable::EventTable(std::filesystem::path const& file) : name_(file.filename().string()) {
  if (name_.ends_with(".stim.csv")) {
    StimTable table = read_stim_table(file);
    head_ = std::move(table.columns), columns_ = std::move(table.values);
    std::size_t const above = 3 + table.header.size();  // type, path, data
    for (std::size_t r = 0; r < columns_[0].size(); ++r) lines_.push_back(above + r + 1);
  } else {
    read_delimited(file, file.extension() == ".csv" ? ',' : '\t');
  }
  if (rows() == 0) fail(Exit::data, "events: {} holds no events; a line an event is needed", name_);
  for (auto const* needed : {"onset", "duration"}) (void)column(needed);
}

void EventTable::read_delimited(std::filesystem::path const& file, char separator) {
  std::istringstream in(read_text(file));
  std::string text;
  for (std::size_t number = 1; std::getline(in, text); ++number) {
    if (number == 1 && text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
    auto const cells = cells_of(text, separator);
    if (std::ranges::all_of(cells, [](auto const& c) { return c.empty(); })) continue;
    if (head_.empty()) {
      head_ = cells;
      columns_.resize(head_.size());
      continue;
    }
    if (cells.size() != head_.size())
      fail(Exit::data, "events: {} line {} has {} columns but the first line names {} ({}); mend it", name_, number,
           cells.size(), head_.size(), separator == '\t' ? "parted by tabs" : "parted by commas");
    for (std::size_t c = 0; c < cells.size(); ++c) columns_[c].push_back(cells[c]);
    lines_.push_back(number);
  }
}

bool EventTable::has(std::string const& column) const { return std::ranges::find(head_, column) != head_.end(); }

std::vector<std::string> const& EventTable::column(std::string const& name) const {
  auto const found = std::ranges::find(head_, name);
  if (found != head_.end()) return columns_[static_cast<std::size_t>(found - head_.begin())];
  std::string known;
  for (auto const& word : head_) known += (known.empty() ? "" : ", ") + word;
  std::string const near = nearest(name, head_);
  fail(Exit::data, "events: {} has no column `{}`{} (its columns: {})", name_, name,
       near.empty() ? "" : "; did you mean `" + near + "`?", known);
}

double EventTable::number(std::string const& name, std::size_t row) const {
  std::string const& word = column(name)[row];
  double value = 0;
  char const* const end = word.data() + word.size();
  auto const [stopped, code] = std::from_chars(word.data() + (word.starts_with('+') ? 1 : 0), end, value);
  if (code != std::errc() || stopped != end || !std::isfinite(value))
    fail(Exit::data, "events: {} line {}: {} is `{}`, which is no number; mend it", name_, line(row), name, word);
  return value;
}

}  // namespace striate::convolve
