#include <algorithm>
#include <cstdint>

#include "striate/base/error.hpp"
#include "striate/stats/folds.hpp"

namespace striate {

void purge(Split& split, std::size_t n, std::size_t gap, std::span<std::string const> run) {
  if (gap == 0) {
    return;
  }
  if (!run.empty() && run.size() != n) {
    fail(Exit::internal, "purge: {} runs were given for {} rows", run.size(), n);
  }
  std::vector<std::uint8_t> near(n, 0);
  for (std::size_t const row : split.test) {
    std::size_t const last = std::min(n - 1, row + std::min(gap, n));
    for (std::size_t i = row - std::min(row, gap); i <= last; ++i) {
      if (run.empty() || run[i] == run[row]) {
        near[i] = 1;
      }
    }
  }
  std::erase_if(split.train, [&](std::uint32_t row) { return near[row] != 0; });
}

}  // namespace striate
