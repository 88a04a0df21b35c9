#include "video.hpp"

#include <algorithm>
#include <cmath>

namespace striate {

std::size_t VideoIndex::before(std::int64_t ticks) const {
  auto const after = std::upper_bound(shown.begin(), shown.end(), ticks);
  return after == shown.begin() ? 0 : static_cast<std::size_t>(after - shown.begin()) - 1;
}

std::size_t VideoIndex::at(double seconds) const {
  return before(shown[0] + static_cast<std::int64_t>(std::floor((seconds + 1e-3) / tick + 1e-6)));
}

}  // namespace striate
