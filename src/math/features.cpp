#include "striate/math/features.hpp"

#include <algorithm>

namespace striate {

void MemorySource::read(std::size_t first, std::size_t count, float* out) const {
  for (std::size_t j = 0; j < count; ++j) {
    std::copy_n(x_.col(first + j), x_.rows, out + j * x_.rows);
  }
}

}  // namespace striate
