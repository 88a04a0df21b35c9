#pragma once
/// Plain HDF5 files of other programs: texts of variable length, datasets whose values stay in another file, references
/// of MATLAB's 7.3 files. Serial.
#include <string>
#include <vector>

#include "striate/store/h5.hpp"

namespace striate::h5 {

/// A root attribute of variable-length UTF-8 (h5py reads it as str): a scalar, or (texts.size()).
void set_variable_attribute(File& file, std::string const& name, std::string const& text);
void set_variable_attribute(File& file, std::string const& name, std::vector<std::string> const& texts);

/// A dataset of `shape` whose values are those of `source`, found in `source_file` (relative to the folder of `file`,
/// or absolute) whenever it is read. Both hold as many values, in the same order.
void create_view(File& file, std::string const& name, Shape const& shape, Dataset const& source,
                 std::string const& source_file);

/// Names ("/#refs#/b") of what a dataset of object references points to, in C order. Error(Exit::data) for other types.
[[nodiscard]] std::vector<std::string> referenced(File const& file, std::string const& dataset);

/// Renames a finished file to its name and syncs the folder. Error(Exit::cant_create).
void put_in_place(std::filesystem::path const& draft, std::filesystem::path const& path);

}  // namespace striate::h5
