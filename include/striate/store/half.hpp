#pragma once
/// IEEE binary16, converted by us: HDF5's own conversion runs at a tenth of the disk's speed.
#include <cstddef>
#include <cstdint>

namespace striate {

[[nodiscard]] std::uint16_t to_half(float value) noexcept;    ///< round to nearest even; overflow → infinity; NaN stays
[[nodiscard]] float from_half(std::uint16_t bits) noexcept;   ///< exact
/// Arrays, with F16C where the CPU has it (the same bits). Returns how many finite values became infinite.
std::size_t to_half(float const* in, std::size_t count, std::uint16_t* out) noexcept;
void from_half(std::uint16_t const* in, std::size_t count, float* out) noexcept;

}  // namespace striate
