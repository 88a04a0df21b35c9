#include "striate/store/plain.hpp"

#include <cstring>

#include "striate/base/fsio.hpp"

namespace striate::h5 {
namespace {

void put(File& file, std::string const& name, std::vector<std::string> const& texts, bool scalar) {
  Id const type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  hsize_t const count = texts.size();
  Id const space(scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr), H5Sclose);
  Id const attribute(H5Acreate2(file.id(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  std::vector<char const*> pointers;
  for (auto const& text : texts) pointers.push_back(text.c_str());
  if (!attribute || H5Awrite(attribute.get(), type.get(), pointers.data()) < 0)
    raise(Exit::io, file.path(), name, "cannot be written");
}

}  // namespace

void set_variable_attribute(File& file, std::string const& name, std::string const& text) {
  put(file, name, {text}, true);
}
void set_variable_attribute(File& file, std::string const& name, std::vector<std::string> const& texts) {
  put(file, name, texts, false);
}

void create_view(File& file, std::string const& name, Shape const& shape, Dataset const& source,
                 std::string const& source_file) {
  std::vector<hsize_t> const dims(shape.begin(), shape.end()), from(source.shape().begin(), source.shape().end());
  Id const space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose),
      source_space(H5Screate_simple(static_cast<int>(from.size()), from.data(), nullptr), H5Sclose),
      type(H5Dget_type(source.id()), H5Tclose), dcpl(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (H5Pset_virtual(dcpl.get(), space.get(), source_file.c_str(), source.name().c_str(), source_space.get()) < 0)
    raise(Exit::io, file.path(), name, "cannot be made a view");
  Id const made(H5Dcreate2(file.id(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, dcpl.get(), H5P_DEFAULT),
                H5Dclose);
  if (!made) raise(Exit::io, file.path(), name, "cannot be created in the file");
}

std::vector<std::string> referenced(File const& file, std::string const& dataset) {
  Dataset const data = file.dataset(dataset);
  Id const type(H5Dget_type(data.id()), H5Tclose);
  if (H5Tequal(type.get(), H5T_STD_REF_OBJ) <= 0)
    fail(Exit::data, "{}: {}: holds no references", file.path().string(), dataset);
  std::vector<hobj_ref_t> references(volume(data.shape()));
  if (!references.empty() && H5Dread(data.id(), H5T_STD_REF_OBJ, H5S_ALL, H5S_ALL, H5P_DEFAULT, references.data()) < 0)
    raise(Exit::io, file.path(), dataset, "cannot read");
  std::vector<std::string> names;
  for (auto const& reference : references) {
    std::string text(512, '\0');
    ssize_t const length = H5Rget_name(data.id(), H5R_OBJECT, &reference, text.data(), text.size());
    if (length <= 0 || static_cast<std::size_t>(length) >= text.size())
      raise(Exit::data, file.path(), dataset, "points to nothing");
    text.resize(static_cast<std::size_t>(length));
    names.push_back(text);
  }
  return names;
}

void put_in_place(std::filesystem::path const& draft, std::filesystem::path const& path) {
  std::error_code code;
  std::filesystem::rename(draft, path, code);
  if (code) fail(Exit::cant_create, "{}: cannot be created ({})", path.string(), code.message());
  sync_folder(path.parent_path());
}

}  // namespace striate::h5
