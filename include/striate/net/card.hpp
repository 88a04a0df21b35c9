#pragma once
/// Network cards (configs/networks/*.yaml): a network's input, preprocessing, and names of its layers. Not collective.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "striate/stimuli/input.hpp"

namespace striate {

struct Card {
  std::filesystem::path file;
  std::string name, source, weights;  ///< weights: file name, may be empty
  InputForm input;
  Preprocessing preprocessing;  ///< of pictures, and of the frames of clips
  std::vector<std::pair<std::string, std::string>> layers;   ///< card name → module path, in order of the file
  std::vector<std::pair<std::string, std::string>> aliases;  ///< second name → card name; not part of `all`
  std::vector<std::pair<std::string, std::vector<std::string>>> presets;
  /// Of one stimulus, as the network takes it.
  [[nodiscard]] std::vector<std::size_t> input_shape() const { return striate::input_shape(input, preprocessing); }
};

/// `name`: a path to a card (ends in .yaml or holds a '/'), or a name looked for beside the config (where a file that
/// does not look like a card is passed over), in STRIATE_CARDS (colon-separated folders), in the installed and in the
/// source configs/networks/. Throws Error(Exit::no_input) naming the nearest card and the folders searched;
/// Error(Exit::config) with file and line for what is wrong in it.
[[nodiscard]] Card find_card(std::string const& name, std::filesystem::path const& config_folder);
[[nodiscard]] Card read_card(std::filesystem::path const& file);

/// A layer to capture: the name it is stored under (as asked for) and its module path. A path may end in `#k` (the k-th
/// call of a module that is called several times) and `:e` (element e of a tuple, key e of a dict); `output` is what
/// what the network returns, `aten::relu#3` the fourth result of an operator; a path with `*` or `?` stands for every
/// module that is executed and matches it.
struct LayerRequest {
  std::string name, path;
};
/// Whether a name holds `*` or `?`, and whether such a pattern means `text`: any characters, dots too, and any one.
[[nodiscard]] bool is_pattern(std::string const& name);
[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);
/// `layers:` of a config → requests: card names, module paths, `preset:NAME`, `all` (every layer of the card; without
/// layers in the card: "*"), patterns (`layer3*`: the card's layers that match; where none does, the network's modules).
/// A name twice is an error, but presets, patterns and `all` leave out what stands before them. Names unknown to the card
/// are taken as module paths, which the network checks.
[[nodiscard]] std::vector<LayerRequest> resolve_layers(std::vector<std::string> const& asked, Card const& card);

}  // namespace striate
