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
  std::string content;                     ///< size and sha256 of an array whose rows are only numbered, or empty
  std::shared_ptr<StimulusSource> source;  ///< (n)
  std::vector<std::string> file_sha256;    ///< (n) of each stimulus' file, or empty
};

/// Rank 0 reads, all ranks get the same. Collective; throws Error(Exit::no_input | Exit::data).
[[nodiscard]] ExtractStimuli read_stimuli(Context const& context, ExtractConfig const& config, Card const& card);
/// Every stimulus is there and begins and ends as its format says; ranks share the rows. Collective; throws the first
/// trouble, unless bad stimuli are to be skipped.
void check_stimuli(Context const& context, ExtractConfig const& config, ExtractStimuli const& stimuli);

/// Leaves stimuli [first, last).
void take_part(ExtractStimuli& stimuli, std::size_t first, std::size_t last);
/// Fills file_sha256; ranks and threads share the files. A file that is not there has 64 zeros where bad stimuli are
/// skipped. Collective; throws Error.
void hash_stimuli(Context const& context, ExtractConfig const& config, ExtractStimuli& stimuli);
/// Throws Error(Exit::data) naming the first file that is another than when the store `path` was begun. One that was not
/// there then may have come, unless its batch is done already. Collective.
void check_unchanged(Context const& context, std::filesystem::path const& path, ExtractStimuli const& stimuli,
                     std::vector<std::uint8_t> const& done, std::size_t batch);

}  // namespace striate
