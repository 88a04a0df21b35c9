#pragma once
/// Inner loops of resampling. The SSE2 forms (part of every x86-64) and the portable ones give the same bytes: all is
/// integer arithmetic.
#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "resample.hpp"

namespace striate::kernels {

constexpr int precision = 22, low_bits = 11;
constexpr std::int32_t half = 1 << (precision - 1);

inline std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + half) >> precision, 0, 255));
}
inline std::int32_t weight(std::int32_t high, std::int32_t low, int side) {
  auto part = [side](std::int32_t word) {
    return std::int32_t{static_cast<std::int16_t>(side == 0 ? word : word >> 16)};
  };
  return part(high) * (1 << low_bits) + part(low);
}

/// One row across: out place i from source places taps.first[i]… Reads no place whose weight is a filler.
inline void across_portable(std::uint8_t const* row, Taps const& taps, std::size_t count, std::size_t channels,
                            std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t c = 0; c < channels; ++c) {
      std::uint8_t const* from = row + taps.first[i] * channels + c;
      std::int32_t sum = 0;
      for (std::size_t p = 0; p < static_cast<std::size_t>(taps.used[i]); ++p)
        for (int side = 0; side < 2; ++side) {
          std::int32_t const w = weight(taps.high[i * taps.pairs + p], taps.low[i * taps.pairs + p], side);
          if (w != 0) sum += w * from[(2 * p + static_cast<std::size_t>(side)) * channels];
        }
      out[i * channels + c] = to_byte(sum);
    }
}

/// One row down: `bytes` bytes from 2 × pairs source rows.
inline void down_portable(std::uint8_t const* const* rows, std::int32_t const* high, std::int32_t const* low,
                          std::size_t pairs, std::size_t bytes, std::uint8_t* out) {
  for (std::size_t x = 0; x < bytes; ++x) {
    std::int32_t sum = 0;
    for (std::size_t p = 0; p < pairs; ++p)
      sum += weight(high[p], low[p], 0) * rows[2 * p][x] + weight(high[p], low[p], 1) * rows[2 * p + 1][x];
    out[x] = to_byte(sum);
  }
}

#if defined(__SSE2__)

inline __m128i joined(__m128i high, __m128i low) {
  __m128i const sum = _mm_add_epi32(_mm_slli_epi32(high, low_bits), low);
  return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(half)), precision);
}
inline __m128i four_bytes(std::uint8_t const* from) {
  std::int32_t word = 0;
  std::memcpy(&word, from, 4);
  return _mm_cvtsi32_si128(word);
}

/// ROWS rows across at once, RGB. Reads up to 4 bytes behind the last place, and writes one byte behind the last.
template <int ROWS>
void across_rgb(std::uint8_t const* source, std::size_t stride, Taps const& taps, std::size_t count, std::uint8_t* out,
                std::size_t out_stride) {
  __m128i const zero = _mm_setzero_si128();
  for (std::size_t i = 0; i < count; ++i) {
    std::uint8_t const* from = source + 3 * taps.first[i];
    __m128i high[ROWS], low[ROWS];
    for (int r = 0; r < ROWS; ++r) high[r] = low[r] = zero;
    for (std::size_t p = 0; p < static_cast<std::size_t>(taps.used[i]); ++p, from += 6) {
      __m128i const wh = _mm_set1_epi32(taps.high[i * taps.pairs + p]);
      __m128i const wl = _mm_set1_epi32(taps.low[i * taps.pairs + p]);
      for (int r = 0; r < ROWS; ++r) {
        std::uint8_t const* pixel = from + static_cast<std::size_t>(r) * stride;
        __m128i const both =  // R R' G G' B B' as 16-bit numbers
            _mm_unpacklo_epi8(_mm_unpacklo_epi8(four_bytes(pixel), four_bytes(pixel + 3)), zero);
        high[r] = _mm_add_epi32(high[r], _mm_madd_epi16(both, wh));
        low[r] = _mm_add_epi32(low[r], _mm_madd_epi16(both, wl));
      }
    }
    for (int r = 0; r < ROWS; ++r) {
      __m128i const words = _mm_packs_epi32(joined(high[r], low[r]), zero);
      std::int32_t const pixel = _mm_cvtsi128_si32(_mm_packus_epi16(words, zero));
      std::memcpy(out + static_cast<std::size_t>(r) * out_stride + 3 * i, &pixel, 4);
    }
  }
}

/// 16 bytes down.
inline void down_16(std::uint8_t const* const* rows, std::int32_t const* high, std::int32_t const* low,
                    std::size_t pairs, std::size_t x, std::uint8_t* out) {
  __m128i const zero = _mm_setzero_si128();
  __m128i h[4] = {zero, zero, zero, zero}, l[4] = {zero, zero, zero, zero};
  for (std::size_t p = 0; p < pairs; ++p) {
    __m128i const wh = _mm_set1_epi32(high[p]), wl = _mm_set1_epi32(low[p]);
    __m128i const a = _mm_loadu_si128(reinterpret_cast<__m128i const*>(rows[2 * p] + x));
    __m128i const b = _mm_loadu_si128(reinterpret_cast<__m128i const*>(rows[2 * p + 1] + x));
    __m128i const first = _mm_unpacklo_epi8(a, b), second = _mm_unpackhi_epi8(a, b);
    __m128i const v[4] = {_mm_unpacklo_epi8(first, zero), _mm_unpackhi_epi8(first, zero),
                          _mm_unpacklo_epi8(second, zero), _mm_unpackhi_epi8(second, zero)};
    for (int q = 0; q < 4; ++q) {
      h[q] = _mm_add_epi32(h[q], _mm_madd_epi16(v[q], wh));
      l[q] = _mm_add_epi32(l[q], _mm_madd_epi16(v[q], wl));
    }
  }
  __m128i const left = _mm_packs_epi32(joined(h[0], l[0]), joined(h[1], l[1]));
  __m128i const right = _mm_packs_epi32(joined(h[2], l[2]), joined(h[3], l[3]));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + x), _mm_packus_epi16(left, right));
}

inline void down(std::uint8_t const* const* rows, std::int32_t const* high, std::int32_t const* low, std::size_t pairs,
                 std::size_t bytes, std::uint8_t* out) {
  if (bytes < 16) return down_portable(rows, high, low, pairs, bytes, out);
  for (std::size_t x = 0; x + 16 <= bytes; x += 16) down_16(rows, high, low, pairs, x, out);
  if (bytes % 16 != 0) down_16(rows, high, low, pairs, bytes - 16, out);  // overlaps: the same bytes again
}

#else
inline void down(std::uint8_t const* const* rows, std::int32_t const* high, std::int32_t const* low, std::size_t pairs,
                 std::size_t bytes, std::uint8_t* out) {
  down_portable(rows, high, low, pairs, bytes, out);
}
#endif

}  // namespace striate::kernels
