#pragma once
/// The picture formats of the table in decoders.cpp (what each function does: striate/stimuli/image.hpp).
#include "bytes.hpp"
#include "striate/stimuli/image.hpp"

namespace striate {

bool jpeg_claims(std::uint8_t const* head, std::size_t bytes);
ImageSize jpeg_probe(ByteSource const& bytes);
void jpeg_decode(std::uint8_t const* data, std::size_t bytes, Image& into);

bool png_claims(std::uint8_t const* head, std::size_t bytes);
ImageSize png_probe(ByteSource const& bytes);
void png_decode(std::uint8_t const* data, std::size_t bytes, Image& into);

/// Sizes `into`, or throws: no pixels, or more than PIL opens (179 megapixels), which only a bomb or a mistake has.
void set_size(Image& into, ImageSize size);
void check_pixels(ImageSize size);

}  // namespace striate
