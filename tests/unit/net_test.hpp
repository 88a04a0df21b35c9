#pragma once
/// Shared by the net room's tests: places, the deterministic image, captured layers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/base/error.hpp"
#include "striate/net/card.hpp"
#include "striate/net/network.hpp"

namespace striate::testing {

namespace fs = std::filesystem;

inline fs::path source_dir() {
  char const* source = std::getenv("STRIATE_SOURCE");
  return source != nullptr ? source : ".";
}
inline fs::path golden(std::string const& name) { return source_dir() / "tests" / "golden" / "networks" / name; }
inline fs::path data_dir() {
  char const* data = std::getenv("STRIATE_DATA");
  return data != nullptr ? fs::path(data) : source_dir() / ".." / "shared" / "data";
}
inline nlohmann::json read_json(fs::path const& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

/// The same numbers as image() in tests/golden/make_networks.py.
inline std::vector<float> golden_image(std::size_t count) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t h = (static_cast<std::uint32_t>(i) + 12345U) * 2654435761U;
    h ^= h >> 15U;
    h *= 2246822519U;
    out[i] = static_cast<float>(static_cast<double>(h >> 16U) / 32768.0 - 1.0);
  }
  return out;
}

inline Preprocessing input_of(std::size_t height, std::size_t width) {
  Preprocessing out;
  out.height = height;
  out.width = width;
  return out;
}

using Captured = std::map<std::string, std::vector<float>>;

/// Layer name → rows × units.
inline Captured run(Network const& network, std::vector<float> const& pixels, std::size_t rows) {
  Captured out;
  network.forward(pixels.data(), rows, [&](std::size_t layer, float const* values) {
    auto const& about = network.layers()[layer];
    EXPECT_TRUE(out.emplace(about.name, std::vector<float>(values, values + rows * about.units())).second)
        << about.name << " is handed over twice";
  });
  EXPECT_EQ(out.size(), network.layers().size());
  return out;
}

/// Greatest difference over the range of the expected values.
inline double relative_difference(float const* got, float const* expected, std::size_t n) {
  auto const [low, high] = std::minmax_element(expected, expected + n);
  double const range = std::max(static_cast<double>(*high) - *low, 1e-30);
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double const difference = std::abs(static_cast<double>(got[i]) - expected[i]);
    if (!(difference <= worst)) worst = difference;  // NaN counts
  }
  return worst / range;
}

/// f throws an Error of this code whose one-line text holds `part`.
inline void expect_error(std::function<void()> const& f, Exit code, std::string const& part) {
  try {
    f();
    ADD_FAILURE() << "no error; expected: " << part;
  } catch (Error const& error) {
    std::string const text = error.what();
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
  }
}

/// A folder of this test alone, removed at the end.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "striate-net-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path_); }
  TempDir(TempDir const&) = delete;
  TempDir& operator=(TempDir const&) = delete;
  fs::path operator/(std::string const& name) const { return path_ / name; }
  [[nodiscard]] fs::path const& path() const { return path_; }

 private:
  fs::path path_;
};

inline void write_file(fs::path const& path, std::string const& text) {
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace striate::testing
