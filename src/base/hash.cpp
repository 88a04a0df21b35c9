#include "striate/base/hash.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <fstream>
#include <new>
#include <vector>

#include "striate/base/error.hpp"

namespace striate {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) ? 0x82F63B78u : 0u);
    table[i] = c;
  }
  return table;
}
constexpr auto crc_table = make_table();

std::uint32_t crc_plain(unsigned char const* p, std::size_t n, std::uint32_t c) noexcept {
  for (; n > 0; --n, ++p) c = (c >> 8) ^ crc_table[(c ^ *p) & 255];
  return c;
}

#if defined(__x86_64__) && defined(__GNUC__)
#define STRIATE_CRC_SSE42 1
__attribute__((target("sse4.2"))) std::uint32_t crc_sse42(unsigned char const* p, std::size_t n,
                                                          std::uint32_t c) noexcept {
  std::uint64_t wide = c;
  for (; n >= 8; n -= 8, p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  c = static_cast<std::uint32_t>(wide);
  for (; n > 0; --n, ++p) c = __builtin_ia32_crc32qi(c, *p);
  return c;
}
#endif

}  // namespace

std::uint32_t crc32c(void const* data, std::size_t bytes, std::uint32_t before) noexcept {
  auto const* p = static_cast<unsigned char const*>(data);
#ifdef STRIATE_CRC_SSE42
  static bool const fast = __builtin_cpu_supports("sse4.2");
  if (fast) return ~crc_sse42(p, bytes, ~before);
#endif
  return ~crc_plain(p, bytes, ~before);
}

namespace {

/// a · b mod P of polynomials over GF(2), bits reflected as in the CRC: x^0 is the highest (zlib's crc32.c, M. Adler).
std::uint32_t product_mod_p(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ ((b & 1) ? 0x82F63B78u : 0u);
  }
  return product;
}

}  // namespace

std::uint32_t crc32c_shift(std::uint64_t bytes) noexcept {
  std::uint32_t power = 1u << 23, shift = 1u << 31;  // x^8, x^0
  for (; bytes != 0; bytes >>= 1, power = product_mod_p(power, power))
    if (bytes & 1) shift = product_mod_p(power, shift);
  return shift;
}

std::uint32_t crc32c_join(std::uint32_t first, std::uint32_t second, std::uint32_t shift_of_second) noexcept {
  return product_mod_p(shift_of_second, first) ^ second;
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
}
Sha256::~Sha256() = default;

void Sha256::update(void const* data, std::size_t bytes) { EVP_DigestUpdate(state_->context, data, bytes); }

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(state_->context, digest.data(), &length);
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256(std::string const& text) {
  Sha256 sum;
  sum.update(text);
  return sum.hex();
}

std::string sha256_file(std::filesystem::path const& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(Exit::no_input, "{} cannot be read ({})", path.string(), std::strerror(errno));
  Sha256 sum;
  std::vector<char> buffer(std::size_t{1} << 20);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    sum.update(buffer.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) fail(Exit::io, "{} cannot be read to its end ({})", path.string(), std::strerror(errno));
  return sum.hex();
}

}  // namespace striate
