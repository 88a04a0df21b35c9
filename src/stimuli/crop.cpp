#include "crop.hpp"

#include <cstring>

namespace striate {

void check_crop(StimulusRow const& row, ImageSize size) {
  if (!row.box || (row.box->right <= size.width && row.box->bottom <= size.height)) return;
  fail(Exit::data, "{} has {} × {} pixels, but its crop box is {}, {}, {}, {} (left, top, right, bottom)",
       row.file.string(), size.width, size.height, row.box->left, row.box->top, row.box->right, row.box->bottom);
}

void crop_to_box(StimulusRow const& row, Image& image) {
  if (!row.box) return;
  check_crop(row, {.width = image.width, .height = image.height});
  CropBox const& box = *row.box;
  std::size_t const width = box.right - box.left, height = box.bottom - box.top;
  for (std::size_t y = 0; y < height; ++y)  // forward: rows only move towards the front
    std::memmove(image.rgb.data() + 3 * width * y, image.rgb.data() + 3 * ((box.top + y) * image.width + box.left),
                 3 * width);
  image.width = width, image.height = height;
  image.rgb.resize(3 * width * height);
}

}  // namespace striate
