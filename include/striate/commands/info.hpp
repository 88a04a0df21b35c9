#pragma once
/// `striate info FILE…` and `striate info --compare A B [--tolerance T]`.
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace striate {

/// The command; `args` are those after `info`. Writes to stdout and returns the exit code: 0; 65 where the compared
/// differ. Throws Error for what is missing (66), unreadable (65) or a wrong command line (64). Serial; no MPI.
int run_info(std::vector<std::string> const& args);

/// What a file or result directory holds, without reading its data. Throws Error(Exit::no_input | Exit::data).
void print_info(std::filesystem::path const& path, std::ostream& out);

/// Where A and B first differ, or nothing. HDF5 files, .npy, NIfTI, text, or two directories of such. Without a
/// tolerance numbers agree bit for bit (NaN equals NaN) and types too; with one, |a - b| ≤ T · max(1, |a|, |b|).
/// What says when and where a job ran is left out: /.striate/ but for stimulus ids, moments and items, the attribute
/// striate_version, provenance.json, log.txt, hidden files.
std::optional<std::string> first_difference_of_files(std::filesystem::path const& a, std::filesystem::path const& b,
                                                     std::optional<double> tolerance);

}  // namespace striate
