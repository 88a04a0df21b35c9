#include "striate/store/half.hpp"

#include <bit>
#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace striate {

std::uint16_t to_half(float value) noexcept {
  std::uint32_t const bits = std::bit_cast<std::uint32_t>(value);
  auto const sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  std::uint32_t const magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)  // NaN: quiet, the top of the payload kept, as the hardware does
    return static_cast<std::uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  std::uint32_t mantissa = magnitude, shift = 13;
  if (magnitude < 0x38800000u) {  // below 2^-14: subnormal, in steps of 2^-24
    std::uint32_t const exponent = magnitude >> 23;
    if (exponent < 102) return sign;  // below half of the smallest
    mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    shift = 126 - exponent;
  } else {
    mantissa -= 0x38000000u;  // exponent bias 127 → 15
  }
  std::uint32_t const half = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
  return static_cast<std::uint16_t>(sign | (half + (rest > middle || (rest == middle && (half & 1u)))));
}

float from_half(std::uint16_t bits) noexcept {
  std::uint32_t const sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u;
  std::uint32_t const mantissa = bits & 0x3ffu;
  if (exponent == 0) {
    float const f = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -f : f;
  }
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0u));
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

namespace {

#if defined(__x86_64__)
bool has_f16c() {
  static bool const yes = __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx");
  return yes;
}

__attribute__((target("avx,f16c"))) std::size_t to_half_f16c(float const* in, std::size_t count, std::uint16_t* out) {
  for (std::size_t i = 0; i < count; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  return count;
}

__attribute__((target("avx,f16c"))) void from_half_f16c(std::uint16_t const* in, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<__m128i const*>(in + i))));
}
#endif

}  // namespace

std::size_t to_half(float const* in, std::size_t count, std::uint16_t* out) noexcept {
  std::size_t i = 0;
#if defined(__x86_64__)
  if (has_f16c()) i = to_half_f16c(in, count / 8 * 8, out);
#endif
  for (; i < count; ++i) out[i] = to_half(in[i]);
  std::size_t overflow = 0;
  for (std::size_t j = 0; j < count; ++j) overflow += (out[j] & 0x7fffu) == 0x7c00u && std::isfinite(in[j]);
  return overflow;
}

void from_half(std::uint16_t const* in, std::size_t count, float* out) noexcept {
  std::size_t i = 0;
#if defined(__x86_64__)
  if (has_f16c()) from_half_f16c(in, i = count / 8 * 8, out);
#endif
  for (; i < count; ++i) out[i] = from_half(in[i]);
}

}  // namespace striate
