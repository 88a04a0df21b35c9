#pragma once
/// MATLAB's MAT-files, level 5 (versions 6 and 7), read whole and written. Version 7.3 is HDF5.
/// Format: "MAT-File Format", The MathWorks, 2020.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace striate {

/// A variable. Numbers and texts are by columns (the first axis varies fastest).
struct MatValue {
  enum class Kind { number, text, cell, structure, other };
  Kind kind = Kind::other;
  std::vector<std::size_t> shape;
  std::vector<float> numbers;       ///< of Kind::number: real parts
  bool float64 = false;             ///< stored as double
  std::string text;                 ///< of Kind::text: UTF-8
  std::vector<MatValue> cells;      ///< of Kind::cell
  std::vector<std::string> fields;  ///< of Kind::structure
  std::vector<MatValue> values;     ///< [element × fields + field]
  [[nodiscard]] std::size_t size() const {
    std::size_t product = 1;
    for (auto const d : shape) product *= d;
    return product;
  }
  /// Field of element i, or null.
  [[nodiscard]] MatValue const* field(std::size_t i, std::string const& name) const;
  [[nodiscard]] MatValue* field(std::size_t i, std::string const& name) {
    return const_cast<MatValue*>(std::as_const(*this).field(i, name));
  }
};

/// Variables in the order of the file. Sparse arrays, objects and functions are Kind::other.
/// Error(Exit::no_input | Exit::data): not a MAT-file, version 4 or 7.3, damage.
[[nodiscard]] std::vector<std::pair<std::string, MatValue>> read_mat(std::filesystem::path const& path);

/// Writes variables one after the other, uncompressed; the file appears when it is whole.
class MatWriter {
 public:
  explicit MatWriter(std::filesystem::path const& path);
  ~MatWriter();
  /// The most bytes of a variable: what level 5 can say.
  static constexpr std::size_t limit = (std::size_t{1} << 31) - 4096;
  /// `values` by columns. Error(Exit::data) above the limit.
  void add(std::string const& name, std::vector<std::size_t> const& shape, std::span<float const> values);
  void add_cells(std::string const& name, std::vector<std::string> const& texts);  ///< a column of char rows
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A valid, new name of a variable: letters, digits, '_', at most 63, first a letter.
[[nodiscard]] std::string mat_name(std::string const& name, std::vector<std::string> const& taken);

}  // namespace striate
