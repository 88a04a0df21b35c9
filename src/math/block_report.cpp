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

/// The greatest values in descending order; NaN never counts.
void pick_top(std::vector<float> const& values, std::size_t wanted, std::int32_t* index, float* value) {
  std::size_t have = 0;
  for (std::size_t c = 0; c < values.size(); ++c) {
    float const v = values[c];
    if (std::isnan(v) || (have == wanted && !(v > value[have - 1]))) continue;
    std::size_t at = have < wanted ? have++ : have - 1;
    for (; at > 0 && v > value[at - 1]; --at) value[at] = value[at - 1], index[at] = index[at - 1];
    value[at] = v, index[at] = static_cast<std::int32_t>(c);
  }
  for (std::size_t k = have; k < wanted; ++k) value[k] = std::numeric_limits<float>::quiet_NaN(), index[k] = -1;
}

}  // namespace

/// Of one channel of a stimulus, or of all.
struct BlockReporter::Part {
  double sum = 0;
  float least = infinity, most = -infinity;  ///< NaN left out
  std::int64_t zeros = 0;
  void scan(float const* x, std::size_t n) { scan_values(x, n, sum, least, most, zeros); }
};

BlockReporter::BlockReporter(ChannelLayout const& layout, std::size_t rows)
    : layout_(layout), mean_(layout.channels), most_(layout.channels), sums_(layout.channels) {
  out_.count[BlockReport::least] = std::numeric_limits<double>::infinity();
  out_.count[BlockReport::most] = -std::numeric_limits<double>::infinity();
  out_.channel.resize(rows * BlockReport::columns);
  out_.value.resize(rows * BlockReport::columns);
}

void BlockReporter::add(float const* row) {
  Part whole;
  if (layout_.outer * layout_.inner == 1) {
    whole.scan(row, layout_.channels);
    mean_.assign(row, row + layout_.channels), most_ = mean_;
  } else if (layout_.inner == 1) {
    scan_tokens(row, whole);
  } else {
    scan_maps(row, whole);
  }
  auto& count = out_.count;
  count[BlockReport::zeros] += static_cast<double>(whole.zeros);
  count[BlockReport::least] = std::min(count[BlockReport::least], static_cast<double>(whole.least));
  count[BlockReport::most] = std::max(count[BlockReport::most], static_cast<double>(whole.most));
  if (!std::isfinite(whole.sum)) count_strange(row);
  std::size_t const place = row_++ * BlockReport::columns;
  auto* const index = out_.channel.data() + place;
  auto* const value = out_.value.data() + place;
  pick_top(mean_, BlockReport::top, index, value);
  pick_top(most_, 1, index + BlockReport::top, value + BlockReport::top);
}

/// Rare: only where a sum shows that something is not finite.
void BlockReporter::count_strange(float const* x) {
  std::size_t const n = layout_.units();
  std::size_t nans = 0, infinities = 0;
  for (std::size_t i = 0; i < n; ++i) nans += std::isnan(x[i]), infinities += std::isinf(x[i]);
  if (nans == n) {
    ++out_.count[BlockReport::empty_rows];
    return;
  }
  out_.count[BlockReport::nans] += static_cast<double>(nans);
  out_.count[BlockReport::infinities] += static_cast<double>(infinities);
}

void BlockReporter::scan_maps(float const* x, Part& whole) {
  for (std::size_t c = 0; c < layout_.channels; ++c) {
    Part part;
    for (std::size_t o = 0; o < layout_.outer; ++o)
      part.scan(x + (o * layout_.channels + c) * layout_.inner, layout_.inner);
    mean_[c] = static_cast<float>(part.sum / static_cast<double>(layout_.outer * layout_.inner));
    most_[c] = part.least > part.most ? std::numeric_limits<float>::quiet_NaN() : part.most;
    whole.sum += part.sum, whole.zeros += part.zeros;
    whole.least = std::min(whole.least, part.least), whole.most = std::max(whole.most, part.most);
  }
}

void BlockReporter::scan_tokens(float const* x, Part& whole) {
  std::ranges::fill(sums_, 0.0);
  std::ranges::fill(most_, -infinity);
  for (std::size_t o = 0; o < layout_.outer; ++o) {
    float const* token = x + o * layout_.channels;
    whole.scan(token, layout_.channels);
    add_token(token, layout_.channels, sums_.data(), most_.data());
  }
  for (std::size_t c = 0; c < layout_.channels; ++c)
    mean_[c] = static_cast<float>(sums_[c] / static_cast<double>(layout_.outer));
  if (whole.least > whole.most) std::ranges::fill(most_, std::numeric_limits<float>::quiet_NaN());
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
