#pragma once
/// Arrays of n rows in files, read row by row on any thread: stimuli that are arrays.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace striate {

class RowArray {
 public:
  virtual ~RowArray() = default;
  [[nodiscard]] std::string const& name() const { return name_; }  ///< "f.h5:/data", for messages
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::vector<std::size_t> const& shape() const { return shape_; }  ///< of a row
  [[nodiscard]] std::size_t row_size() const;                                     ///< product of shape
  [[nodiscard]] bool is_bytes() const { return bytes_; }                          ///< uint8
  /// Rows that lie in one piece of the file, so that reading them one after the other is cheaper.
  [[nodiscard]] std::size_t rows_together() const { return together_; }
  /// A row in C order. Any thread. Throws Error(Exit::io | Exit::data) naming the array.
  virtual void read(std::size_t row, std::span<float> out) const = 0;
  virtual void read(std::size_t row, std::span<std::uint8_t> out) const = 0;  ///< of uint8

 protected:
  std::string name_;
  std::size_t rows_ = 0, together_ = 1;
  std::vector<std::size_t> shape_;
  bool bytes_ = false;
};

/// A .npy file of n × shape, or (`whole`) of one row. Throws Error(Exit::no_input | Exit::data).
[[nodiscard]] std::shared_ptr<RowArray const> open_npy_rows(std::filesystem::path const& file, bool whole = false);
/// A dataset of n × shape of an HDF5 file. Main thread; reading then needs no HDF5. Contiguous datasets and chunked
/// ones with or without gzip and shuffle are read from the file piece by piece; others are held in memory where they
/// are small. Throws Error(Exit::no_input | Exit::data | Exit::limit).
[[nodiscard]] std::shared_ptr<RowArray const> open_h5_rows(std::filesystem::path const& file,
                                                           std::string const& dataset);
/// Names of the rows: those in the text or number dataset `ids` of the file; where it is empty, in `stimID`,
/// `stimulus_id` or `.striate/stimulus_id` if one is there, else 1 … rows. Main thread.
[[nodiscard]] std::vector<std::string> h5_row_names(std::filesystem::path const& file, std::string const& ids,
                                                    std::size_t rows);

}  // namespace striate
