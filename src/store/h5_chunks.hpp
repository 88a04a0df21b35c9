#pragma once
/// Where the bytes of a dataset lie in its file, so that threads can read them without HDF5.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "striate/store/h5.hpp"

namespace striate::h5 {

class Pieces {
 public:
  /// Contiguous, or chunked with no filters but shuffle, gzip and checksums.
  [[nodiscard]] static bool can_read(Dataset const& data);
  /// Main thread; `data` is one that can be read.
  Pieces(std::filesystem::path const& file, Dataset const& data);
  ~Pieces();
  Pieces(Pieces const&) = delete;
  Pieces& operator=(Pieces const&) = delete;
  [[nodiscard]] std::size_t rows_together() const { return chunk_.empty() ? 1 : chunk_[0]; }
  /// The row in C order, as it stands in the file: row volume × element bytes. Any thread. Throws Error(Exit::io |
  /// Exit::data) naming the file.
  void read_row(std::size_t row, std::byte* out) const;

 private:
  struct Chunk {
    std::uint64_t at = 0, bytes = 0;  ///< 0 bytes: never written
    std::uint32_t skipped = 0;        ///< filters that were not applied
  };
  using Bytes = std::shared_ptr<std::vector<std::byte> const>;
  void read(std::uint64_t at, std::byte* out, std::size_t bytes) const;
  void find_chunks(Dataset const& data);
  void find_user_block(Dataset const& data);
  [[nodiscard]] Bytes chunk(std::size_t index) const;
  [[nodiscard]] std::vector<std::byte> decode(Chunk const& chunk) const;
  void copy_part(std::vector<std::byte> const& from, std::vector<std::size_t> const& place, std::size_t row,
                 std::byte* out) const;

  std::filesystem::path path_;
  int fd_ = -1;
  Shape shape_, chunk_, grid_;                                            ///< grid: chunks along each axis
  std::size_t element_ = 1, row_bytes_ = 0, chunk_bytes_ = 0, slab_ = 1;  ///< slab: chunks that hold a row
  std::uint64_t offset_ = 0;  ///< contiguous: of the data; chunked: to be added to chunk addresses
  bool empty_ = false;        ///< contiguous and never written
  std::vector<std::byte> fill_;
  std::vector<int> filters_;  ///< in the order of writing
  std::vector<Chunk> chunks_;

  mutable std::mutex mutex_;
  mutable std::list<std::pair<std::size_t, Bytes>> kept_;  ///< last used first
  mutable std::unordered_map<std::size_t, std::list<std::pair<std::size_t, Bytes>>::iterator> where_;
};

}  // namespace striate::h5
