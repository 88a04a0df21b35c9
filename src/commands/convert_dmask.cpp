#include "convert_dmask.hpp"

#include <charconv>
#include <sstream>

#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"

namespace striate::convert {

std::vector<LayerMask> read_layer_masks(std::filesystem::path const& path) {
  std::istringstream in(read_text(path));
  std::vector<LayerMask> masks;
  std::string const name = path.filename().string();
  std::size_t number = 0;
  auto const next = [&](std::string& line) {
    while (std::getline(in, line)) {
      ++number;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) return true;
    }
    return false;
  };
  for (std::string line; next(line);) {
    auto const equals = line.rfind('=');
    if (equals == std::string::npos) fail(Exit::data, "mask: {} line {} is no `layer=axes`", name, number);
    LayerMask mask;
    mask.layer = line.substr(0, equals);
    std::istringstream axes(line.substr(equals + 1));
    for (std::string axis; std::getline(axes, axis, ',');) {
      auto* const list = axis == "chn" ? &mask.channels : axis == "row" ? &mask.rows : axis == "col" ? &mask.columns : nullptr;
      if (list == nullptr) fail(Exit::data, "mask: {} line {}: `{}` is no axis; known: chn, row, col", name, number, axis);
      std::string numbers;
      if (!next(numbers)) fail(Exit::data, "mask: {} ends before the numbers of {} of {}", name, axis, mask.layer);
      std::istringstream fields(numbers);
      for (std::string field; std::getline(fields, field, ',');) {
        std::size_t value = 0;
        auto const read = std::from_chars(field.data(), field.data() + field.size(), value);
        if (read.ec != std::errc() || read.ptr != field.data() + field.size())
          fail(Exit::data, "mask: {} line {}: `{}` is no whole number", name, number, field);
        list->push_back(value);
      }
    }
    masks.push_back(std::move(mask));
  }
  return masks;
}

}  // namespace striate::convert
