/// NumPy's files, text, and folders of them (ours, thingsvision's) as sources.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "convert_array_source.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"

namespace striate::convert {
namespace {

namespace fs = std::filesystem;
using Array = ArraySource::Array;

/// As numpy.savetxt writes it: a line a stimulus.
Array read_text_matrix(fs::path const& path) {
  std::ifstream in(path);
  if (!in) fail(Exit::no_input, "{} cannot be read; check the path", path.string());
  Array array;
  array.name = path.stem().string(), array.dtype = "float32", array.layout = "channels_first";
  std::vector<float> values;
  std::size_t columns = 0, rows = 0, number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    std::size_t before = values.size();
    for (char const* at = line.c_str(); *at != '\0';) {
      if (*at == ' ' || *at == '\t' || *at == ',' || *at == '\r') {
        ++at;
        continue;
      }
      char* end = nullptr;
      double const value = std::strtod(at, &end);
      if (end == at)
        fail(Exit::data, "{} line {}: `{}` is no number; a text holds a line of numbers a stimulus",
             path.filename().string(), number, std::string(at).substr(0, 20));
      values.push_back(static_cast<float>(value)), at = end;
    }
    if (values.size() == before) continue;
    if (rows > 0 && values.size() - before != columns)
      fail(Exit::data, "{} line {}: has {} numbers, but the lines before have {}", path.filename().string(), number,
           values.size() - before, columns);
    columns = values.size() - before, ++rows;
  }
  if (rows == 0) fail(Exit::data, "{}: holds no numbers", path.filename().string());
  array.shape = {columns};
  array.add(rows, std::move(values));
  return array;
}

/// First row of features_01.npy, features_0-100.npy, features_train_0-100.npy; -1 of features.npy.
std::int64_t order_of(std::string const& stem) {
  static std::regex const pattern(R"(^features.*_(\d+)(-\d+)?$)");
  std::smatch found;
  return std::regex_match(stem, found, pattern) ? std::stoll(found[1]) : -1;
}

std::vector<fs::path> sorted_files(fs::path const& folder, std::string const& ending) {
  std::vector<fs::path> files;
  for (auto const& entry : fs::directory_iterator(folder))
    if (std::string const name = entry.path().filename().string();
        entry.is_regular_file() && !name.starts_with(".") && name.ends_with(ending))
      files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

/// What convert.json of a folder that we wrote lists. Error(Exit::data): it was not finished, or a file is missing.
std::unique_ptr<Source> open_ours(fs::path const& folder, std::string const& layout) {
  std::string const name = folder.filename().string();
  auto const json = nlohmann::json::parse(std::ifstream(folder / "convert.json"), nullptr, false);
  if (!json.is_object() || !json.contains("layers") || !json.at("layers").is_array())
    fail(Exit::data, "{}: its convert.json lists no layers; write the folder again, or remove that file", folder.string());
  if (json.value("complete", false) != true)
    fail(Exit::data, "{}: the folder is incomplete (convert.json says so); run the convert that writes it again",
         folder.string());
  std::vector<Array> arrays;
  std::vector<fs::path> used;
  for (auto const& layer : json.at("layers")) {
    if (!layer.is_object() || !layer.contains("file") || !layer.at("file").is_string())
      fail(Exit::data, "{}: its convert.json names no file of a layer; write the folder again", folder.string());
    used.push_back(folder / fs::path(layer.at("file").get<std::string>()).filename());
    if (!fs::exists(used.back()))
      fail(Exit::data, "{}: lacks {}, which its convert.json lists; write the folder again with --fresh",
           folder.string(), used.back().filename().string());
    arrays.push_back(array_of(used.back().stem().string(), NpyFile(used.back()), layout));
  }
  if (arrays.empty()) fail(Exit::data, "{}: its convert.json lists no layers", folder.string());
  auto source = std::make_unique<ArraySource>(name, used, std::move(arrays), std::vector<std::string>());
  source->offer_ids(ids_beside(folder), name + ": ids.txt");
  return source;
}

/// thingsvision's features of one module in `folder`: whole or in pieces; nothing where there are none.
std::optional<Array> thingsvision(fs::path const& folder, std::string const& name, std::string const& layout,
                                  std::vector<fs::path>& used) {
  for (auto const* ending : {".npy", ".txt"}) {
    auto files = sorted_files(folder, ending);
    // A layer that is called features.0 is none of its files.
    std::erase_if(files, [](fs::path const& f) {
      std::string const stem = f.stem().string();
      return !stem.starts_with("features") || stem.find('.') != std::string::npos;
    });
    std::ranges::stable_sort(files, {}, [](fs::path const& f) { return order_of(f.stem().string()); });
    if (files.size() > 1 && order_of(files[0].stem().string()) < 0)
      fail(Exit::data, "{}: holds {} and {}, which are no pieces of one array; name one of them", folder.string(),
           files[0].filename().string(), files[1].filename().string());
    std::optional<Array> all;
    for (auto const& file : files) {
      Array one = std::string(ending) == ".npy" ? array_of(name, NpyFile(file), layout) : read_text_matrix(file);
      used.push_back(file);
      if (!all) {
        all = std::move(one);
        all->name = name;
        continue;
      }
      if (one.shape != all->shape)
        fail(Exit::data, "{}: is {} a row, but the pieces before it are {}", file.string(), h5::text_of(one.shape),
             h5::text_of(all->shape));
      all->add(one.rows, std::move(one.pieces[0].second));
    }
    if (all) return all;
  }
  return std::nullopt;
}

std::unique_ptr<Source> open_folder(fs::path folder, std::string const& layout) {
  if (!folder.has_filename()) folder = folder.parent_path();
  std::string const name = folder.filename().string();
  if (fs::exists(folder / "convert.json")) return open_ours(folder, layout);
  for (auto const* whole : {"features.mat", "features.hdf5", "features.h5"})
    if (fs::exists(folder / whole)) {
      auto source = open_source(folder / whole, layout);
      return source;
    }
  if (fs::exists(folder / "features.pt"))
    fail(Exit::data,
         "{}: features.pt is a pickle of PyTorch; save it as .npy: numpy.save(\"features.npy\", "
         "torch.load(\"features.pt\").numpy())",
         name);
  std::vector<Array> arrays;
  std::vector<fs::path> used;
  auto const source_of = [&](bool module) {
    auto source = std::make_unique<ArraySource>(name, used, std::move(arrays), std::vector<std::string>());
    source->offer_ids(ids_beside(folder, module), name + ": the list of its rows");
    return source;
  };
  if (auto one = thingsvision(folder, name, layout, used)) {
    arrays.push_back(std::move(*one));
    return source_of(true);
  }
  std::vector<fs::path> inner;
  for (auto const& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) inner.push_back(entry.path());
  std::ranges::sort(inner);
  for (auto const& module : inner)
    if (auto one = thingsvision(module, module.filename().string(), layout, used)) arrays.push_back(std::move(*one));
  for (auto const& file : sorted_files(folder, ".npy")) {
    arrays.push_back(array_of(file.stem().string(), NpyFile(file), layout));
    used.push_back(file);
  }
  if (arrays.empty()) fail(Exit::data, "{}: the folder holds no .npy and no features of thingsvision", folder.string());
  return source_of(false);
}

}  // namespace

std::vector<std::string> lines_of(fs::path const& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> ids_beside(fs::path const& folder, bool module) {
  std::error_code code;
  for (auto const* name : {"ids.txt", "file_names.txt"})
    if (fs::exists(folder / name, code)) return lines_of(folder / name);
  fs::path const above = folder.parent_path() / "file_names.txt";
  return module && fs::exists(above, code) ? lines_of(above) : std::vector<std::string>();
}

std::unique_ptr<Source> open_arrays(fs::path const& path, std::string const& layout) {
  if (fs::is_directory(path)) return open_folder(path, layout);
  std::string const file = path.filename().string();
  std::string const ending = path.extension().string();
  if (ending == ".mat") return open_mat(path, layout);
  if (ending == ".json") return open_keract(path, layout);
  std::vector<Array> arrays;
  if (ending == ".npy") {
    arrays.push_back(array_of(path.stem().string(), NpyFile(path), layout));
  } else if (ending == ".npz") {
    for (auto& entry : read_npz(path)) arrays.push_back(array_of(entry.name, std::move(entry.array), layout));
  } else if (ending == ".txt") {
    arrays.push_back(read_text_matrix(path));
  } else if (ending == ".pt" || ending == ".pth" || ending == ".pkl") {
    fail(Exit::data, "{}: is a pickle of Python, which is not read; save arrays as .npy (numpy.save)", file);
  } else {
    fail(Exit::data, "{}: is of no kind that convert reads (.act.h5, .h5, .npy, .npz, .mat, .json, .txt, a folder)",
         file);
  }
  std::vector<std::string> ids;
  if (fs::path const side = path.parent_path() / (file + ".json"); fs::exists(side)) {  // ours
    auto const json = nlohmann::json::parse(std::ifstream(side), nullptr, false);
    if (json.is_object() && json.contains("stimulus_ids")) ids = json["stimulus_ids"].get<std::vector<std::string>>();
  }
  bool const module = file.starts_with("features");
  std::size_t const rows = arrays[0].rows;
  auto beside = ids.empty() ? ids_beside(path.parent_path(), module) : std::vector<std::string>();
  if (!module && beside.size() != rows) beside.clear();  // a list of something else
  auto source = std::make_unique<ArraySource>(file, std::vector<fs::path>{path}, std::move(arrays), std::move(ids));
  source->offer_ids(std::move(beside), file + ": the list of its rows");
  return source;
}

}  // namespace striate::convert
