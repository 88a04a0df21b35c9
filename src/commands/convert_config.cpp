#include "convert_config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "striate/base/error.hpp"

namespace striate {
namespace convert {

namespace fs = std::filesystem;

void declare(Schema& s, Config& c) {
  s("operation", c.operation,
    {.doc =
         "what is done: copy (also between formats); stores one behind the other (concatenate, merge); a part of one "
         "(slice, mask, pool; these keys also serve the others); arithmetic of a store and `with`; stimuli: a folder "
         "as a .stim.csv",
     .choices = {"copy", "concatenate", "merge", "slice", "mask", "pool", "add", "subtract", "multiply", "divide",
                 "stimuli"}});
  s("input", c.input,
    {.doc = "a file, or a list: .act.h5, \"f.h5:/dataset\", .npy, .npz, .mat, .json (keract), .txt, a folder of .npy "
            "or of "
            "thingsvision, .roi.h5, .rdm.h5, .stim.csv, .dmask.csv; of `stimuli` the folder",
     .required = true,
     .identity = false,
     .example = "[part-1.act.h5, part-2.act.h5]"});
  s("with", c.with, {.doc = "of arithmetic: a number, or a store with the same layers", .identity = false});
  s("along", c.along, {.doc = "of concatenate: what the inputs lack of each other", .choices = {"stimuli", "layers"}});
  s("rows", c.rows,
    {.doc =
         "stimuli to take, in this order: FIRST:LAST counted from 1 (FIRST: to the end), ids, or a .stim.csv of them",
     .identity = false,
     .example = "subset.stim.csv"});
  s("layers", c.layers, {.doc = "layers to take (RDMs of a .rdm.h5, ROIs of a .roi.h5)", .example = "[conv1, fc6]"});
  s("rename", c.rename, {.doc = "new names of layers", .example = "{features.0: conv1}"});
  s("prefix", c.prefix, {.doc = "of concatenate along layers: put before the names of each input's layers"});
  s("mask", c.mask, {.doc = "units to take: a .dmask.csv", .identity = false, .example = "units.dmask.csv"});
  s("pool", c.pool,
    {.doc = "summary of each feature map over space", .choices = {"none", "max", "mean", "median", "l1", "l2"}});
  s("compat", c.compat,
    {.doc = "dnnbrain: l1 and l2 of pool are matrix norms (largest column sum, largest singular value)",
     .choices = {"none", "dnnbrain"}});
  s("stimuli", c.stimuli, {.doc = "the rows' ids, where the input carries none: a .stim.csv", .identity = false});
  s("layout", c.layout,
    {.doc =
         "axes of foreign arrays: stimuli first, then channels (channels_first) or at last channels (channels_last, as "
         "Keras); matconvnet: rows × columns × channels × stimuli. auto: of .json channels_last, of MatConvNet's res "
         "matconvnet, else channels_first",
     .choices = {"auto", "channels_first", "channels_last", "matconvnet"}});
  s("dtype", c.dtype,
    {.doc = "type of the values; keep: float16 where the input is, else float32",
     .choices = {"keep", "float32", "float16"}});
  s("batch", c.batch, {.doc = "stimuli of a batch; auto: as the first input, else by shapes"});
  s("format", c.format,
    {.doc =
         "of the output. auto: by its name (.act.h5, .npy, .mat, .roi.h5, .rdm.h5, .tsv, .stim.csv, .dmask.csv; a name "
         "without ending is a folder of .npy). dnnbrain: plain file that DNNBrain reads; dnnbrain_view: the same, "
         "whose "
         "values stay in the input",
     .choices = {"auto", "store", "npy", "mat", "dnnbrain", "dnnbrain_view"}});
  s("form", c.form, {.doc = "of RDMs in .npy: the upper triangle, or the whole", .choices = {"vector", "square"}});
  s("type", c.type, {.doc = "of stimuli: which files of the folder", .choices = {"image", "video_clip", "audio", "array"}});
  s("labels", c.labels,
    {.doc = "of stimuli: the sub-folder's name, or its number from 0 (DNNBrain takes numbers alone)",
     .choices = {"names", "numbers"}});
  s("memory", c.memory,
    {.doc = "of a rank; default: its share of what the job was given", .unit = "GiB", .min = 0.05, .identity = false});
  s("output", c.output,
    {.doc = "file or folder to write", .required = true, .identity = false, .example = "out.act.h5"});
}

bool is_arithmetic(std::string const& operation) {
  return operation == "add" || operation == "subtract" || operation == "multiply" || operation == "divide";
}

Format format_of(Config const& c) {
  std::string const name = c.output.filename().string();
  bool const h5 = name.ends_with(".h5") || name.ends_with(".hdf5");
  if (c.operation == "stimuli" || name.ends_with(".stim.csv")) return Format::stimuli;
  if (name.ends_with(".dmask.csv")) return Format::mask;
  if (name.ends_with(".roi.h5")) return Format::roi;
  if (name.ends_with(".rdm.h5")) return Format::rdm;
  if (c.format == "store" || (c.format == "auto" && h5)) return Format::store;
  if (c.format == "dnnbrain") return Format::dnnbrain;
  if (c.format == "dnnbrain_view") return Format::dnnbrain_view;
  if (c.format == "mat" || name.ends_with(".mat")) return Format::mat;
  if (name.ends_with(".npy")) return Format::npy;
  if (name.ends_with(".tsv")) return Format::table;
  if (c.format == "npy" || fs::path(name).extension().empty() || name.empty()) return Format::npy_folder;
  fail(Exit::config,
       "output: {} tells no format by its ending; name it .act.h5, .npy, .mat, .roi.h5, .rdm.h5, .tsv, "
       ".stim.csv or .dmask.csv, or set format:",
       name);
}

namespace {

void check_arithmetic(Config const& c) {
  bool const given = !std::holds_alternative<std::monostate>(c.with);
  if (is_arithmetic(c.operation) && !given)
    fail(Exit::config, "with: is missing; operation: {} needs a number or a second store", c.operation);
  if (!is_arithmetic(c.operation) && given)
    fail(Exit::config, "with: belongs to add, subtract, multiply and divide, not to operation: {}; remove it",
         c.operation);
  if (auto const* number = std::get_if<double>(&c.with); number != nullptr && !std::isfinite(*number))
    fail(Exit::config, "with: is {}; give a finite number", *number);
}

}  // namespace

void check(Config const& c) {
  bool const many = c.operation == "concatenate" || c.operation == "merge";
  if (c.input.empty()) fail(Exit::config, "input: the list is empty; name a file");
  if (!many && c.input.size() > 1)
    fail(Exit::config, "input: names {} files, but operation: {} takes one; set operation: concatenate or merge",
         c.input.size(), c.operation);
  if (c.operation == "slice" && c.rows.all() && c.layers == std::vector<std::string>{"all"})
    fail(Exit::config, "rows: operation: slice needs rows: or layers:");
  if (c.operation == "mask" && !c.mask) fail(Exit::config, "mask: operation: mask needs a .dmask.csv");
  if (c.operation == "pool" && c.pool == "none")
    fail(Exit::config, "pool: operation: pool needs max, mean, median, l1 or l2");
  if (c.operation == "merge" && (c.mask || c.pool != "none" || !c.rename.empty()))
    fail(Exit::config,
         "operation: merge makes the store that one run would have made; mask, pool and rename in a second step");
  if (c.layers.empty()) fail(Exit::config, "layers: the list is empty; name layers, or `all`");
  if (std::set<std::string>(c.layers.begin(), c.layers.end()).size() != c.layers.size())
    fail(Exit::config, "layers: a layer stands twice; keep one");
  bool const by_layers = c.operation == "concatenate" && c.along == "layers";
  if (!c.prefix.empty() && (!by_layers || c.prefix.size() != c.input.size()))
    fail(Exit::config, "prefix: is for concatenate along: layers, with one text an input ({})", c.input.size());
  if (c.compat == "dnnbrain" && c.pool != "l1" && c.pool != "l2")
    fail(Exit::config, "compat: dnnbrain changes pool: l1 and l2 alone; remove it");
  check_arithmetic(c);
  auto const format = format_of(c);
  if (format == Format::dnnbrain_view &&
      (c.operation != "copy" || !c.rows.all() || c.mask || c.pool != "none" || c.dtype != "keep"))
    fail(Exit::config,
         "format: a dnnbrain_view holds the input's values as they are; use format: dnnbrain for a part of them");
}

std::vector<NamedPath> files_read(Config const& c) {
  std::vector<NamedPath> reads;
  for (auto const& in : c.input) {
    reads.push_back({"input", in});
    std::error_code trouble;
    if (c.operation == "stimuli" || !fs::is_directory(in, trouble)) continue;
    for (fs::recursive_directory_iterator at(in, trouble), end; !trouble && at != end; at.increment(trouble)) {
      if (at.depth() >= 1) at.disable_recursion_pending();
      auto const& file = at->path();
      if (file.extension() == ".npy" || file.extension() == ".txt" || file.stem() == "features")
        reads.push_back({"input", file});
    }
  }
  if (auto const* second = std::get_if<fs::path>(&c.with)) reads.push_back({"with", *second});
  if (c.mask) reads.push_back({"mask", *c.mask});
  if (!c.rows.file.empty()) reads.push_back({"rows", c.rows.file});
  add_stimuli(reads, "stimuli", c.stimuli);
  return reads;
}

}  // namespace convert

using convert::Renaming;
using convert::RowChoice;
using convert::Second;

Second ConfigType<Second>::read(YAML::Node const& node, ConfigPlace const& place) {
  if (!node.IsScalar()) config_error(place, "needs a number or a path");
  double number = 0;
  if (YAML::convert<double>::decode(node, number)) return number;
  return ConfigType<std::filesystem::path>::read(node, place);
}
nlohmann::json ConfigType<Second>::write(Second const& second) {
  if (auto const* number = std::get_if<double>(&second)) return *number;
  if (auto const* path = std::get_if<std::filesystem::path>(&second)) return path->string();
  return nullptr;
}

RowChoice ConfigType<RowChoice>::read(YAML::Node const& node, ConfigPlace const& place) {
  RowChoice rows;
  if (node.IsSequence()) {
    rows.ids = ConfigType<std::vector<std::string>>::read(node, place);
    if (rows.ids.empty()) config_error(place, "is an empty list; name ids, or leave the key out");
    return rows;
  }
  if (!node.IsScalar()) config_error(place, "needs FIRST:LAST, a .stim.csv or a list of ids");
  std::string const text = node.Scalar();
  auto const colon = text.find(':');
  std::pair<std::int64_t, std::int64_t> range;
  char const* const end = text.data() + text.size();
  if (colon != std::string::npos) {
    auto const first = std::from_chars(text.data(), text.data() + colon, range.first);
    auto last = std::from_chars(text.data() + colon + 1, end, range.second);
    if (colon + 1 == text.size()) last = {end, std::errc()}, range.second = std::numeric_limits<std::int64_t>::max();
    if (first.ec == std::errc() && last.ec == std::errc() && first.ptr == text.data() + colon && last.ptr == end) {
      if (range.first < 1 || range.second < range.first)
        config_error(place, "is " + text + "; rows are counted from 1, and the last is not before the first");
      rows.range = range;
      return rows;
    }
  }
  if (!text.ends_with(".csv"))
    config_error(place, "is `" + text + "`; it needs FIRST:LAST (or FIRST: to the end), a .stim.csv or a list of ids");
  rows.file = ConfigType<std::filesystem::path>::read(node, place);
  return rows;
}
nlohmann::json ConfigType<RowChoice>::write(RowChoice const& rows) {
  if (rows.range && rows.range->second == std::numeric_limits<std::int64_t>::max())
    return fmt::format("{}:", rows.range->first);
  if (rows.range) return fmt::format("{}:{}", rows.range->first, rows.range->second);
  if (!rows.file.empty()) return rows.file.string();
  return rows.ids.empty() ? nlohmann::json(nullptr) : nlohmann::json(rows.ids);
}

Renaming ConfigType<Renaming>::read(YAML::Node const& node, ConfigPlace const& place) {
  Renaming names;
  if (!node.IsMap()) config_error(place, "needs {old: new, …}");
  for (auto const& entry : node) {
    if (!entry.second.IsScalar()) config_error(place, "needs one new name for " + entry.first.Scalar());
    names[entry.first.Scalar()] = entry.second.Scalar();
  }
  return names;
}
nlohmann::json ConfigType<Renaming>::write(Renaming const& names) {
  return names.empty() ? nlohmann::json(nullptr) : nlohmann::json(names);
}

}  // namespace striate
