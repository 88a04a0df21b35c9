#pragma once
/// What a saved reduction was fitted on.
#include <filesystem>
#include <map>
#include <string>

namespace striate {

/// Compares the network, weights, pooling and preprocessing that the file carries with `here` (attributes of a store),
/// where both say. Error(Exit::data) that names what differs; of preprocessing alone a warning. Projections and
/// periodograms are fitted on nothing: they pass.
void check_fitted_on(std::filesystem::path const& file, std::map<std::string, std::string> const& here);

}  // namespace striate
