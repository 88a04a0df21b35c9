#include "card_paths.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <system_error>

#include "striate/base/config.hpp"
#include "striate/base/error.hpp"
#include "striate/net/card.hpp"

namespace striate {
namespace net {

std::vector<std::filesystem::path> card_folders(std::filesystem::path const& config_folder) {
  namespace fs = std::filesystem;
  std::vector<fs::path> out{config_folder.empty() ? fs::path(".") : config_folder};
  if (char const* folders = std::getenv("STRIATE_CARDS")) {
    std::string rest = folders;
    while (!rest.empty()) {
      std::size_t const colon = rest.find(':');
      if (colon != 0) out.emplace_back(rest.substr(0, colon));
      rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    }
  }
  std::error_code ignored;
  fs::path const program = fs::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) out.push_back(program.parent_path().parent_path() / "share/striate/configs/networks");
  fs::path const here = __FILE__;  // of the source tree that this was built from
  if (here.is_absolute()) out.push_back(here.parent_path().parent_path().parent_path() / "configs/networks");
  return out;
}

}  // namespace net

namespace {

/// Beside a config named after its network lie other configs: a card says something of a network, and asks for nothing.
bool looks_like_card(std::filesystem::path const& file) {
  try {
    YAML::Node const top = YAML::LoadFile(file.string());
    if (!top.IsMap() || top["stimuli"] || top["output"]) return false;
    return top["layers"] || top["preprocessing"] || top["input"];
  } catch (YAML::Exception const&) {
    return false;
  }
}

}  // namespace

Card find_card(std::string const& name, std::filesystem::path const& config_folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  bool const is_path = name.find('/') != std::string::npos || name.ends_with(".yaml") || name.ends_with(".yml");
  if (is_path) {
    fs::path const file = config_folder.empty() ? fs::path(name) : config_folder / name;
    if (!fs::exists(file, ignored)) fail(Exit::no_input, "network: the card {} does not exist", file.string());
    return read_card(file);
  }
  std::set<std::string> known;
  std::string searched;
  auto const folders = net::card_folders(config_folder);
  for (auto const& folder : folders) {
    fs::path const file = folder / (name + ".yaml");
    bool const beside = fs::equivalent(folder, folders.front(), ignored);
    if (fs::is_regular_file(file, ignored) && (!beside || looks_like_card(file))) return read_card(file);
    if (!fs::is_directory(folder, ignored)) continue;
    searched += (searched.empty() ? "" : ", ") + folder.lexically_normal().string();
    for (auto const& entry : fs::directory_iterator(folder, ignored))
      if (entry.path().extension() == ".yaml") known.insert(entry.path().stem().string());
  }
  std::string const near = nearest(name, {known.begin(), known.end()});
  fail(Exit::no_input, "network: there is no card {}{} (searched: {}); or give the path of a card", name,
       near.empty() ? "" : "; did you mean `" + near + "`?", searched);
}

}  // namespace striate
