/// Layers as .npy, .mat and DNNBrain's plain files: batch after batch, by one process.
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "convert_side.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/npy.hpp"
#include "striate/store/half.hpp"
#include "striate/store/mat_file.hpp"
#include "striate/store/plain.hpp"

namespace striate::convert {
namespace {

namespace fs = std::filesystem;

/// Features without the axes of length 1 that stores put behind them.
std::vector<std::size_t> natural(LayerSpec const& layer) {
  auto const& s = layer.shape;
  if (layer.axes.starts_with("feature") && h5::volume(s) == s[0]) return {s[0]};
  return s;
}

/// As DNNBrain has it: channels, rows, columns. Frames of a clip count as channels, tokens as channels of one column.
h5::Shape dnnbrain_shape(std::size_t n, std::vector<std::size_t> const& s) {
  if (s.size() == 3) return {n, s[0], s[1], s[2]};
  if (s.size() == 4) return {n, s[0] * s[1], s[2], s[3]};
  if (s.size() == 2) return {n, s[0], s[1], 1};
  return {n, h5::volume(s), 1, 1};
}

/// Calls f(first row, rows, values) for the batches of a layer; false where a stop came first.
template <class F>
bool each_batch(Recipe const& recipe, OutputLayer const& layer, StopFlag const& stop, std::size_t& zeros, F const& f) {
  std::vector<float> values;
  for (std::size_t first = 0; first < recipe.ids.size(); first += recipe.batch) {
    if (stop.requested()) return false;
    std::size_t const rows = std::min(recipe.batch, recipe.ids.size() - first);
    std::vector<std::vector<float>> operands(layer.operands.size());
    for (std::size_t o = 0; o < operands.size(); ++o) read_operand(recipe, layer, o, first, rows, operands[o]);
    zeros += apply(recipe, layer, operands, rows, values);
    f(first, rows, values);
  }
  return true;
}

std::vector<std::uint16_t> halves_of(std::vector<float> const& values, std::string const& name) {
  std::vector<std::uint16_t> halves(values.size());
  if (to_half(values.data(), values.size(), halves.data()) > 0)
    log::warn("layer {} has values beyond float16 (they become infinite); use dtype: float32", name);
  return halves;
}

bool export_npy(Recipe const& recipe, OutputLayer const& layer, fs::path const& path, StopFlag const& stop,
                std::size_t& zeros) {
  bool const half = layer.spec.dtype == h5::Dtype::f16;
  std::vector<std::uint64_t> shape{recipe.ids.size()};
  for (auto const d : natural(layer.spec)) shape.push_back(d);
  NpyWriter file(path, half ? "<f2" : "<f4", shape);
  bool const whole =
      each_batch(recipe, layer, stop, zeros, [&](std::size_t, std::size_t, std::vector<float> const& values) {
        if (!half) return file.write(values.data(), values.size() * sizeof(float));
        auto const halves = halves_of(values, layer.spec.name);
        file.write(halves.data(), halves.size() * 2);
      });
  if (whole) file.close();
  return whole;
}

bool export_mat(Recipe const& recipe, fs::path const& path, StopFlag const& stop, std::size_t& zeros) {
  MatWriter file(path);
  std::size_t const n = recipe.ids.size();
  std::vector<std::string> names, variables{"stimulus_id", "layers", "variables"};
  for (auto const& layer : recipe.layers) {
    auto shape = natural(layer.spec);
    std::size_t const units = h5::volume(shape);
    std::vector<std::size_t> places(units), index(shape.size(), 0);  // of a unit, in MATLAB's order
    for (std::size_t u = 0; u < units; ++u) {
      std::size_t place = 0;
      for (std::size_t a = shape.size(); a-- > 0;) place = place * shape[a] + index[a];
      places[u] = place;
      for (std::size_t a = shape.size(); a-- > 0 && ++index[a] == shape[a];) index[a] = 0;
    }
    std::vector<float> all(n * units);
    bool const whole =
        each_batch(recipe, layer, stop, zeros, [&](std::size_t first, std::size_t rows, auto const& values) {
          for (std::size_t u = 0; u < units; ++u)
            for (std::size_t r = 0; r < rows; ++r) all[places[u] * n + first + r] = values[r * units + u];
        });
    if (!whole) return false;
    shape.insert(shape.begin(), n);
    variables.push_back(mat_name(layer.spec.name, variables));
    names.push_back(layer.spec.name);
    file.add(variables.back(), shape, all);
  }
  variables.erase(variables.begin(), variables.begin() + 3);
  file.add_cells("stimulus_id", recipe.ids);
  file.add_cells("layers", names);
  file.add_cells("variables", variables);
  file.close();
  return true;
}

fs::path draft_of(fs::path const& path) { return path.parent_path() / ("." + path.filename().string() + ".creating"); }

bool export_dnnbrain(Recipe const& recipe, fs::path const& path, StopFlag const& stop, std::size_t& zeros) {
  fs::path const draft = draft_of(path);
  bool whole = true;
  try {
    auto file = h5::File::create(Comm(), draft);
    for (auto const& layer : recipe.layers) {
      auto const shape = dnnbrain_shape(recipe.ids.size(), layer.spec.shape);
      auto data = file.create_dataset(layer.spec.name, layer.spec.dtype, shape);
      bool const half = layer.spec.dtype == h5::Dtype::f16;
      whole =
          whole && each_batch(recipe, layer, stop, zeros, [&](std::size_t first, std::size_t rows, auto const& values) {
            h5::Shape const begin{first, 0, 0, 0}, count{rows, shape[1], shape[2], shape[3]};
            if (!half) return data.write(begin, count, h5::type_id(h5::Dtype::f32), values.data());
            auto const halves = halves_of(values, layer.spec.name);
            data.write(begin, count, h5::type_id(h5::Dtype::f16), halves.data());
          });
    }
    file.close();
    if (whole) h5::put_in_place(draft, path);
  } catch (...) {
    ::unlink(draft.c_str());
    throw;
  }
  if (!whole) ::unlink(draft.c_str());
  return whole;
}

/// Datasets whose values stay where they are.
void export_view(Config const& config, Recipe const& recipe, fs::path const& path) {
  fs::path const draft = draft_of(path);
  auto const source = h5::File::open(config.input[0]);
  auto const relative = fs::proximate(config.input[0], path.parent_path());
  try {
    auto file = h5::File::create(Comm(), draft);
    for (auto const& layer : recipe.layers) {
      auto const& from = recipe.sources[0]->layers()[layer.operands[0].layers[0]].name;
      h5::create_view(file, layer.spec.name, dnnbrain_shape(recipe.ids.size(), layer.spec.shape), source.dataset(from),
                      relative.string());
    }
    file.close();
    h5::put_in_place(draft, path);
  } catch (...) {
    ::unlink(draft.c_str());
    throw;
  }
}

}  // namespace

void check_export(Config const& config, Recipe const& recipe, double memory_budget) {
  auto const format = format_of(config);
  std::string const name = config.output.filename().string();
  if (format == Format::npy && recipe.layers.size() > 1)
    fail(Exit::config,
         "output: {} holds one array, but there are {} layers; name one as layers:, or a folder as output:", name,
         recipe.layers.size());
  if (format == Format::dnnbrain_view && (!std::filesystem::is_regular_file(config.input[0]) ||
                                          (recipe.sources[0]->attributes().empty() && recipe.sources[0]->batch() == 0)))
    fail(Exit::config,
         "format: a dnnbrain_view shows an activation store of striate; {} is none (format: dnnbrain copies)",
         recipe.sources[0]->name());
  if (format != Format::mat) return;
  for (auto const& layer : recipe.layers) {
    double const bytes = 4.0 * static_cast<double>(recipe.ids.size() * h5::volume(layer.spec.shape));
    if (bytes > static_cast<double>(MatWriter::limit))
      fail(Exit::data,
           "layer {} has {:.1f} GiB, but a variable of a MAT-file (version 7) has at most 2; MATLAB reads the "
           ".act.h5 itself (h5read, as it reads version 7.3), and .npy has no limit",
           layer.spec.name, bytes / (1 << 30));
    if (bytes > memory_budget)
      fail(Exit::limit, "layer {} needs {:.1f} GiB while it is written by columns, but a rank may use {:.1f}",
           layer.spec.name, bytes / (1 << 30), memory_budget / (1 << 30));
  }
}

nlohmann::ordered_json content_of(Config const& config, Recipe const& recipe) {
  bool const folder = format_of(config) == Format::npy_folder;
  nlohmann::ordered_json content;
  for (auto const& layer : recipe.layers) {
    auto axes = layer.spec.axes;
    if (natural(layer.spec).size() == 1) axes = "feature";
    nlohmann::ordered_json one{{"name", layer.spec.name}, {"shape", natural(layer.spec)}, {"axes", axes}};
    if (folder) one["file"] = layer.spec.name + ".npy";
    content["layers"].push_back(one);
  }
  content["attributes"] = recipe.attributes;
  if (!folder) content["stimulus_ids"] = recipe.ids;
  return content;
}

bool export_recipe(Config const& config, Recipe const& recipe, StopFlag const& stop, double memory_budget) {
  check_export(config, recipe, memory_budget);
  std::size_t zeros = 0;
  bool whole = true;
  switch (format_of(config)) {
    case Format::npy:
      whole = export_npy(recipe, recipe.layers[0], config.output, stop, zeros);
      break;
    case Format::npy_folder: {
      std::string ids;
      for (auto const& id : recipe.ids) ids += id + "\n";
      for (auto const& layer : recipe.layers)
        whole = whole && export_npy(recipe, layer, config.output / (layer.spec.name + ".npy"), stop, zeros);
      if (whole) write_atomically(config.output / "ids.txt", ids);
      break;
    }
    case Format::mat:
      whole = export_mat(recipe, config.output, stop, zeros);
      break;
    case Format::dnnbrain:
      whole = export_dnnbrain(recipe, config.output, stop, zeros);
      break;
    case Format::dnnbrain_view:
      export_view(config, recipe, config.output);
      break;
    default:
      fail(Exit::config, "output: activations cannot be written as {}", config.output.filename().string());
  }
  if (zeros > 0) log::warn("{} values were divided by 0 and are infinite or NaN", zeros);
  return whole;
}

}  // namespace striate::convert
