#pragma once
/// `part: i/k` of jobs that an array of tasks shares: permute's permutations, extract's batches.
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace striate {

/// Share `i` of `k`, from 1.
struct Part {
  std::size_t i = 1, k = 1;
  /// Indices [first, second) of `n` that begin at `from`.
  [[nodiscard]] std::pair<std::size_t, std::size_t> range(std::size_t from, std::size_t n) const {
    return {from + n * (i - 1) / k, from + n * i / k};
  }
  /// A part's own file in a folder: part-2-of-8.h5.
  [[nodiscard]] std::filesystem::path file_in(std::filesystem::path const& folder) const;
  /// act.h5 → act.part-2-of-8.h5; `output` itself where all is one job's.
  [[nodiscard]] std::filesystem::path file_beside(std::filesystem::path const& output) const;
};
/// "3/10". Throws Error(Exit::config).
[[nodiscard]] Part part_of(std::string const& text);

}  // namespace striate
