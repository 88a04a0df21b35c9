#include "striate/math/block_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "striate/math/clones.hpp"

namespace striate {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::size_t lanes = 16, panel = 256;
using Lanes = float __attribute__((vector_size(lanes * sizeof(float))));
using Half = float __attribute__((vector_size(lanes / 2 * sizeof(float))));
using Doubles = double __attribute__((vector_size(lanes / 2 * sizeof(double))));
using Marks = std::int32_t __attribute__((vector_size(lanes * sizeof(float))));

template <class V, class Join>
inline auto across(V const& vector, Join const& join) {
  constexpr std::size_t n = sizeof(V) / sizeof(vector[0]);
  std::remove_cvref_t<decltype(vector[0])> part[n];
  std::memcpy(part, &vector, sizeof part);
  for (std::size_t half = n / 2; half > 0; half /= 2)
    for (std::size_t k = 0; k < half; ++k) part[k] = join(part[k], part[k + half]);
  return part[0];
}

/// Sum, extremes and zeros of x. Comparisons and selections keep NaN out of the extremes; the sum takes it in.
STRIATE_CLONES void scan_values(float const* x, std::size_t n, double& total, float& lowest, float& highest,
                                std::int64_t& zero_count) {
  std::size_t i = 0;
  Lanes least{}, most{};
  least += lowest, most += highest;
  Marks zeros{};
  Lanes const zero{};
  Doubles sums{};
  while (i + lanes <= n) {
    Lanes sum{};
    std::size_t const end = std::min(n, i + panel);
    for (; i + lanes <= end; i += lanes) {
      Lanes v;
      std::memcpy(&v, x + i, sizeof v);
      sum += v;
      least = v < least ? v : least;
      most = v > most ? v : most;
      zeros -= v == zero;
    }
    Half parts[2];
    std::memcpy(parts, &sum, sizeof parts);
    sums += __builtin_convertvector(parts[0], Doubles) + __builtin_convertvector(parts[1], Doubles);
  }
  total += across(sums, [](double a, double b) { return a + b; });
  lowest = across(least, [](float a, float b) { return b < a ? b : a; });
  highest = across(most, [](float a, float b) { return b > a ? b : a; });
  zero_count += across(zeros, [](std::int32_t a, std::int32_t b) { return a + b; });
  for (; i < n; ++i) {
    total += static_cast<double>(x[i]);
    lowest = x[i] < lowest ? x[i] : lowest;
    highest = x[i] > highest ? x[i] : highest;
    zero_count += x[i] == 0;
  }
}

/// Sums and maxima over tokens.
STRIATE_CLONES void add_token(float const* x, std::size_t n, double* sums, float* most) {
  for (std::size_t c = 0; c < n; ++c) {
    sums[c] += static_cast<double>(x[c]);
    most[c] = x[c] > most[c] ? x[c] : most[c];
  }
}

/// Puts a value into a list of the greatest, in descending order, where it belongs there; equals by order of coming.
void insert(float v, std::size_t which, std::size_t room, std::size_t& have, std::int32_t* index, float* value) {
  if (std::isnan(v) || (have == room && !(v > value[have - 1]))) return;
  std::size_t at = have < room ? have++ : have - 1;
  for (; at > 0 && v > value[at - 1]; --at) value[at] = value[at - 1], index[at] = index[at - 1];
  value[at] = v, index[at] = static_cast<std::int32_t>(which);
}

}  // namespace

/// Of some values.
struct BlockReporter::Part {
  double sum = 0;
  float least = infinity, most = -infinity;  ///< NaN left out
  std::int64_t zeros = 0;
};

BlockReporter::BlockReporter(ChannelLayout const& layout, std::size_t rows) : layout_(layout), rows_(rows) {
  out_.count[BlockReport::least] = std::numeric_limits<double>::infinity();
  out_.count[BlockReport::most] = -std::numeric_limits<double>::infinity();
  out_.channel.assign(rows * BlockReport::columns, -1);
  out_.value.assign(rows * BlockReport::columns, std::numeric_limits<float>::quiet_NaN());
  for (Row& row : rows_) row.most = -infinity;
  if (layout.outer == 1) return;
  sums_.assign(rows * layout.channels, 0);
  most_.assign(rows * layout.channels, -infinity);
}

/// Counts and extremes of values of a row. NaN and infinities are rare: looked for only where a sum shows one.
void BlockReporter::scan(float const* values, std::size_t count, Row& row, Part& part) {
  scan_values(values, count, part.sum, part.least, part.most, part.zeros);
  auto& all = out_.count;
  all[BlockReport::zeros] += static_cast<double>(part.zeros);
  all[BlockReport::least] = std::min(all[BlockReport::least], static_cast<double>(part.least));
  all[BlockReport::most] = std::max(all[BlockReport::most], static_cast<double>(part.most));
  if (std::isfinite(part.sum)) return;
  for (std::size_t i = 0; i < count; ++i) row.nans += std::isnan(values[i]), row.infinities += std::isinf(values[i]);
}

void BlockReporter::rank(std::size_t row, std::size_t channel, float mean, float most) {
  Row& mine = rows_[row];
  std::size_t const place = row * BlockReport::columns;
  insert(mean, channel, BlockReport::top, mine.by_mean, &out_.channel[place], &out_.value[place]);
  insert(most, channel, 1, mine.by_most, &out_.channel[place + BlockReport::top], &out_.value[place + BlockReport::top]);
}

/// Values of one channel; ranks it with its last one.
void BlockReporter::add_map(std::size_t row, float const* values, std::size_t count, std::size_t channel) {
  Row& mine = rows_[row];
  Part part;
  scan(values, count, mine, part);
  mine.sum += part.sum;
  mine.most = std::max(mine.most, part.most);
  if ((mine.at + count) % layout_.inner != 0) return;
  // −∞ where there was nothing but NaN, which its mean shows, or nothing but −∞.
  bool const nothing = mine.most == -infinity && std::isnan(mine.sum);
  rank(row, channel, static_cast<float>(mine.sum / static_cast<double>(layout_.inner)),
       nothing ? std::numeric_limits<float>::quiet_NaN() : mine.most);
  mine.sum = 0, mine.most = -infinity;
}

void BlockReporter::add(std::size_t row, float const* values, std::size_t count) {
  Row& mine = rows_[row];
  while (count > 0) {
    // Up to the end of the map, of the token, of what is there.
    std::size_t const span = layout_.outer > 1 ? layout_.channels : layout_.inner == 1 ? count : layout_.inner;
    std::size_t const now = layout_.inner == 1 && layout_.outer == 1 ? count : std::min(count, span - mine.at % span);
    if (layout_.outer > 1) {
      Part part;
      scan(values, now, mine, part);
      std::size_t const place = row * layout_.channels + mine.at % layout_.channels;
      add_token(values, now, &sums_[place], &most_[place]);
    } else if (layout_.inner > 1) {
      add_map(row, values, now, mine.at / layout_.inner);
    } else {
      Part part;
      scan(values, now, mine, part);
      for (std::size_t i = 0; i < now; ++i) rank(row, mine.at + i, values[i], values[i]);
    }
    mine.at += now, values += now, count -= now;
  }
}

BlockReport BlockReporter::take() {
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    Row const& row = rows_[r];
    for (std::size_t c = 0; layout_.outer > 1 && c < layout_.channels; ++c) {
      double const sum = sums_[r * layout_.channels + c];
      float const most = most_[r * layout_.channels + c];
      rank(r, c, static_cast<float>(sum / static_cast<double>(layout_.outer)),
           most == -infinity && std::isnan(sum) ? std::numeric_limits<float>::quiet_NaN() : most);
    }
    bool const empty = row.nans == layout_.units();
    out_.count[BlockReport::empty_rows] += empty ? 1 : 0;
    out_.count[BlockReport::nans] += empty ? 0 : static_cast<double>(row.nans);
    out_.count[BlockReport::infinities] += static_cast<double>(row.infinities);
  }
  return std::move(out_);
}

ChannelLayout channel_layout(std::vector<std::size_t> const& shape, std::string const& axes) {
  if (shape.empty()) return {};
  if (axes == "token feature" && shape.size() == 2) return {shape[0], shape[1], 1};
  ChannelLayout layout{1, shape[0], 1};
  for (std::size_t a = 1; a < shape.size(); ++a) layout.inner *= shape[a];
  return layout;
}

void merge_counts(std::array<double, BlockReport::counts>& all, std::array<double, BlockReport::counts> const& more) {
  for (std::size_t k = 0; k < BlockReport::least; ++k) all[k] += more[k];
  all[BlockReport::least] = std::min(all[BlockReport::least], more[BlockReport::least]);
  all[BlockReport::most] = std::max(all[BlockReport::most], more[BlockReport::most]);
}

}  // namespace striate
