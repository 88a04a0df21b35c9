#pragma once
/// Writing past the kernel's page cache (O_DIRECT): no copy, no fresh pages, a twentieth of the CPU time.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <utility>

namespace striate {

/// A file whose bytes are in place already (fixed extents). Pages that a run fills whole go past the cache; the rest of
/// its first and last page goes through it, so that neighbours may share a page. Not thread-safe; one for each rank.
class DirectFile {
 public:
  static constexpr std::size_t page = 4096;  ///< alignment of places in the file and in memory

  DirectFile() = default;
  DirectFile(DirectFile&& o) noexcept
      : path_(std::move(o.path_)), direct_(std::exchange(o.direct_, -1)), cached_(std::exchange(o.cached_, -1)) {}
  DirectFile& operator=(DirectFile&& o) noexcept;
  ~DirectFile();
  /// Whether the file system is one where this is known to be sound and faster: ext4, XFS.
  [[nodiscard]] static bool suits(std::filesystem::path const& path);
  /// False where the file system has no O_DIRECT.
  [[nodiscard]] bool open(std::filesystem::path const& path);
  [[nodiscard]] bool is_open() const { return direct_ >= 0; }
  /// `data` must lie at the same place within a page as `offset`; any length. Throws Error(Exit::io).
  void write(std::uint64_t offset, std::byte const* data, std::size_t bytes);

 private:
  void put(int file, std::uint64_t offset, std::byte const* data, std::size_t bytes);
  std::filesystem::path path_;
  int direct_ = -1, cached_ = -1;
};

/// Asks the file system for the bytes [0, size) of a new file at once, so that they lie together and a full disk shows
/// early: throws Error(Exit::io), with the name that it will have, where there is no room. Nothing happens where the file
/// system cannot reserve.
void reserve(std::filesystem::path const& path, std::uint64_t size, std::filesystem::path const& name);

}  // namespace striate
