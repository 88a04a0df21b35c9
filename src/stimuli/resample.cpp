// Method: Pillow 9.4, src/libImaging/Resample.c (antialiased, horizontal pass first) and Geometry.c (nearest).
#include "resample.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "resample_kernels.hpp"
#include "striate/base/config.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/image.hpp"

namespace striate {
namespace {

struct Filter {
  char const* name;
  double support;
  double (*at)(double x);
};

double bilinear(double x) { return std::abs(x) < 1 ? 1 - std::abs(x) : 0; }
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}
double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }
double lanczos(double x) { return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

constexpr std::array filters{Filter{"bilinear", 1, bilinear}, Filter{"bicubic", 2, bicubic},
                             Filter{"lanczos", 3, lanczos}};

Filter const& filter_of(std::string const& mode) {
  for (auto const& filter : filters)
    if (mode == filter.name) return filter;
  std::string known, near = nearest(mode, resize_modes());
  for (auto const& name : resize_modes()) known += (known.empty() ? "" : ", ") + name;
  fail(Exit::config, "`{}` is no resize mode; {}", mode,
       near.empty() ? "known: " + known : "did you mean " + near + "?");
}

std::int32_t fixed_point(double weight) {
  return static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kernels::precision));
}

/// Weights of output place `at`: first source place, count; as Pillow's precompute_coeffs, operation by operation.
std::pair<std::size_t, std::size_t> find_weights(Filter const& filter, std::size_t in, std::size_t out, std::size_t at,
                                                 std::vector<double>& weights) {
  double const scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(scale, 1.0);
  double const support = filter.support * stretch, center = (static_cast<double>(at) + 0.5) * scale;
  double const inverse = 1.0 / stretch;
  auto const first = static_cast<std::size_t>(std::max(0.0, center - support + 0.5));
  auto const end = std::min(in, static_cast<std::size_t>(center + support + 0.5));
  weights.resize(end - first);
  double sum = 0;
  for (std::size_t x = 0; x < weights.size(); ++x) {
    weights[x] = filter.at((static_cast<double>(x) + static_cast<double>(first) - center + 0.5) * inverse);
    sum += weights[x];
  }
  if (sum != 0)
    for (auto& w : weights) w /= sum;
  return {first, weights.size()};
}

void find_taps(Filter const& filter, std::size_t in, std::size_t out, Window window, std::vector<double>& weights,
               Taps& taps) {
  double const stretch = std::max(1.0, static_cast<double>(in) / static_cast<double>(out));
  taps.pairs = static_cast<std::size_t>(std::ceil(filter.support * stretch)) + 1;
  taps.first.resize(window.count), taps.used.resize(window.count);
  taps.high.assign(window.count * taps.pairs, 0), taps.low.assign(window.count * taps.pairs, 0);
  for (std::size_t i = 0; i < window.count; ++i) {
    auto const [first, count] = find_weights(filter, in, out, window.first + i, weights);
    taps.first[i] = first, taps.used[i] = static_cast<std::int32_t>((count + 1) / 2);
    for (std::size_t x = 0; x < count; ++x) {
      std::int32_t const w = fixed_point(weights[x]);
      auto const high = static_cast<std::uint32_t>(w >> kernels::low_bits) & 0xFFFFU;
      auto const low = static_cast<std::uint32_t>(w) & ((1U << kernels::low_bits) - 1);
      unsigned const shift = x % 2 == 0 ? 0 : 16;
      taps.high[i * taps.pairs + x / 2] |= static_cast<std::int32_t>(high << shift);
      taps.low[i * taps.pairs + x / 2] |= static_cast<std::int32_t>(low << shift);
    }
  }
}

/// Rows [first, end) of the source, stretched to the window of columns, into scratch.stretched.
std::size_t stretch_rows(PixelView const& source, std::size_t first, std::size_t end, std::size_t count,
                         ResampleScratch& scratch) {
  std::size_t const stride = (count * source.channels + 16) / 16 * 16;  // room for one byte more than the row
  scratch.stretched.resize(std::max(scratch.stretched.size(), (end - first) * stride));
  std::uint8_t* out = scratch.stretched.data();
  std::size_t y = first;
#if defined(__SSE2__)
  if (source.channels == 3 && source.width >= 4) {  // the kernels read a little beyond a row
    // The last row may end where the memory ends: it is read from a copy with room behind it.
    std::size_t const safe = std::min(end, source.height - 1);
    for (; y + 4 <= safe; y += 4, out += 4 * stride)
      kernels::across_rgb<4>(source.row(y), source.stride, scratch.across, count, out, stride);
    for (; y < safe; ++y, out += stride)
      kernels::across_rgb<1>(source.row(y), source.stride, scratch.across, count, out, stride);
    if (y < end) {
      scratch.last_row.resize(3 * source.width + 16);
      std::copy_n(source.row(y), 3 * source.width, scratch.last_row.begin());
      kernels::across_rgb<1>(scratch.last_row.data(), 0, scratch.across, count, out, stride);
      ++y;
    }
  }
#endif
  for (; y < end; ++y, out += stride)
    kernels::across_portable(source.row(y), scratch.across, count, source.channels, out);
  return stride;
}

/// Source places of nearest-neighbour sampling: Pillow adds the step up, rounding as it goes.
void nearest_places(std::size_t in, std::size_t out, Window window, std::vector<std::size_t>& places) {
  double const step = static_cast<double>(in) / static_cast<double>(out);
  double at = step * 0.5;
  for (std::size_t i = 0; i < window.first + window.count; ++i, at += step)
    if (i >= window.first) places.push_back(std::min(static_cast<std::size_t>(at), in - 1));
}

template <std::size_t CHANNELS>
void pick(std::uint8_t const* from, std::size_t const* places, std::size_t count, std::uint8_t* out) {
  for (std::size_t x = 0; x < count; ++x) std::memcpy(out + x * CHANNELS, from + places[x] * CHANNELS, CHANNELS);
}

void resample_nearest(PixelView const& source, std::size_t height, std::size_t width, Window rows, Window cols,
                      std::uint8_t* out, std::size_t out_stride, std::vector<std::size_t>& places) {
  places.clear();
  nearest_places(source.width, width, cols, places);
  nearest_places(source.height, height, rows, places);
  for (std::size_t y = 0; y < rows.count; ++y, out += out_stride) {
    std::uint8_t const* from = source.row(places[cols.count + y]);
    if (source.channels == 3)
      pick<3>(from, places.data(), cols.count, out);
    else
      pick<1>(from, places.data(), cols.count, out);
  }
}

}  // namespace

std::vector<std::string> const& resize_modes() {
  static std::vector<std::string> const modes{"bilinear", "nearest", "bicubic", "lanczos"};
  return modes;
}

void resample(PixelView const& source, std::size_t height, std::size_t width, std::string const& mode, Window rows,
              Window cols, std::uint8_t* out, std::size_t out_stride, ResampleScratch& scratch) {
  if (mode == "nearest") return resample_nearest(source, height, width, rows, cols, out, out_stride, scratch.places);
  Filter const& filter = filter_of(mode);
  bool const across = width != source.width, down = height != source.height;
  std::size_t first = rows.first, end = rows.first + rows.count;
  if (down) {
    find_taps(filter, source.height, height, rows, scratch.weights, scratch.down);
    Taps const& taps = scratch.down;
    first = taps.first.front(), end = 0;
    for (std::size_t i = 0; i < rows.count; ++i)
      end = std::max(end, taps.first[i] + 2 * static_cast<std::size_t>(taps.used[i]));
    end = std::min(end, source.height);  // a pair may be filled up beyond the last row
  }
  std::uint8_t const* from = source.row(first) + cols.first * source.channels;
  std::size_t stride = source.stride;
  if (across) {
    find_taps(filter, source.width, width, cols, scratch.weights, scratch.across);
    stride = stretch_rows(source, first, end, cols.count, scratch);
    from = scratch.stretched.data();
  }
  std::size_t const bytes = cols.count * source.channels;
  if (!down) {
    for (std::size_t y = 0; y < rows.count; ++y) std::copy_n(from + y * stride, bytes, out + y * out_stride);
    return;
  }
  Taps const& taps = scratch.down;
  scratch.rows.resize(2 * taps.pairs);
  for (std::size_t i = 0; i < rows.count; ++i) {
    auto const pairs = static_cast<std::size_t>(taps.used[i]);
    for (std::size_t t = 0; t < 2 * pairs; ++t)
      scratch.rows[t] = from + (std::min(taps.first[i] + t, end - 1) - first) * stride;
    kernels::down(scratch.rows.data(), &taps.high[i * taps.pairs], &taps.low[i * taps.pairs], pairs, bytes,
                  out + i * out_stride);
  }
}

Image resize_image(Image const& image, std::size_t height, std::size_t width, std::string const& mode) {
  if (height == 0 || width == 0) fail(Exit::config, "a picture cannot be resized to {} × {} pixels", width, height);
  thread_local ResampleScratch scratch;
  Image out;
  out.width = width, out.height = height;
  out.rgb.resize(3 * width * height);
  resample({image.rgb.data(), image.width, image.height, 3 * image.width, 3}, height, width, mode, {0, height},
           {0, width}, out.rgb.data(), 3 * width, scratch);
  return out;
}

}  // namespace striate
