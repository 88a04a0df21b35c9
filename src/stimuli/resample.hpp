#pragma once
/// Pillow's Resample.c, limited to the part of the result that is wanted.
#include <cstdint>
#include <string>
#include <vector>

namespace striate {

/// 8-bit pixels in memory that someone else owns; `channels` is 1 or 3.
struct PixelView {
  std::uint8_t const* data = nullptr;
  std::size_t width = 0, height = 0, stride = 0;  ///< stride in bytes
  std::size_t channels = 3;
  [[nodiscard]] std::uint8_t const* row(std::size_t y) const { return data + y * stride; }
  [[nodiscard]] PixelView part(std::size_t top, std::size_t left, std::size_t rows, std::size_t cols) const {
    return {data + top * stride + left * channels, cols, rows, stride, channels};
  }
};

/// Places [first, first + count) along one axis of the result.
struct Window {
  std::size_t first = 0, count = 0;
};

/// Which source places make each place of a window, and by how much. Weights are 22-bit fixed point as Pillow's, cut
/// into 11 high and 11 low bits so that pairs of them fit 16-bit multiply-add instructions without losing a bit; two
/// neighbours stand in one word (even place in the low half). Pairs are filled up with a weight of 0.
struct Taps {
  std::size_t pairs = 0;                ///< per place
  std::vector<std::size_t> first;       ///< source place of the first weight
  std::vector<std::int32_t> used;       ///< pairs that matter
  std::vector<std::int32_t> high, low;  ///< [place][pair]
};

/// Scratch memory of one thread.
struct ResampleScratch {
  Taps across, down;
  std::vector<std::uint8_t> stretched, last_row;
  std::vector<std::uint8_t const*> rows;
  std::vector<double> weights;
  std::vector<std::size_t> places;
};

/// out: window.count rows of window.count × channels bytes, `out_stride` apart: the window of the picture that
/// Image.resize((width, height), mode) would give.
void resample(PixelView const& source, std::size_t height, std::size_t width, std::string const& mode, Window rows,
              Window cols, std::uint8_t* out, std::size_t out_stride, ResampleScratch& scratch);

}  // namespace striate
