#pragma once
/// A batch of a layer → as it stands in the file, with its sums, in one pass over memory. Pure.
#include "act_layout.hpp"

namespace striate {

/// values: rows × units, row-major. Fills crc, the sums, the moments (where asked for), `overflow`, and `out`:
/// layout.block_bytes(rows) bytes, chunk after chunk, zeros where a chunk reaches beyond the layer or the batch. `reporter`
/// sees what is stored; `above` is filled with the moments.
void encode_batch(ActLayout const& layout, std::size_t rows, float const* values, bool with_moments, std::byte* out,
                  ActBlock& block, BlockReporter& reporter);

}  // namespace striate
