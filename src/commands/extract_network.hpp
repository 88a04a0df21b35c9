#pragma once
/// The network of `striate extract`: card, weights, taps.
#include <filesystem>
#include <memory>
#include <string>

#include "extract_config.hpp"
#include "extract_units.hpp"
#include "striate/commands/command.hpp"
#include "striate/net/network.hpp"

namespace striate {

struct ExtractNetwork {
  Card card;
  std::filesystem::path weights;
  std::string weights_sha256;
  std::string self_test;  ///< how it went, in one line
  std::unique_ptr<Network> network;
};

/// Finds the card, changed as the config says; every rank reads it. Collective.
[[nodiscard]] Card find_card(Context const& context, ExtractConfig const& config);
/// Loads the network of a card for stimuli of shape `input`. Collective; throws Error.
[[nodiscard]] ExtractNetwork load_network(Context const& context, ExtractConfig const& config, Card card,
                                          std::vector<std::size_t> const& input, UnitChoice const& units);

}  // namespace striate
