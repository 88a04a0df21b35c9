#pragma once
/// Which units of which layers `striate extract` keeps: `mask:`, `channels:`, `units:`.
#include <optional>
#include <string>
#include <vector>

#include "extract_config.hpp"
#include "striate/commands/command.hpp"
#include "striate/net/network.hpp"
#include "striate/stimuli/dmask.hpp"

namespace striate {

/// What is kept of one layer, and where that was said.
struct ChosenUnits {
  MaskLayer layer;
  std::string key;                                                      ///< mask | channels | units
  std::string file;                                                     ///< name of the mask's file
  [[nodiscard]] std::string where(std::string const& word = "") const;  ///< "mask: units.dmask.csv: line 3"
};

class UnitChoice {
 public:
  UnitChoice() = default;
  /// Reads the mask; all ranks. Throws Error(Exit::no_input | Exit::data | Exit::config), also for a layer that is
  /// chosen from twice.
  explicit UnitChoice(ExtractConfig const& config);
  [[nodiscard]] std::vector<ChosenUnits> const& layers() const { return layers_; }

  /// `layers:` of the config; where there is none, the layers chosen from, in their order; else `all`.
  [[nodiscard]] std::vector<std::string> asked(ExtractConfig const& config) const;
  /// The layers of which not whole channels are kept, so that pooling must wait for the choice.
  [[nodiscard]] std::vector<LayerRequest> pooled_later(Card const& card) const;
  /// For each captured layer what was chosen of it, or null. Throws Error(Exit::data) where one is chosen from that is
  /// not captured (the nearest is named) or chosen from under two names, or where the choice does not fit.
  [[nodiscard]] std::vector<ChosenUnits const*> of_layers(std::vector<CapturedLayer> const& layers,
                                                          Card const& card) const;
  /// By layer, a checksum of what the mask keeps of it: the same however its file is written.
  [[nodiscard]] nlohmann::ordered_json mask_digest() const;
  /// A message of Network about a layer that only the mask asks for: says where.
  [[nodiscard]] std::string explain(std::string const& message) const;

 private:
  std::vector<ChosenUnits> layers_;
};

}  // namespace striate
