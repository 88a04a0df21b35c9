#pragma once
/// Pictures: decoding (a table of formats) and the preprocessing that networks were trained with. Pure but for reading
/// files; every function may run on any thread, and keeps its decoder and scratch memory from call to call.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "striate/base/error.hpp"

namespace striate {

/// 8-bit RGB, row-major, three bytes a pixel.
struct Image {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
};
struct ImageSize {
  std::size_t width = 0, height = 0;
};

class ByteSource;  // a file or memory, read piecewise: src/stimuli/bytes.hpp

/// One row a format; to add one: one file and one row in src/stimuli/decoders.cpp. All throw Error(Exit::data) with
/// what is wrong ("is truncated: …"); the caller puts the file's name before it.
struct ImageDecoder {
  char const* name;
  char const* doc;
  bool (*claims)(std::uint8_t const* head, std::size_t bytes);  ///< by the first bytes, never by the name
  /// Cheap: reads the header, and whether the file ends as the format says. A damaged middle passes.
  ImageSize (*probe)(ByteSource const& bytes);
  /// Whole picture as PIL's Image.open(f).convert("RGB") gives it: grey, CMYK (Adobe's inverted too), alpha dropped,
  /// palette, 16 bits.
  void (*decode)(std::uint8_t const* data, std::size_t bytes, Image& into);
};
[[nodiscard]] std::vector<ImageDecoder> const& image_decoders();

/// Reads and decodes. Throws Error(Exit::no_input | Exit::data | Exit::io) naming the file: missing, of no known
/// format, truncated, corrupt.
[[nodiscard]] Image read_image(std::filesystem::path const& path);
void read_image(std::filesystem::path const& path, Image& into);  ///< uses the memory of `into` again
/// Header and ending only. Throws as read_image.
[[nodiscard]] ImageSize probe_image(std::filesystem::path const& path);

/// Preprocessing of a network card.
struct Preprocessing {
  enum class Resize { none, shorter, squash } resize = Resize::none;
  std::size_t resize_height = 0, resize_width = 0;  ///< shorter: height alone
  std::string mode = "bilinear";                    ///< bilinear | bicubic | lanczos (antialiased, as PIL) | nearest
  enum class Crop { none, center, seven_eighths } crop = Crop::none;
  std::size_t height = 224, width = 224;  ///< input size; what crop `center` cuts
  bool grey = false;                      ///< input.channels: rgb | bgr | grey; by PIL's convert("L")
  bool bgr = false;
  double scale = 1.0 / 255;                         ///< pixel value × scale, then − mean, ÷ std
  std::vector<double> mean{0, 0, 0}, std{1, 1, 1};  ///< in the order of the input's channels (of bgr: b first)
  [[nodiscard]] std::size_t channels() const { return grey ? 1 : 3; }
};
/// The same as torchvision's Resize / CenterCrop / ToTensor / Normalize on PIL images (torchvision 0.14: shorter side
/// int(size * long/short); crop offsets int(round((h - size) / 2.0)); padding with zeros where the image is smaller).
/// `7/8`: centre square of floor(7/8 of the shorter side), after `resize` if any, then resized to the input size. With
/// crop none the resized image must have the input size: Error(Exit::data) naming both sizes.
/// out: channels × height × width floats.
void preprocess(Image const& image, Preprocessing const& how, float* out);
/// Throws preprocess's Error where a picture of this size cannot become the network's input.
void check_size(ImageSize size, Preprocessing const& how);
/// PIL's Image.resize bit for bit (Pillow's Resample.c: antialias, 8-bit two-pass with 22-bit coefficients).
/// `mode`: one of resize_modes().
[[nodiscard]] Image resize_image(Image const& image, std::size_t height, std::size_t width, std::string const& mode);
[[nodiscard]] std::vector<std::string> const& resize_modes();
/// For the store's attribute `preprocessing` and the resume check.
[[nodiscard]] nlohmann::ordered_json to_json(Preprocessing const& how);

/// What a job looks at before it computes: every file is there and begins and ends as a picture (and, with `how`, has a
/// size that the network can take). Place in `files` and what is wrong with it, in order. Ranks may share the files;
/// `threads` hide the latency of the file system. Throws only for trouble that is no stimulus' fault (Exit::io, limit).
[[nodiscard]] std::vector<std::pair<std::size_t, Error>> check_images(std::span<std::filesystem::path const> files,
                                                                      int threads, Preprocessing const* how = nullptr);

}  // namespace striate
