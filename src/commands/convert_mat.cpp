/// MATLAB's files: activations of MatConvNet (res(i).x of vl_simplenn, vars of DagNN), arrays of others.
#include <algorithm>

#include "convert_array_source.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/store/mat_file.hpp"
#include "striate/store/plain.hpp"

namespace striate::convert {
namespace {

namespace fs = std::filesystem;
using Array = ArraySource::Array;
using Kind = MatValue::Kind;

/// Rows × columns × channels × stimuli, by columns: the stimuli vary slowest, so rows lie one behind the other.
Array matconvnet_array(std::string const& name, std::vector<std::size_t> shape, ArraySource::Piece piece) {
  while (shape.size() < 4) shape.push_back(1);
  Array array;
  array.name = name, array.layout = "matconvnet";
  array.shape.assign(shape.rbegin() + 1, shape.rend());
  array.add(shape.back(), std::move(piece));
  return array;
}

/// Any numbers: stimuli first, unless `layout` says otherwise.
Array plain_array(std::string const& name, std::vector<std::size_t> const& shape, std::vector<float> values,
                  std::string const& layout) {
  if (layout == "matconvnet") return matconvnet_array(name, shape, std::move(values));
  Array array;
  array.name = name, array.layout = layout == "auto" ? "channels_first" : layout;
  array.shape.assign(shape.begin() + 1, shape.end());
  array.add(shape[0], by_rows(values, shape));
  return array;
}

std::vector<std::string> texts_of(MatValue const& value) {
  std::vector<std::string> texts;
  if (value.kind == Kind::cell)
    for (auto const& cell : value.cells) texts.push_back(cell.text);
  return texts;
}

using Variables = std::vector<std::pair<std::string, MatValue>>;

MatValue const* find(Variables const& variables, std::string const& name) {
  auto const at = std::ranges::find(variables, name, [](auto const& v) { return v.first; });
  return at == variables.end() ? nullptr : &at->second;
}

/// Names of the layers whose outputs res(2) … are, where the network was saved with them.
std::vector<std::string> simplenn_names(Variables const& variables, std::size_t count) {
  std::vector<std::string> names{"input"};
  if (auto const* net = find(variables, "net"); net != nullptr)
    if (auto const* layers = net->field(0, "layers"); layers != nullptr)
      for (auto const& cell : layers->cells)
        if (auto const* name = cell.field(0, "name"); name != nullptr && !name->text.empty())
          names.push_back(name->text);
  if (names.size() == count) return names;
  names.clear();
  for (std::size_t i = 0; i < count; ++i) names.push_back(fmt::format("res{}", i + 1));
  return names;
}

void add_structure(Variables& variables, MatValue& value, std::vector<Array>& arrays) {
  bool const simple = std::ranges::find(value.fields, "x") != value.fields.end();
  auto const names = simple ? simplenn_names(variables, value.size()) : std::vector<std::string>();
  for (std::size_t i = 0; i < value.size(); ++i) {
    auto* x = value.field(i, simple ? "x" : "value");
    auto const* own = value.field(i, "name");
    if (x == nullptr || x->kind != Kind::number || x->numbers.empty()) continue;  // freed by conserveMemory
    arrays.push_back(matconvnet_array(simple           ? names[i]
                                      : own != nullptr ? own->text
                                                       : fmt::format("vars{}", i + 1),
                                      x->shape, std::move(x->numbers)));
  }
}

/// thingsvision's {file name: features}: every variable is a stimulus.
std::optional<Array> one_a_stimulus(Variables const& variables, std::vector<std::string> const& ids) {
  if (ids.size() != variables.size() || ids.size() < 2) return std::nullopt;
  Array array;
  array.name = "features", array.layout = "channels_first";
  for (auto const& [name, value] : variables) {
    if (value.kind != Kind::number || value.shape != variables[0].second.shape) return std::nullopt;
    bool const vector = value.shape.size() == 2 && value.shape[0] == 1;
    array.shape = vector ? std::vector<std::size_t>{value.shape[1]} : value.shape;
    auto shape = array.shape;
    shape.insert(shape.begin(), 1);
    array.add(1, by_rows(value.numbers, shape));
  }
  return array;
}

std::unique_ptr<Source> open_level5(fs::path const& path, std::string const& layout) {
  std::string const file = path.filename().string();
  auto variables = read_mat(path);
  auto beside = file.starts_with("features") ? ids_beside(path.parent_path(), true) : std::vector<std::string>();
  std::vector<Array> arrays;
  if (find(variables, "features") == nullptr)
    if (auto array = one_a_stimulus(variables, beside)) {
      arrays.push_back(std::move(*array));
      return std::make_unique<ArraySource>(file, std::vector<fs::path>{path}, std::move(arrays), std::move(beside));
    }
  std::vector<std::string> ids, layers, names;
  if (auto const* v = find(variables, "stimulus_id")) ids = texts_of(*v);
  if (auto const* v = find(variables, "layers")) layers = texts_of(*v);
  if (auto const* v = find(variables, "variables")) names = texts_of(*v);
  for (auto& [name, value] : variables) {
    if (value.kind == Kind::structure && name != "net") add_structure(variables, value, arrays);
    if (value.kind != Kind::number || value.numbers.empty()) continue;
    auto const at = std::ranges::find(names, name);
    auto const place = static_cast<std::size_t>(at - names.begin());
    arrays.push_back(plain_array(at != names.end() && place < layers.size() ? layers[place] : name, value.shape,
                                 std::move(value.numbers), layout));
  }
  if (ids.empty()) ids = std::move(beside);
  return std::make_unique<ArraySource>(file, std::vector<fs::path>{path}, std::move(arrays), std::move(ids));
}

bool is_empty(h5::File const& file, std::string const& name) {
  return file.has_attribute(name, "MATLAB_empty") && file.attribute(name, "MATLAB_empty") != "0";
}

std::vector<std::size_t> reversed(std::vector<std::size_t> shape) {
  std::ranges::reverse(shape);
  return shape;
}

std::string text_in(h5::File const& file, std::string const& name) {
  std::string text;
  if (is_empty(file, name)) return text;
  for (auto const code : file.dataset(name).read<std::uint32_t>())
    text += code < 0x80 ? std::string(1, static_cast<char>(code))
                        : std::string{static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
  return text;
}

/// A structure array is a group with a dataset of references a field; a single structure holds the values themselves.
void add_group(std::shared_ptr<h5::File> const& file, std::string const& group, std::vector<Array>& arrays) {
  bool const simple = file->is_dataset(group + "/x");
  std::string const field = group + (simple ? "/x" : "/value");
  if (!file->is_dataset(field)) return;
  auto const values = file->dataset(field).numeric() ? std::vector<std::string>{field} : h5::referenced(*file, field);
  std::vector<std::string> names;
  if (!simple && file->is_dataset(group + "/name")) {
    auto const texts =
        values.size() > 1 ? h5::referenced(*file, group + "/name") : std::vector<std::string>{group + "/name"};
    for (auto const& text : texts) names.push_back(text_in(*file, text));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (is_empty(*file, values[i])) continue;
    auto data = file->dataset(values[i]);
    if (!data.numeric()) continue;
    auto const shape = reversed(data.shape());
    arrays.push_back(matconvnet_array(i < names.size() ? names[i] : fmt::format("{}{}", simple ? "res" : "vars", i + 1),
                                      shape, ArraySource::InFile{file, std::move(data)}));
  }
}

/// 7.3: an array's axes are reversed, which keeps MatConvNet's stimuli first.
std::unique_ptr<Source> open_level7(fs::path const& path, std::string const& layout) {
  auto const file = std::make_shared<h5::File>(h5::File::open(path));
  std::vector<Array> arrays;
  std::vector<std::string> ids;
  for (auto const& name : file->names()) {
    if (name.starts_with("#") || name == "net") continue;
    if (!file->is_dataset(name)) {
      add_group(file, name, arrays);
      continue;
    }
    auto data = file->dataset(name);
    std::string const kind =
        file->has_attribute(name, "MATLAB_class") ? file->attribute(name, "MATLAB_class") : "double";
    if (kind == "cell" && name == "stimulus_id")
      for (auto const& text : h5::referenced(*file, name)) ids.push_back(text_in(*file, text));
    if (kind == "cell" || kind == "char" || !data.numeric() || data.shape().empty() || is_empty(*file, name)) continue;
    auto const shape = reversed(data.shape());
    if (layout == "matconvnet")
      arrays.push_back(matconvnet_array(name, shape, ArraySource::InFile{file, std::move(data)}));
    else
      arrays.push_back(plain_array(name, shape, data.read<float>(), layout));
  }
  bool const offered = ids.empty() && path.filename().string().starts_with("features");
  auto source = std::make_unique<ArraySource>(path.filename().string(), std::vector<fs::path>{path}, std::move(arrays),
                                              std::move(ids));
  if (offered) source->offer_ids(ids_beside(path.parent_path(), true), "file_names.txt");
  return source;
}

}  // namespace

std::unique_ptr<Source> open_mat(fs::path const& path, std::string const& layout) {
  h5::init();
  bool const hdf5 = H5Fis_hdf5(path.c_str()) > 0;
  return hdf5 ? open_level7(path, layout) : open_level5(path, layout);
}

}  // namespace striate::convert
