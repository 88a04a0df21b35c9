#pragma once
/// Lossless compression of a finished activation store.
#include <cstdint>
#include <filesystem>

#include "striate/par/comm.hpp"
#include "striate/par/stop.hpp"

namespace striate {

struct PackedSize {
  std::uint64_t before = 0, after = 0;  ///< bytes of the files; after is 0 where it was asked to stop
};

/// Whether the layers of a finished store are compressed. Serial.
[[nodiscard]] bool is_packed(std::filesystem::path const& store);

/// Writes the finished store `in` as `out` (the same path: in its place) with every layer shuffled and deflated (zlib,
/// `level` 1 to 9), which every HDF5 reads; all else is copied as it stands. `out` appears, atomically, when it is whole
/// and every batch read from it has the checksum that `in` says; killed before, or stopped, all is as it was. Rank 0 works, with
/// `threads`; needs room for both files. Collective; throws Error(Exit::data | Exit::io | Exit::cant_create).
PackedSize pack_store(Comm const& comm, std::filesystem::path const& in, std::filesystem::path const& out, int level,
                      int threads, StopFlag const& stop);
/// Deletes what a killed pack_store left beside `out`. Serial.
void remove_pack_draft(std::filesystem::path const& out);

}  // namespace striate
