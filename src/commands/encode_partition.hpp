#pragma once
/// Variance partitioning: every subset of the feature spaces is a model, and unique and shared variance follow by
/// inclusion and exclusion (commonality analysis: Mood 1971; Seibold and McPhee 1979).
#include <string>
#include <vector>

#include "encode_inputs.hpp"
#include "striate/store/result.hpp"

namespace striate::encode {

/// Settings before a config of `partition` is read.
[[nodiscard]] Config partition_defaults();
/// Throws Error(Exit::config) for what `partition` does not take.
void check_partition(Config const& config);
/// Spaces (stores, or the layers of a single store) become inputs.bands, their subsets inputs.layers: single spaces
/// first, the one of all last. Throws Error(Exit::data) unless there are 2 to 8.
void make_subsets(Config const& config, Inputs& inputs);
/// /unique/SPACE and /shared/A+B…, each (t); none for other commands.
[[nodiscard]] std::vector<ResultDataset> partition_datasets(Config const& config, Inputs const& inputs);
/// "/shared/A+B" → "shared_A+B", for a map.
[[nodiscard]] std::string share_file(std::string const& dataset);

/// Of each space the model (layer) that lacks it alone, and the one of all spaces.
struct UniqueModels {
  std::vector<std::string> space;
  std::vector<std::size_t> without;
  std::size_t all = 0;
};
[[nodiscard]] UniqueModels unique_models(Config const& config, Inputs const& inputs);

/// R² of every subset (index: bits of the spaces; [0] unused) → the share of each, which sum to R² of all spaces:
/// share(S) = −Σ over T ⊆ S of (−1)^|T| R²(T ∪ rest).
[[nodiscard]] std::vector<double> commonality(std::vector<double> const& r2);
/// Writes the shares from /SUBSET/score/r2. First rank alone.
void derive_partition(Config const& config, Inputs const& inputs, ResultFile& result);

}  // namespace striate::encode
