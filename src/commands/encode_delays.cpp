#include "encode_delays.hpp"

#include <algorithm>
#include <vector>

namespace striate::encode {
namespace {

constexpr double panel_bytes = 64e6;  ///< of the layer's columns that are held beside what is asked for

}  // namespace

double delay_bytes(Inputs const& in, LayerInput const& layer) {
  double bytes = in.lags[layer.store].place.empty() ? 0 : std::min(panel_bytes, in.bytes_of(layer));
  for (std::size_t b : layer.parts) bytes = std::max(bytes, delay_bytes(in, in.bands[b]));
  return bytes;
}

/// Columns in pieces that neither cross blocks nor take much memory; cut by shapes alone, so that ranks keep in step.
template <class Read>
void DelayedSource::delayed(std::size_t first, std::size_t count, float* out, Read const& read) const {
  std::size_t const units = inner_->cols(), seen = inner_->rows();
  auto const wide = std::max<std::size_t>(1, static_cast<std::size_t>(panel_bytes / (4.0 * static_cast<double>(seen))));
  std::vector<float> panel;
  for (std::size_t at = first; at < first + count;) {
    std::size_t const delay = at / units, from = at % units, piece = std::min({first + count - at, units - from, wide});
    panel.resize(seen * piece);
    read(from, piece, panel.data());
    for (std::size_t j = 0; j < piece; ++j) {
      float* const to = out + (at - first + j) * rows_;
      float const* const x = panel.data() + j * seen;
      for (std::size_t i = 0; i < rows_; ++i) {
        std::uint64_t const place = lags_.place[delay * rows_ + i];
        to[i] = place == Lags::none ? 0.0F : x[place];
      }
    }
    at += piece;
  }
}

void DelayedSource::read(std::size_t first, std::size_t count, float* out) const {
  delayed(first, count, out, [&](std::size_t a, std::size_t n, float* to) { inner_->read(a, n, to); });
}

void DelayedSource::read_alone(std::size_t first, std::size_t count, float* out) const {
  delayed(first, count, out, [&](std::size_t a, std::size_t n, float* to) { inner_->read_alone(a, n, to); });
}

}  // namespace striate::encode
