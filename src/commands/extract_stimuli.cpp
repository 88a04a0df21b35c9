#include "extract_stimuli.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/par/together.hpp"
#include "striate/store/row_array.hpp"

namespace striate {
namespace {

/// Drops columns that do not say where a stimulus lies.
void keep_places(StimTable& table) {
  std::vector<std::string> columns{"stimID"};
  std::vector<std::vector<std::string>> values{table.ids()};
  for (auto const& name : place_columns()) {
    if (!table.has(name)) continue;
    columns.push_back(name);
    values.push_back(table.column(name));
  }
  table.columns = std::move(columns), table.values = std::move(values);
}

bool same_row(StimTable const& table, std::size_t a, std::size_t b) {
  return std::ranges::all_of(table.values, [&](auto const& column) { return column[a] == column[b]; });
}

/// Keeps the first row of each id, or says which stands twice.
void keep_distinct(StimTable& table, bool once) {
  std::map<std::string, std::size_t> first;
  std::vector<std::size_t> kept;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    auto const [it, is_new] = first.emplace(table.ids()[row], row);
    if (is_new)
      kept.push_back(row);
    else if (!once)
      fail(Exit::data,
           "stimuli: {}: {} stands in rows {} and {}, but a store holds a stimulus once (responses may repeat it); "
           "list it "
           "once, or set on_duplicate: once",
           table.file.filename().string(), it->first, it->second + 1, row + 1);
    else if (!same_row(table, it->second, row))
      fail(Exit::data,
           "stimuli: {}: {} stands in rows {} and {} with different files, times or boxes; give each its id",
           table.file.filename().string(), it->first, it->second + 1, row + 1);
  }
  if (kept.size() == table.rows()) return;
  log::info("{} rows hold {} distinct stimuli; each is extracted once", table.rows(), kept.size());
  for (auto& column : table.values) {
    std::vector<std::string> values;
    for (std::size_t const row : kept) values.push_back(std::move(column[row]));
    column = std::move(values);
  }
}

/// Fields hold no line ends.
std::string to_text(StimTable const& table) {
  std::string text = table.type + "\n" + table.folder.string() + "\n" + std::to_string(table.columns.size()) + "\n";
  for (auto const& column : table.columns) text += column + "\n";
  for (auto const& column : table.values)
    for (auto const& value : column) text += value + "\n";
  return text;
}

StimTable from_text(std::string const& text, std::filesystem::path const& file) {
  StimTable table;
  table.file = file;
  std::istringstream lines(text);
  std::string line, folder;
  std::getline(lines, table.type);
  std::getline(lines, folder);
  table.folder = folder;
  std::getline(lines, line);
  table.columns.resize(std::stoul(line));
  for (auto& column : table.columns) std::getline(lines, column);
  std::vector<std::string> values;
  while (std::getline(lines, line)) values.push_back(std::move(line));
  std::size_t const rows = values.size() / table.columns.size();
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    table.values.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(c * rows),
                              values.begin() + static_cast<std::ptrdiff_t>((c + 1) * rows));
  return table;
}

/// Rows that are called 1 … n say nothing of what they hold.
bool are_numbers(std::vector<std::string> const& ids) {
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] != std::to_string(i + 1)) return false;
  return true;
}

/// Of what an array holds, wherever it lies: its whole file, or of a large one its size, shape and rows spread evenly.
std::string print_of_array(StimuliConfig const& config) {
  constexpr std::uintmax_t whole_up_to = std::uintmax_t{1} << 30;
  constexpr std::size_t most_rows = 256;
  std::uintmax_t const size = std::filesystem::file_size(config.path);
  if (size <= whole_up_to) return fmt::format("{} {}", size, sha256_file(config.path));
  auto const rows = config.is_npy ? open_npy_rows(config.path) : open_h5_rows(config.path, config.dataset);
  Sha256 sum;
  sum.update(fmt::format("{} {} {}", rows->is_bytes() ? "bytes" : "numbers", rows->rows(), rows->row_size()));
  for (std::size_t const extent : rows->shape()) sum.update(fmt::format(" {}", extent));
  std::vector<float> values(rows->row_size());
  std::size_t const n = rows->rows(), taken = std::min(n, most_rows);
  for (std::size_t i = 0; i < taken; ++i) {
    rows->read(taken > 1 ? i * (n - 1) / (taken - 1) : 0, std::span(values));
    sum.update(values.data(), values.size() * sizeof(float));
  }
  return fmt::format("{} {}", size, sum.hex());
}

/// Of what decides the rows, wherever the folder lies. Pictures by their files alone count as their ids.
std::string digest(StimTable const& table, StimuliConfig const& config, std::string const& content) {
  std::string text;
  if (table.type != "image" || table.columns.size() > 1)
    for (auto const& name : table.columns) text += name + "\n";
  if (table.type != "image") text += table.type + "\n" + config.dataset + "\n";
  if (table.type == "video" && !table.has("file")) text += table.folder.filename().string() + "\n";
  for (auto const& column : table.values)
    for (auto const& value : column) text += value + "\n";
  return sha256(text + content);
}

}  // namespace

ExtractStimuli read_stimuli(Context const& context, ExtractConfig const& config, Card const& card) {
  std::string text, content;
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    StimTable table = load_stimuli(config.stimuli);
    keep_places(table);
    keep_distinct(table, config.on_duplicate == "once" && !config.stimuli.is_array());
    if (table.rows() == 0) fail(Exit::data, "stimuli: {} lists no stimulus", table.file.filename().string());
    if (config.stimuli.is_array() && are_numbers(table.ids())) content = print_of_array(config.stimuli);
    text = to_text(table);
  });
  context.comm.broadcast(text, 0);
  context.comm.broadcast(content, 0);
  ExtractStimuli stimuli;
  together(context.comm, [&] {
    StimTable const table = from_text(text, config.stimuli.path);
    stimuli.ids = table.ids();
    stimuli.content = content;
    stimuli.sha256 = digest(table, config.stimuli, content);
    auto const& c = config.stimuli;
    try {
      if (c.is_array())
        stimuli.source = array_source(c.is_npy ? open_npy_rows(c.path) : open_h5_rows(c.path, c.dataset), card.input,
                                      card.preprocessing);
      else
        stimuli.source = stimulus_source(table, card.input, card.preprocessing);
    } catch (Error const& error) {
      throw Error(error.code(), std::string("stimuli: ") + error.what());
    }
  });
  return stimuli;
}

void check_stimuli(Context const& context, ExtractConfig const& config, ExtractStimuli const& stimuli) {
  std::size_t const n = stimuli.ids.size(), ranks = static_cast<std::size_t>(context.comm.size()),
                    r = static_cast<std::size_t>(context.comm.rank());
  std::size_t const first = n * r / ranks, last = n * (r + 1) / ranks;
  together(context.comm, [&] {
    auto const problems = stimuli.source->check(first, last, context.threads);
    if (problems.empty() || config.on_bad_stimulus == "skip") return;
    auto const& [place, what] = problems.front();
    fail(what.code(), "stimuli: row {} ({}): {}{}; mend it, or set on_bad_stimulus: skip", place + 1,
         stimuli.ids[place], what.what(),
         problems.size() > 1 ? std::string(" (it is not the only one)") : std::string());
  });
}

}  // namespace striate
