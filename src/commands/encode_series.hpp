#pragma once
/// Time series among the responses of `encode`: which volumes are a run, what is taken out of it, which are kept.
///
/// The order is that of the field: drift out, z-score, trim, then the mean over volumes that repeat a stimulus.
#include <string>
#include <vector>

#include "encode_data.hpp"
#include "encode_inputs.hpp"

namespace striate::encode {

/// Runs of neighbouring volumes with the same word in `column` (a word a volume). `name` and `source` of the column,
/// and the key that named it, are for messages. Throws Error(Exit::data) where a run is in pieces.
[[nodiscard]] Series find_runs(std::vector<std::string> const& column, std::string const& name,
                               std::string const& source, std::string const& key = "responses.run");
/// Throws Error(Exit::data) where a run is too short for what is taken out of it or dropped; warns of runs that lie
/// across two files (`in_file`: volumes of each).
void check_runs(SeriesConfig const& config, Series const& series, std::vector<std::size_t> const& in_file);

/// Which volumes make which row of Y: a row a volume (`keep`) or stimulus, none for volumes that are trimmed.
/// Throws Error(Exit::data) where averages would merge volumes of one run.
[[nodiscard]] RowPlan plan_volumes(SeriesConfig const& config, Series const& series,
                                   std::vector<std::string> const& ids, bool keep);

/// What rows of Y see at each of `delays` (in TR). `ids`: of all volumes. `key` is for messages. Leaves
/// Lags::rows to the caller. Throws Error(Exit::data) where the volumes of a row follow different stimuli, or a run
/// ends before a delay.
[[nodiscard]] Lags find_lags(std::vector<std::int64_t> const& delays, Series const& series, RowPlan const& rows,
                             std::vector<std::string> const& ids, std::string const& key);

/// Of runs that have volumes in both the training and the test rows of a fold. First rank.
void warn_of_split_runs(Config const& config, Inputs const& inputs);

/// Y (or the volumes of the noise ceiling), as `plan` makes its `rows` rows of the cleaned volumes; `width` targets in
/// memory at once. Collective; inputs and plan (first rank alone) must outlive the block.
[[nodiscard]] TargetBlock target_block(Comm const& comm, Config const& config, Inputs const& inputs,
                                       RowPlan const& plan, std::size_t rows, std::size_t width);

}  // namespace striate::encode
