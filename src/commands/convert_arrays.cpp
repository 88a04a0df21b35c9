#include "convert_source.hpp"
#include "striate/base/error.hpp"
namespace striate::convert {
std::unique_ptr<Source> open_arrays(std::filesystem::path const& path, std::string const&) {
  fail(Exit::data, "{}: is of no known kind", path.string());
}
}
