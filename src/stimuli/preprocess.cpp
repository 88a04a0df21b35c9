#include <algorithm>
#include <array>
#include <cmath>

#include "resample.hpp"
#include "striate/stimuli/image.hpp"

namespace striate {
namespace {

/// What part of the source is stretched to which size, which window of that is wanted, and where it goes.
struct Geometry {
  std::size_t top = 0, left = 0, rows = 0, cols = 0;  ///< part of the source
  std::size_t height = 0, width = 0;                  ///< after resizing
  Window down, across;                                ///< wanted of it
  std::size_t pad_top = 0, pad_left = 0;              ///< zeros before it in the input
};

ImageSize resized(ImageSize size, Preprocessing const& how) {
  if (how.resize == Preprocessing::Resize::none) return size;
  if (how.resize == Preprocessing::Resize::squash) return {.width = how.resize_width, .height = how.resize_height};
  std::size_t const n = how.resize_height;  // torchvision: int(n * long / short)
  if (size.width <= size.height) return {.width = n, .height = n * size.height / size.width};
  return {.width = n * size.width / size.height, .height = n};
}

/// torchvision's CenterCrop along one axis: window of the picture, zeros before it.
std::pair<Window, std::size_t> center(std::size_t have, std::size_t want) {
  if (want >= have) return {{0, have}, (want - have) / 2};
  double const offset = std::nearbyint(static_cast<double>(have - want) / 2.0);  // Python rounds halves to even
  return {{static_cast<std::size_t>(offset), want}, 0};
}

/// Without `resize` before a 7/8 crop, which is a step of its own.
Geometry plan(ImageSize size, Preprocessing const& how) {
  Geometry g;
  g.rows = size.height, g.cols = size.width;
  if (how.crop == Preprocessing::Crop::seven_eighths) {
    std::size_t const side = std::max<std::size_t>(1, std::min(size.height, size.width) * 7 / 8);
    g.top = center(size.height, side).first.first, g.left = center(size.width, side).first.first;
    g.rows = g.cols = side;
    g.height = how.height, g.width = how.width;
  } else {
    ImageSize const to = resized(size, how);
    g.height = to.height, g.width = to.width;
  }
  std::tie(g.down, g.pad_top) = center(g.height, how.height);
  std::tie(g.across, g.pad_left) = center(g.width, how.width);
  return g;
}

using Table = std::array<float, 256>;

/// The input's number for each of 256 levels, by the float operations of torchvision's ToTensor and Normalize.
void fill_tables(Preprocessing const& how, std::array<Table, 3>& tables) {
  for (std::size_t c = 0; c < how.channels(); ++c)
    for (std::size_t v = 0; v < 256; ++v) {
      auto const scaled = static_cast<float>(static_cast<double>(v) * how.scale);
      tables[c][v] = (scaled - static_cast<float>(how.mean.at(c))) / static_cast<float>(how.std.at(c));
    }
}

/// PIL's convert("L").
void to_grey(std::uint8_t const* rgb, std::size_t pixels, std::uint8_t* grey) {
  for (std::size_t i = 0; i < pixels; ++i)
    grey[i] = static_cast<std::uint8_t>(
        (rgb[3 * i] * 19595U + rgb[3 * i + 1] * 38470U + rgb[3 * i + 2] * 7471U + 0x8000U) >> 16);
}

struct Scratch {
  ResampleScratch resample;
  Image resized;
  std::vector<std::uint8_t> grey, window;
  std::array<Table, 3> tables{};
};

void fill_planes(Preprocessing const& how, Geometry const& g, Scratch const& scratch, float* out) {
  std::size_t const channels = how.channels(), plane = how.height * how.width;
  if (g.down.count < how.height || g.across.count < how.width)
    for (std::size_t c = 0; c < channels; ++c) std::fill_n(out + c * plane, plane, scratch.tables[c][0]);
  std::uint8_t const* from = scratch.window.data();
  for (std::size_t y = 0; y < g.down.count; ++y, from += g.across.count * channels) {
    float* row = out + (g.pad_top + y) * how.width + g.pad_left;
    for (std::size_t c = 0; c < channels; ++c) {
      std::uint8_t const* byte = from + (how.bgr && !how.grey ? 2 - c : c);
      Table const& table = scratch.tables[c];
      float* to = row + c * plane;
      for (std::size_t x = 0; x < g.across.count; ++x) to[x] = table[byte[x * channels]];
    }
  }
}

bool resizes_first(Preprocessing const& how) {
  return how.crop == Preprocessing::Crop::seven_eighths && how.resize != Preprocessing::Resize::none;
}

}  // namespace

void check_size(ImageSize size, Preprocessing const& how) {
  if (how.crop != Preprocessing::Crop::none) return;
  ImageSize const to = resized(size, how);
  if (to.width == how.width && to.height == how.height) return;
  if (how.resize == Preprocessing::Resize::none)
    fail(Exit::data, "has {} × {} pixels but the network takes {} × {}; set `resize` or `crop` in its card", size.width,
         size.height, how.width, how.height);
  fail(Exit::data, "has {} × {} pixels, resized {} × {}, but the network takes {} × {}; set `crop: center` in its card",
       size.width, size.height, to.width, to.height, how.width, how.height);
}

void preprocess(Image const& image, Preprocessing const& how, float* out) {
  thread_local Scratch scratch;
  check_size({.width = image.width, .height = image.height}, how);
  PixelView view{image.rgb.data(), image.width, image.height, 3 * image.width, 3};
  if (how.grey) {
    scratch.grey.resize(image.width * image.height);
    to_grey(image.rgb.data(), scratch.grey.size(), scratch.grey.data());
    view = {scratch.grey.data(), image.width, image.height, image.width, 1};
  }
  if (resizes_first(how)) {
    ImageSize const to = resized({.width = view.width, .height = view.height}, how);
    scratch.resized.rgb.resize(to.width * to.height * view.channels);
    resample(view, to.height, to.width, how.mode, {0, to.height}, {0, to.width}, scratch.resized.rgb.data(),
             to.width * view.channels, scratch.resample);
    view = {scratch.resized.rgb.data(), to.width, to.height, to.width * view.channels, view.channels};
  }
  Geometry const g = plan({.width = view.width, .height = view.height}, how);
  std::size_t const stride = g.across.count * view.channels;
  scratch.window.resize(g.down.count * stride);
  resample(view.part(g.top, g.left, g.rows, g.cols), g.height, g.width, how.mode, g.down, g.across,
           scratch.window.data(), stride, scratch.resample);
  fill_tables(how, scratch.tables);
  fill_planes(how, g, scratch, out);
}

nlohmann::ordered_json to_json(Preprocessing const& how) {
  nlohmann::ordered_json json;
  json["size"] = {how.height, how.width};
  json["channels"] = how.grey ? "grey" : how.bgr ? "bgr" : "rgb";
  if (how.resize == Preprocessing::Resize::none) json["resize"] = "none";
  if (how.resize == Preprocessing::Resize::shorter) json["resize"] = how.resize_height;
  if (how.resize == Preprocessing::Resize::squash) json["resize"] = {how.resize_height, how.resize_width};
  json["mode"] = how.mode;
  json["crop"] = how.crop == Preprocessing::Crop::none     ? "none"
                 : how.crop == Preprocessing::Crop::center ? "center"
                                                           : "7/8";
  json["scale"] = how.scale;
  json["mean"] = std::vector<double>(how.mean.begin(), how.mean.begin() + static_cast<std::ptrdiff_t>(how.channels()));
  json["std"] = std::vector<double>(how.std.begin(), how.std.begin() + static_cast<std::ptrdiff_t>(how.channels()));
  return json;
}

}  // namespace striate
