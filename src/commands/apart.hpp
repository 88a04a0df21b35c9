#pragma once
/// What a job writes must be none of what it reads: with --fresh it would be gone before it is read.
#include <filesystem>
#include <string>
#include <vector>

#include "striate/par/comm.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {

/// A path of a setting; "f.h5:/dataset" counts as f.h5. A folder stands for all that lies in it only where it is
/// written.
struct NamedPath {
  std::string key;
  std::filesystem::path path;
};

/// Error(Exit::config) where two of `writes`, or one of them and one of `reads`, are the same file by whatever name.
/// Collective; touches nothing.
void check_apart(Comm const& comm, std::vector<NamedPath> const& reads, std::vector<NamedPath> const& writes);

/// Adds the file behind a list of stimuli, where there is one.
void add_stimuli(std::vector<NamedPath>& reads, std::string const& key, StimuliConfig const& stimuli);

}  // namespace striate
