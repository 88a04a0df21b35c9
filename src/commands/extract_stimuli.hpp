#pragma once
/// The stimuli of `striate extract`: what the config names → a source, with the ids of its rows.
#include <memory>
#include <string>
#include <vector>

#include "extract_config.hpp"
#include "striate/commands/command.hpp"
#include "striate/net/card.hpp"
#include "striate/stimuli/source.hpp"

namespace striate {

struct ExtractStimuli {
  std::vector<std::string> ids;            ///< (n), unique
  std::string sha256;                      ///< of what decides the rows
  std::shared_ptr<StimulusSource> source;  ///< (n)
};

/// Rank 0 reads, all ranks get the same. Collective; throws Error(Exit::no_input | Exit::data).
[[nodiscard]] ExtractStimuli read_stimuli(Context const& context, ExtractConfig const& config, Card const& card);
/// Every stimulus is there and begins and ends as its format says; ranks share the rows. Collective; throws the first
/// trouble, unless bad stimuli are to be skipped.
void check_stimuli(Context const& context, ExtractConfig const& config, ExtractStimuli const& stimuli);

}  // namespace striate
