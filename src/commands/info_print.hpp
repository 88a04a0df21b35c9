#pragma once
/// What `striate info` says of each kind of file.
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace striate::info {

void print_folder(std::filesystem::path const& path, std::ostream& out);
void print_hdf5(std::filesystem::path const& path, std::ostream& out);
void print_npy(std::filesystem::path const& path, std::ostream& out);
void print_image(std::filesystem::path const& path, std::ostream& out);
void print_table(std::filesystem::path const& path, std::ostream& out);
void print_yaml(std::filesystem::path const& path, std::ostream& out);
void print_other(std::filesystem::path const& path, std::ostream& out);
/// Tables of several results (a folder stands for its summary.tsv) as one: a column `result` in front, columns that a table
/// lacks are n/a. Throws Error(Exit::no_input | Exit::data | Exit::usage).
void print_joined(std::vector<std::string> const& places, std::ostream& out);

}  // namespace striate::info
