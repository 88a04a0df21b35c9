#pragma once
/// Checksums: CRC32C of stored batches, SHA-256 of inputs.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace striate {

/// CRC32C (Castagnoli, RFC 3720), with the CPU's instruction where there is one. `before` continues an earlier sum.
[[nodiscard]] std::uint32_t crc32c(void const* data, std::size_t bytes, std::uint32_t before = 0) noexcept;

/// Sum of two pieces after each other, from their own sums: crc32c_join(a, b, crc32c_shift(bytes of b)).
[[nodiscard]] std::uint32_t crc32c_shift(std::uint64_t bytes) noexcept;
[[nodiscard]] std::uint32_t crc32c_join(std::uint32_t first, std::uint32_t second,
                                        std::uint32_t shift_of_second) noexcept;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256 const&) = delete;
  Sha256& operator=(Sha256 const&) = delete;
  void update(void const* data, std::size_t bytes);
  void update(std::string const& text) { update(text.data(), text.size()); }
  [[nodiscard]] std::string hex();  ///< 64 lower-case digits; ends the sum

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] std::string sha256(std::string const& text);
/// Throws Error(Exit::no_input).
[[nodiscard]] std::string sha256_file(std::filesystem::path const& path);

}  // namespace striate
