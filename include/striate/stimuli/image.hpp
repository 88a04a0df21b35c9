#pragma once
/// Pictures: decoding (a table of formats) and the preprocessing that networks were trained with. Pure but for reading
/// files; every function may run on any thread.
#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/base/config.hpp"

namespace striate {

/// 8-bit RGB, row-major, three bytes a pixel.
struct Image {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
};

/// One row a format; to add one: one file and one row in src/stimuli/decoders.cpp.
struct ImageDecoder {
  char const* name;
  char const* doc;
  bool (*claims)(std::uint8_t const* head, std::size_t bytes);  ///< by the first bytes, never by the name
  /// Whole picture as PIL's Image.open(f).convert("RGB") gives it: grey, CMYK (Adobe's inverted too), alpha dropped,
  /// palette, 16 bits. Throws Error(Exit::data) with what is wrong; the caller adds the file's name.
  Image (*decode)(std::uint8_t const* data, std::size_t bytes);
};
[[nodiscard]] std::vector<ImageDecoder> const& image_decoders();

/// Reads and decodes. Throws Error(Exit::no_input | Exit::data) naming the file: missing, of no known format,
/// truncated, corrupt.
[[nodiscard]] Image read_image(std::filesystem::path const& path);

/// Preprocessing of a network card.
struct Preprocessing {
  enum class Resize { none, shorter, squash } resize = Resize::none;
  std::size_t resize_height = 0, resize_width = 0;  ///< shorter: height alone
  std::string mode = "bilinear";                    ///< bilinear (antialiased, as PIL) | nearest | bicubic
  enum class Crop { none, center, seven_eighths } crop = Crop::none;
  std::size_t height = 224, width = 224;  ///< input size; what crop `center` cuts
  bool grey = false;                      ///< input.channels: rgb | bgr | grey
  bool bgr = false;
  double scale = 1.0 / 255;  ///< pixel value × scale, then − mean, ÷ std
  std::vector<double> mean{0, 0, 0}, std{1, 1, 1};
  [[nodiscard]] std::size_t channels() const { return grey ? 1 : 3; }
};
/// The same as torchvision's Resize / CenterCrop on PIL images (torchvision 0.14: shorter side int(size * long/short);
/// crop offsets int(round((h - size) / 2.0)); padding with zeros where the image is smaller), within 1 level of 255
/// before normalising. `7/8`: centre square of 7/8 of the shorter side, then resized to the input size. With crop none
/// and resize none the image must have the input size: Error(Exit::data) naming both sizes.
/// out: channels × height × width floats.
void preprocess(Image const& image, Preprocessing const& how, float* out);
/// PIL's Image.resize with box filter supports (Pillow's Resample.c: antialias, 8-bit two-pass with 22-bit
/// coefficients).
[[nodiscard]] Image resize_image(Image const& image, std::size_t height, std::size_t width, std::string const& mode);
/// For the store's attribute `preprocessing` and the resume check.
[[nodiscard]] nlohmann::ordered_json to_json(Preprocessing const& how);

}  // namespace striate
