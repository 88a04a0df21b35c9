#pragma once
/// The permutation test's corrections that look at whole maps: threshold-free cluster enhancement, cluster extent and mass.
///
/// Units of the test leave the first score of every target and permutation (float32, by tile of targets, in it by
/// permutation). Units of another kind, a block of permutations of a layer each, reduce every map to three numbers: its
/// greatest TFCE, its largest cluster, its greatest cluster mass. Those merge by being put one after the other.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "encode_tiles.hpp"
#include "striate/stats/clusters.hpp"

namespace striate::encode {

/// Of one layer's datasets: results; what units leave.
[[nodiscard]] std::vector<ResultDataset> spatial_results(Config const& config, std::string const& layer, std::size_t t,
                                                         std::size_t permutations);
[[nodiscard]] std::vector<ResultDataset> spatial_working(Config const& config, Inputs const& inputs, Layout const& layout);
/// Which of the results, of the first score, become maps; and those that are p-values.
[[nodiscard]] std::vector<std::string> spatial_stats(Config const& config);
[[nodiscard]] std::vector<std::string> spatial_p(Config const& config);

/// Greatest values of each permutation's map, in the order of permutations; empty where not asked for.
struct SpatialNull {
  std::vector<double> tfce, size, mass;
  void append(SpatialNull const& more);
};
/// From the units in a file. Not collective.
[[nodiscard]] SpatialNull read_spatial(Config const& config, std::string const& layer, ResultFile const& result);
/// The observed map (`score`: (t)) treated alike, and its p-values.
void write_spatial(Config const& config, Inputs const& inputs, std::string const& layer, std::vector<double> const& score,
                   SpatialNull const& null, ResultFile& out);

/// Maps of one thread. The tail says which sign of the score counts; with `two` each sign makes clusters of its own.
class MapStatistics {
 public:
  MapStatistics(Config const& config, Neighbours const& neighbours);
  struct Maxima {
    double tfce = 0, size = 0, mass = 0;
  };
  [[nodiscard]] Maxima maxima(std::span<float const> scores);
  /// (t) each; clusters of the other sign (tail: two) have negative labels.
  struct Maps {
    std::vector<double> tfce, size, mass;
    std::vector<std::int32_t> label;
  };
  [[nodiscard]] Maps maps(std::span<float const> scores);

 private:
  template <class F>
  void sides(std::span<float const> scores, F const& each);

  Permutation const& test_;
  Neighbours const& neighbours_;
  double better_;
  Tfce tfce_;
  std::vector<float> side_;
  std::vector<double> enhanced_;
};

/// Tile = unit = layer × block of permutations.
class SpatialTiles final : public TileWork {
 public:
  SpatialTiles(Shared const& shared, std::function<void(std::size_t)> said);
  /// Main thread: reads what compute(unit) needs.
  void load(std::size_t unit);
  void compute(std::size_t unit) override;
  void write(std::span<std::size_t const> mine) override;
  void mark(std::span<std::size_t const> mine) override { s_.result.mark(mine, s_.layout.tests()); }
  void flush() override { s_.result.flush(); }
  void progress(std::size_t done) override { said_(done); }

 private:
  [[nodiscard]] std::size_t from(std::size_t unit) const;
  [[nodiscard]] std::size_t count(std::size_t unit) const;

  Shared const& s_;
  PermutationLayout const& p_;
  std::function<void(std::size_t)> said_;
  Neighbours neighbours_;
  Pool<std::unique_ptr<MapStatistics>> statistics_;
  Handover<std::vector<float>> loaded_;  ///< tile of targets after tile, as in the file
  Handover<SpatialNull> ready_;
};

}  // namespace striate::encode
