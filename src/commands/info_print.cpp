#include "info_print.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <ostream>
#include <stdexcept>

#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"
#include "striate/store/rdm_file.hpp"

namespace striate::info {
namespace {

namespace fs = std::filesystem;

std::string bytes_text(double bytes) {
  char const* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} bytes", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

template <class Shape>
std::string shape_text(Shape const& shape) {
  std::string text;
  for (auto d : shape) text += (text.empty() ? "" : " × ") + std::to_string(d);
  return text.empty() ? "scalar" : text;
}

std::string shortened(std::string text, std::size_t width = 100) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= width) return text;
  text.resize(width);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80)
    text.pop_back();  // whole characters
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
  return text + "…";
}

void line(std::ostream& out, std::string const& name, std::string const& value) {
  out << fmt::format("  {:<22} {}\n", name, value);
}

void head(std::ostream& out, fs::path const& path, std::string const& what) {
  std::error_code code;
  auto size = fs::is_regular_file(path) ? fs::file_size(path, code) : 0;
  out << path.string() << ": " << what;
  if (size > 0) out << ", " << bytes_text(static_cast<double>(size));
  out << "\n";
}

void print_attributes(h5::File const& file, std::string const& object, std::string const& indent, std::ostream& out) {
  for (auto const& name : file.attribute_names(object)) {
    std::string value;
    try {
      value = file.attribute(object, name);
    } catch (Error const&) {
      value = "(of a type that is not shown)";
    }
    out << fmt::format("{}@{} = {}\n", indent, name, shortened(value));
  }
}

void print_group(h5::File const& file, std::string const& group, int depth, std::ostream& out) {
  std::string indent(static_cast<std::size_t>(2 * depth), ' ');
  for (auto const& link : file.names(group)) {
    std::string name = (group == "/" ? "" : group) + "/" + link;
    if (!file.is_dataset(name)) {
      out << indent << link << "/\n";
      print_attributes(file, name, indent + "  ", out);
      print_group(file, name, depth + 1, out);
      continue;
    }
    auto data = file.dataset(name);
    auto chunk = data.chunk();
    out << fmt::format("{}{:<24} {:<9} {}{}{}\n", indent, link, data.type_name(), shape_text(data.shape()),
                       chunk.empty() ? "" : fmt::format("  chunks {}", shape_text(chunk)),
                       data.filtered() ? "  compressed" : "");
    print_attributes(file, name, indent + "  ", out);
  }
}

void print_ledger(fs::path const& path, std::ostream& out) {
  auto state = read_ledger(path);
  if (state.complete) return line(out, "state", "complete");
  if (state.total > 0)
    line(out, "state",
         fmt::format("unfinished: {} of {} units done; run the same command again", state.done, state.total));
}

std::string kind_of(h5::File const& file, std::string const& name) {
  if (name.ends_with(".act.h5"))
    return file.has_attribute("/", "striate_version") ? "activation store" : "activation store (DNNBrain's layout)";
  if (name.ends_with(".rdm.h5")) return "RDMs";
  if (name.ends_with(".roi.h5")) return "ROI table";
  if (file.has("/targets/index")) return "result file";
  return "HDF5 file";
}

}  // namespace

/// Rows of an activation store that hold no stimulus.
static void print_skipped(h5::File const& file, std::ostream& out) {
  constexpr std::size_t most = 20;
  if (!file.is_dataset(".striate/skipped")) return;
  auto const why = file.dataset(".striate/skipped").read<std::uint8_t>();
  auto const count = why.size() - static_cast<std::size_t>(std::ranges::count(why, 0));
  if (count == 0) return;
  out << "  skipped stimuli (rows of NaN): " << count << "\n";
  auto const ids = file.dataset(".striate/stimulus_id").read_strings();
  for (std::size_t i = 0, shown = 0; i < why.size() && shown < most; ++i)
    if (why[i] != 0)
      out << "    row " << i + 1 << " " << ids.at(i) << (why[i] == 1 ? " (missing)" : " (damaged)") << "\n", ++shown;
  if (count > most) out << "    … and " << count - most << " more (/.striate/skipped)\n";
}

void print_hdf5(fs::path const& path, std::ostream& out) {
  auto file = h5::File::open(path);
  std::string kind = kind_of(file, path.filename().string());
  head(out, path, kind);
  try {
    if (kind == "RDMs") {
      RdmReader const rdms(path);
      line(out, "RDMs", fmt::format("{} of {} items ({})", rdms.rdms().size(), rdms.items(), rdms.type()));
    } else if (kind == "ROI table") {
      auto const data = file.dataset("data").shape();
      line(out, "regions", fmt::format("{} in {} volumes", file.attribute_strings("/", "roi").size(), data.at(0)));
    }
  } catch (Error const& error) {
    line(out, "damage", error.what());
  } catch (std::out_of_range const&) {
    line(out, "damage", "data is a single number");
  }
  if (file.has("/.striate/done") || file.has_attribute("/", "complete")) print_ledger(path, out);
  print_skipped(file, out);
  print_attributes(file, "/", "  ", out);
  print_group(file, "/", 1, out);
}

void print_folder(fs::path const& path, std::ostream& out) {
  bool result = fs::exists(path / "result.h5");
  head(out, path, result ? "result directory" : fs::exists(path / "truth.h5") ? "simulated responses" : "folder");
  for (auto name : {"result.h5", "truth.h5"})
    if (fs::exists(path / name)) print_hdf5(path / name, out);
  std::map<std::string, std::pair<std::size_t, double>> files;
  for (auto it = fs::recursive_directory_iterator(path); it != fs::recursive_directory_iterator(); ++it) {
    if (!it->is_regular_file()) continue;
    std::string folder = fs::relative(it->path().parent_path(), path).string();
    std::string name = folder == "." ? it->path().filename().string() : folder + "/";
    auto& entry = files[name];
    ++entry.first, entry.second += static_cast<double>(it->file_size());
  }
  for (auto const& [name, entry] : files)
    line(out, name,
         name.ends_with("/") ? fmt::format("{} files, {}", entry.first, bytes_text(entry.second))
                             : bytes_text(entry.second));
}

void print_npy(fs::path const& path, std::ostream& out) {
  NpyFile file(path);
  head(out, path, "NumPy array");
  line(out, "shape", shape_text(file.shape()));
  line(out, "type", file.dtype() + (file.fortran_order() && file.shape().size() > 1 ? ", Fortran order" : ""));
}

void print_image(fs::path const& path, std::ostream& out) {
  auto image = open_image(path);
  Space const& space = image->space();
  if (space.format == "nifti") {
    auto info = nifti_info(path);
    head(out, path, info.version == 0 ? "ANALYZE 7.5 image" : fmt::format("NIfTI-{} image", info.version));
    line(out, "type", info.dtype + (info.swapped ? ", other byte order" : ""));
    if (info.slope != 0 && info.slope == info.slope && (info.slope != 1 || info.inter != 0))
      line(out, "scaling", fmt::format("{:g} × stored + {:g}", info.slope, info.inter));
    line(out, "form codes", fmt::format("sform {}, qform {}", info.sform_code, info.qform_code));
  } else {
    head(out, path, space.format + " image");
  }
  line(out, "grid", space.shape_text());
  line(out, "volumes", std::to_string(image->volumes()));
  if (!space.is_volume()) return;
  auto mm = space.voxel_mm();
  line(out, "voxel", fmt::format("{:.4g} × {:.4g} × {:.4g} mm", mm[0], mm[1], mm[2]));
  for (auto const& row : space.affine)
    line(out, &row == &space.affine[0] ? "affine" : "",
         fmt::format("{:10.4g} {:10.4g} {:10.4g} {:10.4g}", row[0], row[1], row[2], row[3]));
}

void print_table(fs::path const& path, std::ostream& out) {
  std::ifstream in(path);
  std::string text, first;
  bool stimuli = path.filename().string().ends_with(".stim.csv");
  head(out, path, stimuli ? "stimuli" : "table");
  std::vector<std::string> head_lines;
  std::size_t rows = 0;
  bool table = !stimuli;
  while (std::getline(in, text)) {
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (text.empty()) continue;
    if (!table) {
      auto equals = text.find('=');
      if (equals == std::string::npos)
        fail(Exit::data, "info: {}: \"{}\" is no key=value line (before data=)", path.filename().string(),
             shortened(text, 40));
      std::string key = text.substr(0, equals), value = text.substr(equals + 1);
      table = key == "data";
      line(out, table ? "columns" : key, shortened(value));
    } else if (!stimuli && rows == 0 && first.empty()) {
      line(out, "columns", shortened(text));
      first = text;
    } else {
      if (stimuli && rows == 0) first = text;
      if (rows == 0 && stimuli) line(out, "first row", shortened(text));
      ++rows;
    }
  }
  if (stimuli && !table) fail(Exit::data, "info: {} has no data= line; it may be truncated", path.filename().string());
  line(out, "rows", std::to_string(rows));
}

void print_yaml(fs::path const& path, std::ostream& out) {
  YAML::Node root;
  try {
    root = YAML::LoadFile(path.string());
  } catch (YAML::Exception const& error) {
    fail(Exit::data, "info: {}: line {}: {}", path.filename().string(), error.mark.line + 1, error.msg);
  }
  bool card = root.IsMap() && root["layers"] && root["layers"].IsMap() && root["input"];
  head(out, path, card ? "network card" : "YAML");
  if (!root.IsMap()) return;
  for (auto const& entry : root) {
    std::string key = entry.first.Scalar();
    if (card && key == "layers") {
      line(out, "layers", std::to_string(entry.second.size()));
      for (auto const& layer : entry.second)
        line(out, "  " + layer.first.Scalar(), layer.second.IsScalar() ? layer.second.Scalar() : "");
      continue;
    }
    YAML::Emitter text;
    text << YAML::Flow << entry.second;
    line(out, key, shortened(text.c_str()));
  }
}

void print_other(fs::path const& path, std::ostream& out) {
  std::string name = path.filename().string();
  bool script = name.ends_with(".pt") || name.ends_with(".pth");
  head(out, path, name.ends_with(".ts.pt") ? "TorchScript network" : script ? "PyTorch file" : "file of no known kind");
  // A checksum of a larger file would take longer than the second that info may take.
  if (fs::file_size(path) <= (std::uintmax_t{200} << 20)) line(out, "sha256", sha256_file(path.string()));
}

}  // namespace striate::info
