#include "deliver.hpp"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include <algorithm>

#include "striate/base/error.hpp"

namespace striate::net {
namespace {

/// Over the last two axes. l1 and l2 are norms of the map as a vector.
at::Tensor pooled(at::Tensor const& x, Pool pool) {
  std::vector<std::int64_t> const space{-2, -1};
  switch (pool) {
    case Pool::none:
      return x;
    case Pool::max:
      return x.amax(space, true);
    case Pool::mean:
      return x.mean(space, true);
    case Pool::l1:
      return at::linalg_vector_norm(x, 1, at::OptionalIntArrayRef(space), true);
    case Pool::l2:
      return at::linalg_vector_norm(x, 2, at::OptionalIntArrayRef(space), true);
    case Pool::median:
      break;
  }
  // The mean of the two in the middle of an even number, as NumPy; at::median takes the lower.
  at::Tensor const sorted = std::get<0>(x.flatten(-2).sort(-1));
  std::int64_t const n = sorted.size(-1);
  at::Tensor const middle = (sorted.select(-1, (n - 1) / 2) + sorted.select(-1, n / 2)) / 2;
  return middle.unsqueeze(-1).unsqueeze(-1);
}

/// to[c][p] = from[p][c] for p in [p0, p1), c in [c0, c1).
void transpose_block(float const* from, float* to, std::size_t positions, std::size_t channels, std::size_t p0,
                     std::size_t p1, std::size_t c0, std::size_t c1) {
  std::size_t c = c0;
#if defined(__SSE__)
  for (; c + 4 <= c1; c += 4) {
    std::size_t p = p0;
    for (; p + 4 <= p1; p += 4) {
      float const* in = from + p * channels + c;
      float* out = to + c * positions + p;
      __m128 r0 = _mm_loadu_ps(in), r1 = _mm_loadu_ps(in + channels), r2 = _mm_loadu_ps(in + 2 * channels),
             r3 = _mm_loadu_ps(in + 3 * channels);
      _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
      _mm_storeu_ps(out, r0);
      _mm_storeu_ps(out + positions, r1);
      _mm_storeu_ps(out + 2 * positions, r2);
      _mm_storeu_ps(out + 3 * positions, r3);
    }
    for (; p < p1; ++p)
      for (std::size_t k = 0; k < 4; ++k) to[(c + k) * positions + p] = from[p * channels + c + k];
  }
#endif
  for (; c < c1; ++c)
    for (std::size_t p = p0; p < p1; ++p) to[c * positions + p] = from[p * channels + c];
}

/// A channels-last tensor in the order of the store. LibTorch's own copy walks one number at a time and takes as long
/// as the convolutions.
at::Tensor channels_first(at::Tensor const& x) {
  at::Tensor out = at::empty(x.sizes(), x.options(), at::MemoryFormat::Contiguous);
  auto const images = static_cast<std::size_t>(x.size(0)), channels = static_cast<std::size_t>(x.size(1));
  auto const positions = static_cast<std::size_t>(x.size(2) * x.size(3));
  // A cache line of channels by four lines of positions: both sides use the lines they touch whole.
  constexpr std::size_t block_channels = 16, block_positions = 64;
  for (std::size_t i = 0; i < images; ++i) {
    float const* from = x.data_ptr<float>() + i * positions * channels;
    float* to = out.data_ptr<float>() + i * positions * channels;
    for (std::size_t p = 0; p < positions; p += block_positions)
      for (std::size_t c = 0; c < channels; c += block_channels)
        transpose_block(from, to, positions, channels, p, std::min(p + block_positions, positions), c,
                        std::min(c + block_channels, channels));
  }
  return out;
}

bool has_space(std::int64_t rank) { return rank == 4 || rank == 5; }

std::string sizes_text(at::Tensor const& value) {
  std::string out;
  for (auto const size : value.sizes()) out += (out.empty() ? "" : " × ") + std::to_string(size);
  return out.empty() ? "a single number" : out;
}

}  // namespace

CapturedLayer describe_layer(at::Tensor const& value, std::size_t rows, Pool pool, std::string const& name,
                             std::string const& path) {
  if (value.dim() == 0 || value.size(0) != static_cast<std::int64_t>(rows))
    fail(
        Exit::data,
        "layers: {}: its output is {} for a batch of {}, so that its first axis is not the batch; ask for a layer that "
        "keeps the stimuli apart",
        path, sizes_text(value), rows);
  if (value.is_complex() || value.is_sparse())
    fail(Exit::data, "layers: {}: its output is {}, which cannot be stored as floats", path,
         value.is_complex() ? "complex" : "sparse");
  CapturedLayer out{name, path, {}, "", {}};
  for (std::int64_t axis = 1; axis < value.dim(); ++axis)
    out.shape.push_back(static_cast<std::size_t>(value.size(axis)));
  switch (value.dim()) {
    case 1:
      out.shape = {1, 1, 1}, out.axes = "feature row column";
      break;
    case 2:
      out.shape = {out.shape[0], 1, 1}, out.axes = "feature row column";
      break;
    case 3:
      out.axes = "token feature";
      break;
    case 4:
      out.axes = "channel row column";
      break;
    case 5:
      out.axes = "channel frame row column";
      break;
    default:
      fail(Exit::data, "layers: {}: its output has {} axes ({}); layers of 1 to 4 axes beside the batch can be stored",
           path, value.dim(), sizes_text(value));
  }
  out.unpooled = out.shape;
  if (pool != Pool::none && has_space(value.dim())) out.shape.end()[-1] = out.shape.end()[-2] = 1;
  if (out.units() == 0) fail(Exit::data, "layers: {}: its output is empty ({})", path, sizes_text(value));
  return out;
}

at::Tensor as_stored(at::Tensor const& value, Pool pool) {
  at::Tensor out = value.to(at::kFloat);
  if (out.is_mkldnn()) out = out.to_dense();
  if (has_space(out.dim())) out = pooled(out, pool);
  if (out.device().is_cpu() && out.dim() == 4 && !out.is_contiguous() &&
      out.is_contiguous(at::MemoryFormat::ChannelsLast))
    return channels_first(out);
  return out.contiguous();
}

}  // namespace striate::net
