#include "part.hpp"

#include <fmt/core.h>

#include <cstdio>

#include "striate/base/error.hpp"

namespace striate {

std::filesystem::path Part::file_in(std::filesystem::path const& folder) const {
  return folder / fmt::format("part-{}-of-{}.h5", i, k);
}

std::filesystem::path Part::file_beside(std::filesystem::path const& output) const {
  if (k == 1) return output;
  std::string const name = output.filename().string();
  std::string const end = name.ends_with(".act.h5") ? ".act.h5" : output.extension().string();
  return output.parent_path() / fmt::format("{}.part-{}-of-{}{}", name.substr(0, name.size() - end.size()), i, k, end);
}

Part part_of(std::string const& text) {
  Part part;
  char slash = 0, rest = 0;
  if (std::sscanf(text.c_str(), "%zu%c%zu%c", &part.i, &slash, &part.k, &rest) != 3 || slash != '/' || part.i < 1 ||
      part.i > part.k || part.k > 1000000)
    fail(Exit::config, "part: is `{}`; give this job's number and that of all jobs, e.g. 3/10", text);
  return part;
}

}  // namespace striate
