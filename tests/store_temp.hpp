#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

#include "striate/base/error.hpp"

/// A folder of its own, removed at the end. `name` must be equal on all ranks that share it.
struct TempFolder {
  explicit TempFolder(std::string const& name, bool mine = true)
      : path(std::filesystem::temp_directory_path() / ("striate_" + name)), owns(mine) {
    if (!owns) return;
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TempFolder() {
    std::error_code ignored;
    if (owns) std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path operator/(std::string const& name) const { return path / name; }
  std::filesystem::path path;
  bool owns;
};

/// The Error that f() throws; Exit::ok where it throws none.
template <class F>
striate::Error error_of(F const& f) {
  try {
    f();
  } catch (striate::Error const& e) {
    return e;
  }
  return {striate::Exit::ok, ""};
}
