/// Every kept input, and fixed mutations of it, through the readers: an Error or a value, nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "../fuzz/targets.hpp"

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

Bytes read(fs::path const& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Bytes mutated(Bytes bytes, std::mt19937& random) {
  for (unsigned turn = 1 + random() % 4; turn > 0 && !bytes.empty(); --turn) {
    std::size_t const at = random() % bytes.size();
    auto const place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random() % 5) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1u << random() % 8);
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(place,
                    place + static_cast<std::ptrdiff_t>(std::min<std::size_t>(bytes.size() - at, 1 + random() % 8)));
        break;
      default:
        bytes.insert(place, bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(at, 16)));
        break;
    }
  }
  return bytes;
}

}  // namespace

TEST(Fuzz, KeptInputsAndTheirMutations) {
  std::size_t runs = 0;
  for (auto const& target : striate::fuzz::targets()) {
    std::vector<fs::path> files;
    if (fs::path const kept = fs::path(FUZZ_CORPUS) / target.name; fs::exists(kept))
      for (auto const& entry : fs::directory_iterator(kept)) files.push_back(entry.path());
    if (target.name == std::string("image"))
      for (auto const& entry : fs::directory_iterator(GOLDEN_IMAGES))
        if (entry.path().extension() != ".bin" && entry.file_size() < 4000) files.push_back(entry.path());
    std::ranges::sort(files);
    ASSERT_FALSE(files.empty()) << target.name;
    for (auto const& file : files) {
      SCOPED_TRACE(file.string());
      Bytes const bytes = read(file);
      EXPECT_NO_THROW(target.run(bytes.data(), bytes.size()));
      std::mt19937 random(7);
      for (int i = 0; i < 60; ++i, ++runs) {
        Bytes const other = mutated(bytes, random);
        EXPECT_NO_THROW(target.run(other.data(), other.size())) << "mutation " << i;
      }
    }
  }
  EXPECT_GT(runs, 1000u);
}
