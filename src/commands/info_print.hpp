#pragma once
/// What `striate info` says of each kind of file.
#include <filesystem>
#include <iosfwd>

namespace striate::info {

void print_folder(std::filesystem::path const& path, std::ostream& out);
void print_hdf5(std::filesystem::path const& path, std::ostream& out);
void print_npy(std::filesystem::path const& path, std::ostream& out);
void print_image(std::filesystem::path const& path, std::ostream& out);
void print_table(std::filesystem::path const& path, std::ostream& out);
void print_yaml(std::filesystem::path const& path, std::ostream& out);
void print_other(std::filesystem::path const& path, std::ostream& out);

}  // namespace striate::info
