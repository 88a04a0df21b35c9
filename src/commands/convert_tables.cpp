/// .roi.h5, .rdm.h5 and .dmask.csv: from and to .npy and .tsv, and DNNBrain's plain form.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "convert_array_source.hpp"
#include "convert_side.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/hash.hpp"
#include "striate/brain/npy.hpp"
#include "striate/stimuli/dmask.hpp"
#include "striate/store/rdm_file.hpp"
#include "striate/store/roi_file.hpp"

namespace striate::convert {
namespace {

namespace fs = std::filesystem;

bool ends(fs::path const& path, char const* ending) { return path.filename().string().ends_with(ending); }

/// Places of the names that `layers` asks for.
std::vector<std::size_t> chosen(Config const& config, std::vector<std::string> const& names, std::string const& what) {
  std::vector<std::size_t> places;
  if (config.layers == std::vector<std::string>{"all"}) {
    for (std::size_t i = 0; i < names.size(); ++i) places.push_back(i);
    return places;
  }
  for (auto const& name : config.layers) {
    auto const at = std::ranges::find(names, name);
    std::string const near = nearest(name, names);
    if (at == names.end())
      fail(Exit::data, "layers: {} has no {} `{}`{}", config.input[0].filename().string(), what, name,
           near.empty() ? "" : "; did you mean `" + near + "`?");
    places.push_back(static_cast<std::size_t>(at - names.begin()));
  }
  return places;
}

std::vector<double> numbers(NpyFile const& file) {
  std::vector<double> values(file.size());
  file.read(0, values);
  if (!file.fortran_order() || file.shape().size() < 2) return values;
  std::size_t const rows = file.shape()[0], columns = values.size() / std::max<std::size_t>(1, rows);
  std::vector<double> turned(values.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) turned[r * columns + c] = values[c * rows + r];
  return turned;
}

// ------------------------------------------------------------------------------------------------ .roi.h5

/// Names in the first line, then a line a volume.
RoiTable read_roi_tsv(fs::path const& path) {
  std::istringstream in(read_text(path));
  RoiTable table;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    std::istringstream cells(line);
    std::size_t count = 0;
    for (std::string cell; std::getline(cells, cell, '\t'); ++count) {
      if (table.rows == 0 && number == 1) {
        table.names.push_back(cell);
        continue;
      }
      char* end = nullptr;
      table.values.push_back(cell == "n/a" ? std::nan("") : std::strtod(cell.c_str(), &end));
      if (cell != "n/a" && (end == cell.c_str() || *end != '\0'))
        fail(Exit::data, "{} line {}: `{}` is no number", path.filename().string(), number, cell);
    }
    if (number == 1) continue;
    if (count != table.names.size())
      fail(Exit::data, "{} line {} has {} columns but the first line names {} regions", path.filename().string(),
           number, count, table.names.size());
    ++table.rows;
  }
  if (table.rows == 0) fail(Exit::data, "{}: holds no rows", path.filename().string());
  return table;
}

RoiTable read_roi(Config const& config) {
  fs::path const& in = config.input[0];
  if (ends(in, ".roi.h5")) return read_roi_file(in);
  if (ends(in, ".tsv")) return read_roi_tsv(in);
  if (!ends(in, ".npy"))
    fail(Exit::config, "input: a .roi.h5 is made of .npy, .tsv or .roi.h5, not of {}", in.filename().string());
  NpyFile const file(in);
  if (file.shape().size() != 2)
    fail(Exit::data, "input: {} has {} axes; a .roi.h5 is made of volumes × regions", in.filename().string(),
         file.shape().size());
  RoiTable table;
  table.rows = file.shape()[0], table.values = numbers(file);
  fs::path const names = in.parent_path() / (in.stem().string() + ".names.txt");
  if (fs::exists(names)) table.names = lines_of(names);
  if (table.names.empty())
    for (std::size_t i = 0; i < file.shape()[1]; ++i) table.names.push_back(std::to_string(i + 1));
  if (table.names.size() != file.shape()[1])
    fail(Exit::data, "{} names {} regions but {} has {} columns", names.filename().string(), table.names.size(),
         in.filename().string(), file.shape()[1]);
  return table;
}

std::string roi_tsv(RoiTable const& table) {
  std::string text;
  for (auto const& name : table.names) text += (text.empty() ? "" : "\t") + name;
  text += "\n";
  for (std::size_t r = 0; r < table.rows; ++r)
    for (std::size_t c = 0; c < table.names.size(); ++c) {
      double const v = table.values[r * table.names.size() + c];
      text += (std::isnan(v) ? std::string("n/a") : fmt::format("{}", v)) + (c + 1 < table.names.size() ? "\t" : "\n");
    }
  return text;
}

Table roi_table(Config const& config) {
  auto whole = read_roi(config);
  auto const places = chosen(config, whole.names, "ROI");
  auto table = std::make_shared<RoiTable>();
  table->rows = whole.rows;
  for (auto const p : places) table->names.push_back(whole.names[p]);
  for (std::size_t r = 0; r < whole.rows; ++r)
    for (auto const p : places) table->values.push_back(whole.values[r * whole.names.size() + p]);
  Table out;
  out.content = {{"rois", table->names}, {"volumes", table->rows}};
  out.summary = fmt::format("{} volumes × {} regions", table->rows, table->names.size());
  fs::path const to = config.output;
  auto const format = format_of(config);
  if (format != Format::roi && format != Format::npy && format != Format::table)
    fail(Exit::config, "output: a .roi.h5 becomes .roi.h5, .npy or .tsv, not {}", to.filename().string());
  out.write = [table, to, format] {
    if (format == Format::roi) return write_roi_file(to, *table);
    if (format == Format::table) return write_atomically(to, roi_tsv(*table));
    std::string names;
    for (auto const& name : table->names) names += name + "\n";
    write_atomically(to.parent_path() / (to.stem().string() + ".names.txt"), names);
    write_npy(to, std::span<double const>(table->values), {table->rows, table->names.size()});
  };
  return out;
}

// ------------------------------------------------------------------------------------------------ .rdm.h5

std::vector<double> square_of(std::span<double const> pairs, std::size_t n) {
  std::vector<double> square(n * n, 0);
  std::size_t at = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j, ++at) square[i * n + j] = square[j * n + i] = pairs[at];
  return square;
}

/// The upper triangle of n × n; the lower one must not contradict it (DNNBrain leaves zeros there).
std::vector<double> triangle_of(std::span<double const> square, std::size_t n, std::string const& name) {
  std::vector<double> pairs;
  bool zeros = true;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) zeros = zeros && square[j * n + i] == 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      double const a = square[i * n + j], b = square[j * n + i];
      if (!zeros && !(std::abs(a - b) <= 1e-6 * std::max(1.0, std::abs(a))) && !(std::isnan(a) && std::isnan(b)))
        fail(Exit::data, "{}: is not symmetric ({} at {}, {} but {} at {}, {}); an RDM is", name, a, i, j, b, j, i);
      pairs.push_back(a);
    }
  return pairs;
}

/// One .npy: (pairs), (iterations, pairs), (n, n) or (iterations, n, n). A matrix that is square counts as one RDM.
struct ArrayRdm {
  RdmShape shape;
  std::size_t items = 0;
  std::vector<double> pairs;
};
ArrayRdm rdm_of(fs::path const& path) {
  NpyFile const file(path);
  std::string const name = path.filename().string();
  auto const& s = file.shape();
  bool const square = s.size() >= 2 && s.size() <= 3 && s.end()[-1] == s.end()[-2] && s.back() > 1;
  ArrayRdm rdm;
  rdm.shape = {path.stem().string(), s.size() != 1, s.empty() ? 0 : (s.size() == (square ? 3U : 2U) ? s[0] : 1)};
  rdm.items = s.empty() ? 0 : square ? s.back() : items_of_pairs(s.back());
  if (rdm.items < 2 || s.size() > 3 || (s.size() == 3 && !square) || (file.fortran_order() && s.size() == 3))
    fail(Exit::data,
         "{}: is no RDM: (pairs), (iterations, pairs), (n, n) or (iterations, n, n) in C order, n (n - 1) / 2 pairs",
         name);
  auto const values = numbers(file);
  if (!square) {
    rdm.pairs = values;
    return rdm;
  }
  for (std::size_t i = 0; i < rdm.shape.iterations; ++i) {
    auto const one =
        triangle_of(std::span(values).subspan(i * rdm.items * rdm.items, rdm.items * rdm.items), rdm.items, name);
    rdm.pairs.insert(rdm.pairs.end(), one.begin(), one.end());
  }
  return rdm;
}

void write_rdm_npy(RdmReader const& reader, RdmShape const& rdm, fs::path const& path, bool square) {
  std::size_t const n = reader.items();
  std::vector<std::uint64_t> shape;
  if (rdm.iterated && (rdm.iterations > 1 || !square)) shape.push_back(rdm.iterations);
  if (square)
    shape.insert(shape.end(), {n, n});
  else
    shape.push_back(reader.pairs());
  NpyWriter file(path, "<f8", shape);
  for (std::size_t i = 0; i < rdm.iterations; ++i) {
    auto values = reader.read(rdm.name, i);
    if (square) values = square_of(values, n);
    file.write(values.data(), values.size() * sizeof(double));
  }
  file.close();
}

Table rdms_out(Config const& config) {
  auto reader = std::make_shared<RdmReader>(config.input[0]);
  std::vector<std::string> names;
  for (auto const& rdm : reader->rdms()) names.push_back(rdm.name);
  std::vector<RdmShape> rdms;
  for (auto const p : chosen(config, names, "RDM")) rdms.push_back(reader->rdms()[p]);
  auto const format = format_of(config);
  if (format == Format::npy && rdms.size() > 1)
    fail(Exit::config, "output: {} holds one array, but there are {} RDMs; name one as layers:, or a folder as output:",
         config.output.filename().string(), rdms.size());
  Table out;
  out.content = {{"rdms", names}, {"items", reader->items()}, {"type", reader->type()}, {"metric", reader->metric()}};
  if (!reader->names().empty()) out.content["item_names"] = reader->names();
  out.summary = fmt::format("{} RDMs of {} items", rdms.size(), reader->items());
  bool const square = config.form == "square", plain = config.format == "dnnbrain";
  fs::path const to = config.output;
  if (format != Format::rdm && format != Format::npy && format != Format::npy_folder)
    fail(Exit::config, "output: a .rdm.h5 becomes .rdm.h5, .npy or a folder of .npy, not {}", to.filename().string());
  out.write = [=] {
    if (format == Format::npy) return write_rdm_npy(*reader, rdms[0], to, square);
    if (format == Format::npy_folder) {
      for (auto const& rdm : rdms) write_rdm_npy(*reader, rdm, to / (rdm.name + ".npy"), square);
      return;
    }
    RdmWriter file(to, reader->type(), reader->metric(), reader->items(),
                   plain ? std::vector<std::string>() : reader->names(), rdms);
    for (auto const& rdm : rdms)
      for (std::size_t i = 0; i < rdm.iterations; ++i) file.write(rdm.name, i, reader->read(rdm.name, i));
    file.close();
  };
  return out;
}

Table rdms_in(Config const& config) {
  fs::path const in = config.input[0];
  std::vector<fs::path> files{in};
  if (fs::is_directory(in)) {
    files.clear();
    for (auto const& entry : fs::directory_iterator(in))
      if (ends(entry.path(), ".npy")) files.push_back(entry.path());
    std::ranges::sort(files);
    if (files.empty()) fail(Exit::data, "input: {} holds no .npy", in.string());
  } else if (!ends(in, ".npy")) {
    fail(Exit::config, "input: a .rdm.h5 is made of .npy, a folder of .npy or .rdm.h5, not of {}",
         in.filename().string());
  }
  auto rdms = std::make_shared<std::vector<ArrayRdm>>();
  for (auto const& file : files) {
    rdms->push_back(rdm_of(file));
    if (rdms->back().items != rdms->front().items)
      fail(Exit::data, "{} is of {} items but {} of {}; RDMs of a file share their items", file.filename().string(),
           rdms->back().items, files[0].filename().string(), rdms->front().items);
  }
  std::vector<std::string> names;
  if (!config.stimuli.empty()) names = load_stimuli(config.stimuli).ids();
  std::size_t const items = rdms->front().items;
  if (!names.empty() && names.size() != items)
    fail(Exit::data, "stimuli: {} lists {} items, but the RDMs are of {}", config.stimuli.path.filename().string(),
         names.size(), items);
  Table out;
  Sha256 sum;
  for (auto const& rdm : *rdms)
    sum.update(rdm.shape.name + "\n"), sum.update(rdm.pairs.data(), rdm.pairs.size() * sizeof(double));
  out.content = {{"rdms", rdms->size()}, {"items", items}, {"item_names", names}, {"sha256", sum.hex()}};
  out.summary = fmt::format("{} RDMs of {} items", rdms->size(), items);
  bool const iterated = std::ranges::any_of(*rdms, [](auto const& r) { return r.shape.iterated; });
  bool const plain = config.format == "dnnbrain";
  fs::path const to = config.output;
  out.write = [=] {
    std::vector<RdmShape> shapes;
    for (auto const& rdm : *rdms) shapes.push_back({rdm.shape.name, iterated, rdm.shape.iterations});
    RdmWriter file(to, iterated ? "dRDM" : "bRDM", "", items, plain ? std::vector<std::string>() : names, shapes);
    std::size_t const pairs = items * (items - 1) / 2;
    for (auto const& rdm : *rdms)
      for (std::size_t i = 0; i < rdm.shape.iterations; ++i)
        file.write(rdm.shape.name, i, std::span(rdm.pairs).subspan(i * pairs, pairs));
    file.close();
  };
  return out;
}

// ---------------------------------------------------------------------------------------------- .dmask.csv

Table mask_table(Config const& config) {
  if (!ends(config.input[0], ".dmask.csv"))
    fail(Exit::config, "input: a .dmask.csv is made of another, not of {}", config.input[0].filename().string());
  auto whole = read_dmask(config.input[0]);
  std::vector<std::string> names;
  for (auto const& layer : whole.layers) names.push_back(layer.name);
  auto mask = std::make_shared<UnitMask>();
  for (auto const p : chosen(config, names, "layer")) mask->layers.push_back(whole.layers[p]);
  Table out;
  for (auto const& layer : mask->layers) out.content["layers"].push_back(layer.name);
  out.summary = fmt::format("units of {} layers", mask->layers.size());
  out.write = [mask, to = config.output] { write_dmask(to, *mask); };
  return out;
}

}  // namespace

bool is_table(Config const& config) {
  auto const format = format_of(config);
  if (config.operation == "stimuli" || format == Format::stimuli || format == Format::roi || format == Format::rdm ||
      format == Format::table || format == Format::mask)
    return true;
  return ends(config.input[0], ".roi.h5") || ends(config.input[0], ".rdm.h5") || ends(config.input[0], ".stim.csv") ||
         ends(config.input[0], ".dmask.csv");
}

Table read_table(Config const& config) {
  if (config.operation != "copy" && config.operation != "stimuli" && config.operation != "slice")
    fail(Exit::config, "operation: {} is for activations; {} can be copied, or sliced by layers:", config.operation,
         config.input[0].filename().string());
  auto const format = format_of(config);
  if (format == Format::stimuli) return stimuli_table(config);
  if (format == Format::mask) return mask_table(config);
  if (ends(config.input[0], ".rdm.h5")) return rdms_out(config);
  if (format == Format::rdm) return rdms_in(config);
  if (ends(config.input[0], ".roi.h5") || format == Format::roi || format == Format::table) return roi_table(config);
  fail(Exit::config, "output: {} cannot be made of {}", config.output.filename().string(),
       config.input[0].filename().string());
}

}  // namespace striate::convert
