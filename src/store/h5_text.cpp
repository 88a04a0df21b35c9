/// Texts and attributes: fixed-length UTF-8 is written, any string type is read.
#include <algorithm>
#include <cstring>

#include "striate/store/h5.hpp"

namespace striate::h5 {
namespace {

Id fixed_text(std::vector<std::string> const& texts) {
  std::size_t longest = 1;
  for (std::string const& t : texts) longest = std::max(longest, t.size());
  Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), longest);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  return type;
}

std::vector<char> pack(std::vector<std::string> const& texts, std::size_t width) {
  std::vector<char> bytes(std::max<std::size_t>(1, texts.size() * width), '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) std::memcpy(bytes.data() + i * width, texts[i].data(), texts[i].size());
  return bytes;
}

Id space_of(std::size_t count, bool scalar) {
  hsize_t const dims = count;
  if (scalar) return Id(H5Screate(H5S_SCALAR), H5Sclose);
  return count ? Id(H5Screate_simple(1, &dims, nullptr), H5Sclose) : Id(H5Screate(H5S_NULL), H5Sclose);
}

/// Reads strings through `read(memory type, buffer)`; `type` is the one on disk.
template <class Read>
std::vector<std::string> read_texts(hid_t type, std::size_t count, Read const& read) {
  std::vector<std::string> texts(count);
  if (count == 0) return texts;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(count, nullptr);
    Id memory(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(memory.get(), H5T_VARIABLE);
    H5Tset_cset(memory.get(), H5Tget_cset(type));
    read(memory.get(), static_cast<void*>(pointers.data()));
    for (std::size_t i = 0; i < count; ++i) {
      if (pointers[i]) texts[i] = pointers[i];
      H5free_memory(pointers[i]);
    }
    return texts;
  }
  std::size_t const width = H5Tget_size(type);
  std::vector<char> bytes(count * width);
  read(type, static_cast<void*>(bytes.data()));
  bool const spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
  for (std::size_t i = 0; i < count; ++i) {
    char const* p = bytes.data() + i * width;
    texts[i].assign(p, strnlen(p, width));
    while (spaces && !texts[i].empty() && texts[i].back() == ' ') texts[i].pop_back();
  }
  return texts;
}

std::size_t points(hid_t space) {
  hssize_t const n = H5Sget_simple_extent_npoints(space);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

/// Writes an attribute in place where it has this type and extent, else anew.
void put(File const& file, std::string const& object, std::string const& name, hid_t type, hid_t space, void const* value) {
  Id const o(H5Oopen(file.id(), object.c_str(), H5P_DEFAULT), H5Oclose);
  if (!o) raise(Exit::internal, file.path(), object, "there is no such object");
  Id attribute;
  if (H5Aexists(o.get(), name.c_str()) > 0) {
    attribute = Id(H5Aopen(o.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
    Id const old_type(H5Aget_type(attribute.get()), H5Tclose), old_space(H5Aget_space(attribute.get()), H5Sclose);
    if (H5Tequal(old_type.get(), type) <= 0 || H5Sextent_equal(old_space.get(), space) <= 0) {
      attribute.reset();
      H5Adelete(o.get(), name.c_str());
    }
  }
  if (!attribute) attribute = Id(H5Acreate2(o.get(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute) raise(Exit::io, file.path(), object + "@" + name, "cannot be created");
  if (H5Sget_simple_extent_type(space) != H5S_NULL && H5Awrite(attribute.get(), type, value) < 0)
    raise(Exit::io, file.path(), object + "@" + name, "cannot be written");
}

Id open_attribute(File const& file, std::string const& object, std::string const& name) {
  if (!file.has_attribute(object, name)) fail(Exit::data, "{}: has no attribute '{}'", file.path().string(), name);
  return Id(H5Aopen_by_name(file.id(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
}

}  // namespace

std::vector<std::string> Dataset::read_strings() const {
  Id const type(H5Dget_type(id_.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING) fail(Exit::data, "{}: {}: holds no text", file_.string(), name_);
  return read_texts(type.get(), volume(shape_), [&](hid_t memory, void* out) {
    if (H5Dread(id_.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0) raise(Exit::io, file_, name_, "cannot read");
  });
}

namespace {
void write_texts(File const& file, Comm const& comm, std::string const& name, std::vector<std::string> const& texts, bool scalar) {
  Id const type = fixed_text(texts), space = space_of(texts.size(), scalar);
  Id const dcpl(H5Pcreate(H5P_DATASET_CREATE), H5Pclose), lcpl(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(lcpl.get(), 1);
  H5Pset_fill_time(dcpl.get(), H5D_FILL_TIME_NEVER);
  if (H5Sget_simple_extent_type(space.get()) != H5S_NULL) H5Pset_alloc_time(dcpl.get(), H5D_ALLOC_TIME_EARLY);
  Id const d(H5Dcreate2(file.id(), name.c_str(), type.get(), space.get(), lcpl.get(), dcpl.get(), H5P_DEFAULT), H5Dclose);
  if (!d) raise(Exit::io, file.path(), name, "cannot be created in the file");
  if (!comm.root() || texts.empty()) return;
  std::vector<char> const bytes = pack(texts, H5Tget_size(type.get()));
  if (H5Dwrite(d.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0)
    raise(Exit::io, file.path(), name, "cannot write");
}
}  // namespace

void File::write_strings(std::string const& name, std::vector<std::string> const& texts) {
  write_texts(*this, comm_, name, texts, false);
}

void File::write_text(std::string const& name, std::string const& text) { write_texts(*this, comm_, name, {text}, true); }

std::string File::read_text(std::string const& name) const {
  auto const texts = dataset(name).read_strings();
  return texts.empty() ? "" : texts[0];
}

void File::set_attribute(std::string const& object, std::string const& name, std::string const& text) {
  Id const type = fixed_text({text}), space = space_of(1, true);
  put(*this, object, name, type.get(), space.get(), pack({text}, H5Tget_size(type.get())).data());
}

void File::set_attribute(std::string const& object, std::string const& name, std::vector<std::string> const& texts) {
  Id const type = fixed_text(texts), space = space_of(texts.size(), false);
  put(*this, object, name, type.get(), space.get(), pack(texts, H5Tget_size(type.get())).data());
}

void File::set_attribute(std::string const& object, std::string const& name, std::int64_t value) {
  Id const space = space_of(1, true);
  put(*this, object, name, H5T_NATIVE_INT64, space.get(), &value);
}

void File::set_attribute(std::string const& object, std::string const& name, double value) {
  Id const space = space_of(1, true);
  put(*this, object, name, H5T_NATIVE_DOUBLE, space.get(), &value);
}

bool File::has_attribute(std::string const& object, std::string const& name) const {
  return has(object) && H5Aexists_by_name(id_.get(), object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> File::attribute_names(std::string const& object) const {
  Id const o(H5Oopen(id_.get(), object.c_str(), H5P_DEFAULT), H5Oclose);
  if (!o) raise(Exit::data, path_, object, "there is no such object");
  std::vector<std::string> names;
  hsize_t at = 0;
  H5Aiterate2(o.get(), H5_INDEX_NAME, H5_ITER_INC, &at,
              [](hid_t, char const* name, H5A_info_t const*, void* data) -> herr_t {
                static_cast<std::vector<std::string>*>(data)->push_back(name);
                return 0;
              },
              &names);
  return names;
}

std::vector<std::string> File::attribute_strings(std::string const& object, std::string const& name) const {
  Id const attribute = open_attribute(*this, object, name);
  Id const type(H5Aget_type(attribute.get()), H5Tclose), space(H5Aget_space(attribute.get()), H5Sclose);
  std::size_t const count = points(space.get());
  auto const read = [&](hid_t memory, void* out) {
    if (H5Aread(attribute.get(), memory, out) < 0) raise(Exit::io, path_, object + "@" + name, "cannot read");
  };
  switch (H5Tget_class(type.get())) {
    case H5T_STRING: return read_texts(type.get(), count, read);
    case H5T_INTEGER: {
      std::vector<std::int64_t> values(count);
      if (count) read(H5T_NATIVE_INT64, values.data());
      std::vector<std::string> texts;
      for (auto v : values) texts.push_back(std::to_string(v));
      return texts;
    }
    case H5T_FLOAT: {
      std::vector<double> values(count);
      if (count) read(H5T_NATIVE_DOUBLE, values.data());
      std::vector<std::string> texts;
      for (auto v : values) texts.push_back(fmt::format("{}", v));
      return texts;
    }
    default: return {};
  }
}

std::string File::attribute(std::string const& object, std::string const& name) const {
  std::string text;
  for (std::string const& t : attribute_strings(object, name)) text += (text.empty() ? "" : ", ") + t;
  return text;
}

}  // namespace striate::h5
