#include "striate/math/columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace striate {
namespace {

struct Part {
  double count = 0, mean = 0, m2 = 0;
  float low = std::numeric_limits<float>::infinity(), high = -std::numeric_limits<float>::infinity();

  void merge(Part const& o) {
    double const total = count + o.count;
    if (o.count == 0) {
      return;
    }
    double const delta = o.mean - mean;
    mean += delta * o.count / total;
    m2 += o.m2 + delta * delta * count * o.count / total;
    count = total;
    low = std::min(low, o.low);
    high = std::max(high, o.high);
  }
};

Part measure(float const* x, std::size_t n) {
  Part p;
  p.count = static_cast<double>(n);
  double sum[4] = {0, 0, 0, 0};
  for (std::size_t i = 0; i < n; ++i) {
    sum[i & 3] += x[i];
    p.low = std::min(p.low, x[i]);
    p.high = std::max(p.high, x[i]);
  }
  p.mean = n == 0 ? 0 : ((sum[0] + sum[1]) + (sum[2] + sum[3])) / p.count;
  double square[4] = {0, 0, 0, 0};
  for (std::size_t i = 0; i < n; ++i) {
    double const d = x[i] - p.mean;
    square[i & 3] += d * d;
  }
  p.m2 = (square[0] + square[1]) + (square[2] + square[3]);
  return p;
}

}  // namespace

std::size_t RowBlocks::rows(std::size_t set) const {
  std::size_t n = 0;
  for (auto b : sets[set]) {
    n += begin[b + 1] - begin[b];
  }
  return n;
}

void column_stats(float const* x, RowBlocks const& blocks, bool standardize, double* out) {
  thread_local std::vector<Part> parts;
  parts.resize(blocks.blocks());
  for (std::size_t b = 0; b < parts.size(); ++b) {
    parts[b] = measure(x + blocks.begin[b], blocks.begin[b + 1] - blocks.begin[b]);
  }
  for (std::size_t s = blocks.sets.size(); s-- > 0;) {
    Part all;
    for (auto b : blocks.sets[s]) {
      all.merge(parts[b]);
    }
    if (s + 1 == blocks.sets.size()) {
      out[0] = all.mean;
    }
    bool const constant = !(all.high > all.low);
    out[1 + 2 * s] = all.mean - out[0];
    out[2 + 2 * s] = constant ? 0.0 : standardize ? 1 / std::sqrt(all.m2 / all.count) : 1.0;
  }
}

}  // namespace striate
