#pragma once
/// Numbers as files hold them → ours.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace striate {

inline float half_to_float(std::uint16_t h) {
  int exponent = h >> 10 & 31, mantissa = h & 1023;
  float value = exponent == 31  ? (mantissa != 0 ? NAN : INFINITY)
                : exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (h & 0x8000) != 0 ? -value : value;
}

template <class T, class Out>
void convert(std::byte const* from, bool swapped, std::span<Out> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::byte raw[sizeof(T)];
    std::memcpy(raw, from + i * sizeof(T), sizeof(T));
    if (swapped) std::reverse(raw, raw + sizeof(T));
    T value;
    std::memcpy(&value, raw, sizeof(T));
    out[i] = static_cast<Out>(value);
  }
}

template <class Out>
void convert_half(std::byte const* from, bool swapped, std::span<Out> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t value;
    std::memcpy(&value, from + i * 2, 2);
    if (swapped) value = static_cast<std::uint16_t>(value >> 8 | value << 8);
    out[i] = static_cast<Out>(half_to_float(value));
  }
}

/// `out.size()` numbers of a kind (f, i, u, b) and width in bytes.
template <class Out>
void convert_numbers(char kind, int width, std::byte const* from, bool swapped, std::span<Out> out) {
  if (kind == 'f') {
    if (width == 8) return convert<double>(from, swapped, out);
    if (width == 4) return convert<float>(from, swapped, out);
    return convert_half(from, swapped, out);
  }
  if (kind == 'i') {
    if (width == 1) return convert<std::int8_t>(from, swapped, out);
    if (width == 2) return convert<std::int16_t>(from, swapped, out);
    if (width == 4) return convert<std::int32_t>(from, swapped, out);
    return convert<std::int64_t>(from, swapped, out);
  }
  if (width == 1) return convert<std::uint8_t>(from, swapped, out);
  if (width == 2) return convert<std::uint16_t>(from, swapped, out);
  if (width == 4) return convert<std::uint32_t>(from, swapped, out);
  return convert<std::uint64_t>(from, swapped, out);
}

}  // namespace striate
