#pragma once
/// Tables of events: .tsv (BIDS), .csv, .stim.csv. Not collective.
#include <filesystem>
#include <string>
#include <vector>

namespace striate::convolve {

class EventTable {
 public:
  /// Throws Error(Exit::data | Exit::no_input), naming file and line.
  explicit EventTable(std::filesystem::path const& file);
  [[nodiscard]] std::string const& name() const { return name_; }
  [[nodiscard]] std::size_t rows() const { return columns_.empty() ? 0 : columns_[0].size(); }
  /// Of a row, for messages: from 1, the first one below the names being 2 in a .tsv.
  [[nodiscard]] std::size_t line(std::size_t row) const { return lines_.at(row); }
  [[nodiscard]] bool has(std::string const& column) const;
  [[nodiscard]] std::vector<std::string> const& column(std::string const& name) const;
  [[nodiscard]] double number(std::string const& column, std::size_t row) const;

 private:
  void read_delimited(std::filesystem::path const& file, char separator);
  std::string name_;
  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> columns_;
  std::vector<std::size_t> lines_;
};

}  // namespace striate::convolve
