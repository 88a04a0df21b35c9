#pragma once
/// The working file result.h5 of encode, decode, permute: datasets declared up front, filled tile by tile from all
/// ranks, closed by rank 0.
///
/// Besides the declared datasets: /.striate/identity (JSON), /.striate/done (uint8 per tile), /.striate/complete (uint8).
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "striate/math/matrix.hpp"
#include "striate/par/comm.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"

namespace striate {

struct ResultDataset {
  std::string name;                 ///< "/L/score/pearson_fold"
  h5::Dtype type = h5::Dtype::f64;
  std::vector<std::size_t> shape;   ///< (k,t), (t), (n,t), () …
  /// Width of a tile of the last axis; chunks never cross a tile, so ranks never share one. 0: not tiled (written whole).
  std::size_t tile = 0;
};

struct ResultSpec {
  std::vector<ResultDataset> datasets;    ///< derived ones too: after creation the file's structure never changes
  std::vector<std::pair<std::string, std::vector<std::string>>> texts;  ///< string datasets, written at creation
  std::map<std::string, std::string> attributes;  ///< of the root
  std::size_t tiles = 0;                  ///< entries of the ledger
  nlohmann::ordered_json identity;        ///< what must agree on resume
};

/// Written by all ranks. The same promises about kills and the same creation rules as ActWriter.
class ResultFile {
 public:
  /// Collective. The folder must exist. Errors as ActWriter::open.
  static std::unique_ptr<ResultFile> open(Comm const& comm, std::filesystem::path const& path, ResultSpec const& spec,
                                          bool fresh = false);
  ~ResultFile();

  [[nodiscard]] StoreState state() const;
  [[nodiscard]] std::vector<std::uint8_t> const& done() const;  ///< (tiles), as found at opening; equal on all ranks

  /// One row of a dataset, columns [first, first + values.size()); row 0 of a (t) dataset. Independent; numbers are
  /// converted to the dataset's type.
  template <class T>
  void write_slice(std::string const& name, std::size_t row, std::size_t first, std::span<T const> values) {
    write_box(name, row, 1, first, values.size(), h5::dtype_of<T>(), values.data());
  }
  /// Rows [row, row + block.rows) × columns [first, first + block.cols) from a column-major block. Independent.
  template <class T>
  void write_block(std::string const& name, std::size_t row, std::size_t first, MatrixView<T const> block) {
    std::vector<T> c_order(block.rows * block.cols);
    for (std::size_t j = 0; j < block.cols; ++j)
      for (std::size_t i = 0; i < block.rows; ++i) c_order[i * block.cols + j] = block(i, j);
    write_box(name, row, block.rows, first, block.cols, h5::dtype_of<T>(), c_order.data());
  }
  /// A whole dataset, by one rank. Independent.
  template <class T>
  void write(std::string const& name, std::span<T const> values) {
    write_whole(name, values.size(), h5::dtype_of<T>(), values.data());
  }
  /// A whole dataset in C order. Independent; what other ranks wrote is seen after a flush().
  template <class T>
  [[nodiscard]] std::vector<T> read(std::string const& name) const {
    std::vector<T> values(volume_of(name));
    read_whole(name, h5::dtype_of<T>(), values.data());
    return values;
  }
  /// A part of a dataset of one dimension. Independent; as read().
  template <class T>
  void read_slice(std::string const& name, std::size_t first, std::span<T> values) const {
    read_part(name, first, values.size(), h5::dtype_of<T>(), values.data());
  }
  [[nodiscard]] std::vector<std::size_t> shape(std::string const& name) const;

  void flush();                                     ///< collective; data on disk on return
  /// Sets the done flags of `base` + each of `tiles`. Independent; only after flush.
  void mark(std::span<std::size_t const> tiles, std::size_t base = 0);
  /// Collective: flushes, calls `derive` on rank 0 alone (it may read everything and write declared datasets), then
  /// complete = 1 after an fsync; closes the file. An error of `derive` is thrown on all ranks.
  void finish(std::function<void(ResultFile&)> const& derive);

 private:
  struct Impl;
  explicit ResultFile(std::unique_ptr<Impl> impl);
  void write_box(std::string const& name, std::size_t row, std::size_t rows, std::size_t first, std::size_t columns,
                 h5::Dtype type, void const* values);
  void write_whole(std::string const& name, std::size_t count, h5::Dtype type, void const* values);
  void read_whole(std::string const& name, h5::Dtype type, void* out) const;
  void read_part(std::string const& name, std::size_t first, std::size_t count, h5::Dtype type, void* out) const;
  [[nodiscard]] std::size_t volume_of(std::string const& name) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate
