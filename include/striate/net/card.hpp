#pragma once
/// Network cards (configs/networks/*.yaml): a network's input, preprocessing, and names of its layers. Not collective.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "striate/stimuli/input.hpp"

namespace striate {

/// `check:` of a card, which tools/make_check.py writes: what the network gives for a known input (self_test.hpp).
struct CardCheck {
  std::string input = "noise";     ///< noise | gradient | picture
  std::vector<std::size_t> shape;  ///< of the input
  /// The weights it is for: the file's sum, or that of the values (state_sha256), or both.
  std::string weights_sha256, state_sha256;
  std::string layer = "output";
  std::vector<double> outputs;  ///< its first numbers
  double tolerance = 1e-3;      ///< of the largest of them
};

struct Card {
  std::filesystem::path file;
  std::string name, source, weights;  ///< weights: file name, may be empty
  InputForm input;
  Preprocessing preprocessing;                               ///< of pictures, and of the frames of clips
  std::vector<std::pair<std::string, std::string>> layers;   ///< card name → module path, in order of the file
  std::vector<std::pair<std::string, std::string>> aliases;  ///< second name → card name; not part of `all`
  std::vector<std::pair<std::string, std::vector<std::string>>> presets;
  std::vector<CardCheck> checks;
  /// Set by override_card: whether GoogLeNet or Inception v3 shall convert ImageNet's normalisation to (x − 0.5) / 0.5.
  std::optional<bool> transform_input;
  bool undo_transform = false;  ///< the same as false, but of no account in other networks
  /// Of one stimulus, as the network takes it.
  [[nodiscard]] std::vector<std::size_t> input_shape() const { return striate::input_shape(input, preprocessing); }
};

/// `name`: a path to a card (ends in .yaml or holds a '/'), or a name looked for beside the config (where a file that
/// does not look like a card is passed over), in STRIATE_CARDS (colon-separated folders), in the installed and in the
/// source configs/networks/. Throws Error(Exit::no_input) naming the nearest card and the folders searched;
/// Error(Exit::config) with file and line for what is wrong in it.
[[nodiscard]] Card find_card(std::string const& name, std::filesystem::path const& config_folder);
[[nodiscard]] Card read_card(std::filesystem::path const& file);

/// The card with keys of its `input` and `preprocessing` replaced, as `preprocessing:` of an extract config gives them;
/// also `compat: dnnbrain` and `transform_input`. Throws Error(Exit::config) as read_card.
[[nodiscard]] Card override_card(Card card, nlohmann::ordered_json const& keys);
/// Changes mean and std so that the modules of a network that converts its input (`inside`) or does not get what they
/// would get in one that does (`wanted`) or does not. For torchvision's GoogLeNet and Inception v3.
void set_transform_input(Preprocessing& how, bool inside, bool wanted);

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
/// layers in the card: "*"), patterns (`layer3*`: the card's layers that match; where none does, the network's
/// modules). A name twice is an error, but presets, patterns and `all` leave out what stands before them. Names unknown
/// to the card are taken as module paths, which the network checks.
[[nodiscard]] std::vector<LayerRequest> resolve_layers(std::vector<std::string> const& asked, Card const& card);

}  // namespace striate
