/// Folders as .stim.csv, and .stim.csv in the form that DNNBrain's reader takes.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "convert_side.hpp"
#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate::convert {
namespace {

bool is_number(std::string const& text) {
  char* end = nullptr;
  (void)std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

/// Names become their places, from 0 in the order of their bytes, as torchvision numbers classes; the header keeps
/// them.
void number_column(StimTable& table, std::size_t column, std::string const& missing) {
  auto& values = table.values[column];
  std::set<std::string> names;
  for (auto const& v : values)
    if (!v.empty()) names.insert(v);
  std::map<std::string, std::string> codes;
  std::string legend;
  for (auto const& name : names) {
    codes[name] = std::to_string(codes.size());
    legend += (legend.empty() ? "" : "; ") + name;
  }
  for (auto& v : values) v = v.empty() ? missing : codes.at(v);
  table.header.emplace_back(table.columns[column] + "_names", legend);
}

void check_plain(StimTable const& table, std::string const& field, std::string const& where) {
  if (field.find_first_of(",\"") != std::string::npos)
    fail(Exit::data, "{}: {} holds `{}`; DNNBrain's form has no commas and quotes in a field, rename it",
         table.file.filename().string(), where, field);
}

/// What DNNBrain's reader fails on: `=` in a header value, type=audio, text or nothing where it wants numbers.
void make_dnnbrain(StimTable& table) {
  std::string const file = table.file.filename().string();
  if (table.type == "audio" || table.type == "array")
    fail(Exit::data, "{} is of type {}, which DNNBrain's .stim.csv does not have; leave format: out", file, table.type);
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    auto& values = table.values[c];
    std::string const& name = table.columns[c];
    check_plain(table, name, "the name of a column");
    for (std::size_t r = 0; r < values.size(); ++r)
      check_plain(table, values[r], fmt::format("row {}, {},", r + 1, name));
    if (name == "stimID" || name == "condition") continue;
    std::string const missing = name == "label" ? "-1" : "nan";
    std::size_t const empty = static_cast<std::size_t>(std::ranges::count(values, std::string()));
    bool const text = std::ranges::any_of(values, [](auto const& v) { return !v.empty() && !is_number(v); });
    if (empty > 0) log::warn("{}: {} empty cells of {} become {}", file, empty, name, missing);
    if (text) {
      log::warn("{}: {} holds names; they become numbers from 0 ({}_names in the header lists them)", file, name, name);
      number_column(table, c, missing);
    } else {
      std::ranges::replace(values, std::string(), missing);
    }
  }
  for (auto& [key, value] : table.header) {
    if (value.find('=') == std::string::npos) continue;
    log::warn("{}: the header line {} holds a second =, which becomes a colon", file, key);
    std::ranges::replace(value, '=', ':');
  }
  if (table.folder.string().find('=') != std::string::npos)
    fail(Exit::data, "{}: its path holds a =, which DNNBrain's reader fails on; move the stimuli", file);
}

}  // namespace

Table stimuli_table(Config const& config) {
  std::filesystem::path const in = config.input[0];
  std::error_code code;
  bool const folder = std::filesystem::is_directory(in, code);
  if (config.operation == "stimuli" && !folder)
    fail(Exit::no_input, "input: {} {}; operation: stimuli lists a folder", in.string(),
         std::filesystem::exists(in, code) ? "is no folder" : "does not exist");
  auto table = std::make_shared<StimTable>(folder ? stim_table_of_folder(in, config.type) : read_stim_table(in));
  if (config.layers != std::vector<std::string>{"all"}) fail(Exit::config, "layers: stimuli have none; remove the key");
  if (!config.rows.all()) {
    auto const kept = chosen_rows(config.rows, table->ids(), in.filename().string());
    for (auto& column : table->values) {
      std::vector<std::string> values;
      for (auto const i : kept) values.push_back(column[i]);
      column = std::move(values);
    }
  }
  if (config.labels == "numbers" || config.format == "dnnbrain")
    if (auto const at = std::ranges::find(table->columns, "label"); at != table->columns.end()) {
      auto const c = static_cast<std::size_t>(at - table->columns.begin());
      if (std::ranges::any_of(table->values[c], [](auto const& v) { return !is_number(v) && !v.empty(); }))
        number_column(*table, c, "-1");
    }
  if (config.format == "dnnbrain") make_dnnbrain(*table);
  Sha256 sum;
  for (auto const& column : table->values)
    for (auto const& v : column) sum.update(v + "\n");
  Table out;
  out.content = {{"rows", table->rows()}, {"columns", table->columns}, {"sha256", sum.hex()}};
  out.summary =
      fmt::format("{} stimuli of type {}, columns {}", table->rows(), table->type, fmt::join(table->columns, ", "));
  out.write = [table, to = config.output] { write_stim_table(to, *table); };
  return out;
}

}  // namespace striate::convert
