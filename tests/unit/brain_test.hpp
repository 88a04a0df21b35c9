#pragma once
/// Shared by the brain room's tests: places, throw-away folders, expected errors.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/base/error.hpp"

namespace striate::testing {

inline std::filesystem::path source_dir() {
  char const* source = std::getenv("STRIATE_SOURCE");
  return source != nullptr ? source : ".";
}
inline std::filesystem::path golden(std::string const& name) { return source_dir() / "tests" / "golden" / name; }
inline std::filesystem::path data_dir() {
  char const* data = std::getenv("STRIATE_DATA");
  return data != nullptr ? std::filesystem::path(data) : source_dir() / ".." / "shared" / "data";
}
inline nlohmann::json read_json(std::filesystem::path const& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}
inline double number(nlohmann::json const& value) {
  return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr) : value.get<double>();
}
inline std::string bytes_of(std::filesystem::path const& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_bytes(std::filesystem::path const& path, std::string const& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// A folder of this test alone, removed at the end.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "striate-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(TempDir const&) = delete;
  TempDir& operator=(TempDir const&) = delete;
  std::filesystem::path operator/(std::string const& name) const { return path_ / name; }
  [[nodiscard]] std::filesystem::path const& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// `f` throws an Error of this code whose text is exactly `message` (or holds it, with `part`).
inline void expect_error(std::function<void()> const& f, Exit code, std::string const& message, bool part = false) {
  try {
    f();
    ADD_FAILURE() << "no error; expected: " << message;
  } catch (Error const& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    std::string text = error.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    if (part)
      EXPECT_NE(text.find(message), std::string::npos) << text << "\nlacks: " << message;
    else
      EXPECT_EQ(text, message);
  }
}

/// Whether /usr/bin/python3 can import the modules ("numpy, nibabel").
inline bool python_has(std::string const& modules) {
  return std::system(("/usr/bin/python3 -c 'import " + modules + "' >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace striate::testing
