/// `striate info`: the command line, and which file is described how.
#include "striate/commands/info.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "info_print.hpp"
#include "striate/base/error.hpp"
#include "striate/brain/npy.hpp"
#include "striate/brain/space.hpp"
#include "striate/store/layer_report.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

char const* const usage =
    "striate info FILE...                             what a file or result directory holds\n"
    "striate info --compare A B [--tolerance T]       exit 0 where every dataset agrees, 65 with the first that does "
    "not\n"
    "striate info --join RESULT... > all.tsv          summary.tsv of several result directories as one table (or name the\n"
    "                                                 tables: out/*/best-layers.tsv), with the column `result`\n"
    "striate info --report STORE                      mean, sd, zeros, dead units … of each layer, tab-separated\n"
    "\n"
    "FILE: .act.h5, .rdm.h5, .roi.h5, any HDF5 file, result directory, .stim.csv, .npy, NIfTI, .ts.pt, card .yaml.\n"
    "Without --tolerance values agree bit for bit (NaN equals NaN); with it |a - b| <= T * max(1, |a|, |b|).\n"
    "Left out of a comparison: run records (/.striate/ but for ids and moments), striate_version, provenance.json, "
    "log.txt.\n";

bool starts_as(fs::path const& path, char const* magic, std::size_t bytes) {
  std::ifstream in(path, std::ios::binary);
  char head[8] = {};
  in.read(head, static_cast<std::streamsize>(bytes));
  return in.gcount() == static_cast<std::streamsize>(bytes) && std::memcmp(head, magic, bytes) == 0;
}

}  // namespace

void print_info(fs::path const& path, std::ostream& out) {
  std::string name = path.filename().string();
  if (!fs::exists(path)) fail(Exit::no_input, "info: {} does not exist; check the path", path.string());
  if (fs::is_directory(path)) return info::print_folder(path, out);
  if (!std::ifstream(path)) fail(Exit::no_input, "info: {} cannot be read ({})", path.string(), std::strerror(errno));
  if (starts_as(path, "\x89HDF\r\n\x1a\n", 8)) return info::print_hdf5(path, out);
  if (name.ends_with(".h5") || name.ends_with(".hdf5"))
    fail(Exit::data, "info: {} is not an HDF5 file (it does not begin as one); it may be truncated", name);
  if (name.ends_with(".npy")) return info::print_npy(path, out);
  if (find_brain_format(path) != nullptr) return info::print_image(path, out);
  if (name.ends_with(".csv") || name.ends_with(".tsv")) return info::print_table(path, out);
  if (name.ends_with(".yaml") || name.ends_with(".yml")) return info::print_yaml(path, out);
  info::print_other(path, out);
}

int run_info(std::vector<std::string> const& args) {
  std::vector<std::string> files;
  bool compare = false, join = false, report = false;
  std::optional<double> tolerance;
  for (std::size_t i = 0; i < args.size(); ++i) {
    std::string word = args[i], value;
    if (word == "--help" || word == "-h") {
      std::cout << usage;
      return 0;
    }
    if (word.starts_with("--tolerance="))
      value = word.substr(12), word = "--tolerance";
    else if (word == "--tolerance" && i + 1 < args.size())
      value = args[++i];
    if (word == "--compare") {
      compare = true;
    } else if (word == "--join") {
      join = true;
    } else if (word == "--report") {
      report = true;
    } else if (word == "--tolerance") {
      char* end = nullptr;
      tolerance = std::strtod(value.c_str(), &end);
      if (value.empty() || *end != '\0' || !(*tolerance >= 0))
        fail(Exit::usage, "info: --tolerance needs a number of at least 0, not \"{}\"", value);
    } else if (word.starts_with("-") && word != "-") {
      fail(Exit::usage, "info: unknown option {}; see striate info --help", word);
    } else {
      files.push_back(word);
    }
  }
  if (compare && files.size() != 2) fail(Exit::usage, "info: --compare needs two files, not {}", files.size());
  if (!compare && files.empty()) fail(Exit::usage, "info: no file is named; see striate info --help");
  if (compare + join + report > 1) fail(Exit::usage, "info: --compare, --join and --report exclude each other; keep one");
  if (!compare && tolerance) fail(Exit::usage, "info: --tolerance goes with --compare");
  if (report) {
    for (auto const& file : files) std::cout << report_table(layer_reports(file));
    return 0;
  }
  if (join) {
    info::print_joined(files, std::cout);
    return 0;
  }
  if (!compare) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (i > 0) std::cout << "\n";
      print_info(files[i], std::cout);
    }
    return 0;
  }
  auto difference = first_difference_of_files(files[0], files[1], tolerance);
  if (!difference) {
    std::cout << (tolerance ? fmt::format("agree within {:g}", *tolerance) : std::string("identical")) << "\n";
    return 0;
  }
  std::cout << "differ: " << *difference << std::endl;
  return static_cast<int>(Exit::data);
}

}  // namespace striate
