#pragma once
/// Decoded frames → RGB pictures, the right way up.
#include <filesystem>
#include <vector>

#include "av.hpp"
#include "striate/stimuli/image.hpp"

namespace striate::av {

/// Colours as `ffmpeg -i VIDEO -pix_fmt rgb24` gives them, bit for bit with the same libswscale: the matrix and the
/// range that the stream names (BT.601 and limited where it names none), its default scaler.
class PictureMaker {
 public:
  void set_stream(AVStream const& stream);  ///< how far its pictures are turned
  void convert(AVFrame const& frame, std::filesystem::path const& file, Image& into);

 private:
  void set_up(AVFrame const& frame, std::filesystem::path const& file);
  Own<SwsContext> scaler_;
  int width_ = 0, height_ = 0, format_ = -1, space_ = -1, range_ = -1;
  int quarter_turns_ = 0;  ///< clockwise
  std::vector<std::uint8_t> rows_;
};

}  // namespace striate::av
