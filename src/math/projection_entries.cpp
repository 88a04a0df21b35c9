// Entries of random projections: counter-based, 16 at a time. Arithmetic is spelled out (no library's log or sine), and
// this file is compiled without fused multiply-adds, so that an entry is the same number on every CPU.
#include <array>
#include <cmath>
#include <cstring>

#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/philox.hpp"
#include "striate/math/clones.hpp"
#include "striate/math/projection.hpp"

namespace striate {
namespace {

constexpr std::size_t lanes = 16, words = 4, blocks = 4;  // 4 units × 4 Philox blocks of 4 words

using Words = std::array<std::uint32_t, lanes>;

struct Stream {
  std::uint32_t key0, key1, name0, name1;
};

/// Lane i: block i % 4 of unit first + i / 4. Word w of it is component 4 w + i % 4 of the group.
inline void philox_lanes(Stream const& s, std::uint32_t unit, std::uint32_t group, Words* out) {
  Words& c0 = out[0];
  Words &c1 = out[1], &c2 = out[2], &c3 = out[3];
  for (std::uint32_t i = 0; i < lanes; ++i) {
    c0[i] = unit + i / 4, c1[i] = group * 4 + i % 4;
    c2[i] = s.name0, c3[i] = s.name1;
  }
  std::uint32_t k0 = s.key0, k1 = s.key1;
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < lanes; ++i) {
      std::uint64_t const a = std::uint64_t{0xD2511F53} * c0[i], b = std::uint64_t{0xCD9E8D57} * c2[i];
      std::uint32_t const x = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ k0,
                          y = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<std::uint32_t>(b), c3[i] = static_cast<std::uint32_t>(a);
      c0[i] = x, c2[i] = y;
    }
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
}

/// ln x of x in (0, 1], normal (polynomial of Cephes' logf, Moshier 1992).
inline float log_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  std::uint32_t const shifted = bits - 0x3F3504F3u;  // √½: the mantissa comes to [√½, √2)
  auto const exponent = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  bits = (shifted & 0x007FFFFFu) + 0x3F3504F3u;
  float m;
  std::memcpy(&m, &bits, 4);
  m -= 1.0F;
  float const z = m * m;
  float p = 7.0376836292E-2F;
  for (float const k : {-1.1514610310E-1F, 1.1676998740E-1F, -1.2420140846E-1F, 1.4249322787E-1F, -1.6668057665E-1F,
                        2.0000714765E-1F, -2.4999993993E-1F, 3.3333331174E-1F})
    p = p * m + k;
  return (m * z * p - 0.5F * z + exponent * -2.12194440E-4F) + m + exponent * 0.693359375F;
}

/// Two normal numbers of two words (Box and Muller 1958): radius from the upper 31 bits of one, angle from the other.
inline void normals(std::uint32_t a, std::uint32_t b, float& x, float& y) {
  float const u = (static_cast<float>(static_cast<std::int32_t>(a >> 1)) + 0.5F) * 0x1p-31F;
  float const l = -2.0F * log_of(u);
  float const radius = std::sqrt(l > 0.0F ? l : 0.0F);
  std::uint32_t const quarter = (b + 0x20000000u) >> 30;
  float const t =
      static_cast<float>(static_cast<std::int32_t>(b - (quarter << 30))) * 1.46291807926715968e-9F;  // 2π/2³²
  float const z = t * t;
  float const s = ((-1.9515295891E-4F * z + 8.3321608736E-3F) * z - 1.6666654611E-1F) * z * t + t;
  float const c =
      ((2.443315711809948E-5F * z - 1.388731625493765E-3F) * z + 4.166664568298827E-2F) * z * z - 0.5F * z + 1.0F;
  bool const odd = (quarter & 1) != 0;
  float const cosine = odd ? s : c, sine = odd ? c : s;
  x = radius * (quarter == 1 || quarter == 2 ? -cosine : cosine);
  y = radius * (quarter >= 2 ? -sine : sine);
}

/// out: 4 units × 16 components.
inline void place(std::array<float, lanes> const* words_of, float* out) {
  for (std::size_t u = 0; u < lanes / blocks; ++u)
    for (std::size_t w = 0; w < words; ++w) std::memcpy(out + u * 16 + w * 4, words_of[w].data() + u * 4, 16);
}

STRIATE_CLONES void gaussian(Stream const& s, std::uint32_t first, std::size_t count, std::uint32_t group, float* out) {
  Words w[words];
  std::array<float, lanes> x[words];
  for (std::size_t u = 0; u < count; u += 4) {
    philox_lanes(s, first + static_cast<std::uint32_t>(u), group, w);
    for (std::size_t i = 0; i < lanes; ++i) normals(w[0][i], w[1][i], x[0][i], x[1][i]);
    for (std::size_t i = 0; i < lanes; ++i) normals(w[2][i], w[3][i], x[2][i], x[3][i]);
    place(x, out + u * 16);
  }
}

/// 2 `below` of 2³² words give an entry that is not 0: the first half of them −1.
STRIATE_CLONES void signs(Stream const& s, std::uint32_t first, std::size_t count, std::uint32_t group,
                          std::uint32_t below, float* out) {
  Words w[words];
  std::array<float, lanes> x[words];
  std::uint32_t const both = 2 * below - 1;  // below <= 2³¹
  for (std::size_t u = 0; u < count; u += 4) {
    philox_lanes(s, first + static_cast<std::uint32_t>(u), group, w);
    for (std::size_t v = 0; v < words; ++v)
      for (std::size_t i = 0; i < lanes; ++i) {
        float const sign = w[v][i] < below ? -1.0F : 1.0F;
        x[v][i] = w[v][i] > both ? 0.0F : sign;
      }
    place(x, out + u * 16);
  }
}

std::uint32_t below_of(double density) {
  double const half = std::round(density * 0x1p31);
  return static_cast<std::uint32_t>(half < 1 ? 1 : half);
}

}  // namespace

std::size_t johnson_lindenstrauss_min_dim(std::size_t samples, double eps) {
  if (!(eps > 0 && eps < 1)) fail(Exit::config, "the distortion of a projection is {}; it lies between 0 and 1", eps);
  if (samples == 0) fail(Exit::config, "a projection of no samples has no dimension");
  return static_cast<std::size_t>(4 * std::log(static_cast<double>(samples)) / (eps * eps / 2 - eps * eps * eps / 3));
}

ProjectionEntries::ProjectionEntries(ProjectionOptions const& o, std::size_t units)
    : gaussian_(o.kind == ProjectionKind::gaussian) {
  if (o.components == 0) fail(Exit::config, "a projection needs at least one component");
  if (!(o.density >= 0 && o.density <= 1))
    fail(Exit::config, "the density of a sparse projection is {}; it lies between 0 and 1", o.density);
  if (units >= (std::size_t{1} << 31) || o.components >= (std::size_t{1} << 31))
    fail(Exit::config, "a projection of {} units to {} components is too wide", units, o.components);
  density_ = gaussian_ ? 1 : o.density > 0 ? o.density : 1 / std::sqrt(static_cast<double>(units));
  factor_ = 1 / std::sqrt(density_ * static_cast<double>(o.components));
  // Key: the seed; upper half of the counter: the layer; lower half: unit and group of components.
  std::uint64_t const layer = std::stoull(sha256("striate projection " + o.layer).substr(0, 16), nullptr, 16);
  key_[0] = static_cast<std::uint32_t>(o.seed), key_[1] = static_cast<std::uint32_t>(o.seed >> 32);
  name_[0] = static_cast<std::uint32_t>(layer), name_[1] = static_cast<std::uint32_t>(layer >> 32);
}

void ProjectionEntries::make(std::size_t first, std::size_t count, std::size_t group, float* out) const {
  Stream const s{key_[0], key_[1], name_[0], name_[1]};
  auto const some = [&](std::size_t from, std::size_t n, float* to) {
    auto const unit = static_cast<std::uint32_t>(from), g = static_cast<std::uint32_t>(group);
    if (gaussian_)
      gaussian(s, unit, n, g, to);
    else
      signs(s, unit, n, g, below_of(density_), to);
  };
  std::size_t const whole = count / 4 * 4;
  some(first, whole, out);
  if (whole == count) return;
  std::array<float, 64> last{};
  some(first + whole, 4, last.data());
  std::memcpy(out + whole * 16, last.data(), (count - whole) * 64);
}

}  // namespace striate
