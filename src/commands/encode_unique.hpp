#pragma once
/// `partition` with permutations: does adding a space to the others improve the prediction of held-out responses?
/// (stats/flips.hpp). The folds leave held-out predictions of the model of all spaces and of each that lacks one; a
/// unit is a tile of targets, of all spaces.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "encode_data.hpp"
#include "encode_tiles.hpp"
#include "striate/stats/permute.hpp"

namespace striate::encode {

/// Whether there is such a test.
[[nodiscard]] bool tests_unique(Config const& config);
/// Whether a layer's held-out predictions are kept, for this or the bootstrap.
[[nodiscard]] bool keeps_heldout(Config const& config, Inputs const& inputs, std::size_t layer);
[[nodiscard]] BootstrapLayout unique_layout(Config const& config, Inputs const& inputs, Layout const& layout);
/// "/permutation/unique/SPACE/what".
[[nodiscard]] std::string unique_name(std::string const& space, std::string const& what);
[[nodiscard]] std::vector<ResultDataset> unique_datasets(Config const& config, Inputs const& inputs,
                                                         Layout const& layout);
/// Datasets that become maps, and the stems of those.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> unique_maps(Config const& config, Inputs const& inputs);
/// Warns where there are few flips, or rows that may hang together.
void check_unique(Config const& config, Inputs const& inputs);
/// Flops of a target.
[[nodiscard]] double unique_flops(Config const& config, Inputs const& inputs);
/// Bytes of a rank while flips are made.
[[nodiscard]] double unique_bytes(Config const& config, Inputs const& inputs, Layout const& layout, int threads);
/// Writes p, corrected p and null_max from what units left. First rank alone.
void derive_unique(Config const& config, Inputs const& inputs, Layout const& layout, ResultFile& result);

class UniqueTiles final : public TileWork {
 public:
  UniqueTiles(Shared const& shared, TargetBlock const& y, std::function<void(std::size_t)> said);
  ~UniqueTiles() override;
  /// Main thread: reads what compute(tile) needs.
  void load(std::size_t tile);
  void compute(std::size_t tile) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override;
  void flush() override;
  void progress(std::size_t done) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate::encode
