#include "striate/store/roi_file.hpp"

#include <unistd.h>

#include "striate/store/h5.hpp"
#include "striate/store/plain.hpp"

namespace striate {

RoiTable read_roi_file(std::filesystem::path const& path) {
  auto const file = h5::File::open(path);
  std::string const name = path.filename().string();
  if (!file.is_dataset("data") || !file.has_attribute("/", "roi"))
    fail(Exit::data, "{}: is no .roi.h5 (a dataset `data`, and the names of its columns in the attribute `roi`)", name);
  auto const data = file.dataset("data");
  RoiTable table;
  table.names = file.attribute_strings("/", "roi");
  if (!data.numeric() || data.shape().size() != 2 || data.shape()[1] != table.names.size())
    fail(Exit::data, "{}: `data` is {} {}, but {} regions are named; it is volumes × regions", name, data.type_name(),
         h5::text_of(data.shape()), table.names.size());
  table.rows = data.shape()[0];
  table.values = data.read<double>();
  return table;
}

void write_roi_file(std::filesystem::path const& path, RoiTable const& table) {
  auto const draft = path.parent_path() / ("." + path.filename().string() + ".creating");
  try {
    auto file = h5::File::create(Comm(), draft);
    h5::set_variable_attribute(file, "roi", table.names);
    file.create_dataset("data", h5::Dtype::f64, {table.rows, table.names.size()})
        .write(std::span<double const>(table.values));
    file.close();
  } catch (...) {
    ::unlink(draft.c_str());
    throw;
  }
  h5::put_in_place(draft, path);
}

}  // namespace striate
