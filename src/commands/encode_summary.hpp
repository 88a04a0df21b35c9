#pragma once
/// summary.tsv, a line a layer × region, best-layers.tsv, a line a net × region, and shares.tsv.
#include <string>
#include <vector>

#include "encode_bootstrap.hpp"
#include "encode_finish.hpp"
#include "encode_maps.hpp"

namespace striate::encode {

/// Of choices of folds or targets: their median, or their mode where they have no order.
struct Typical {
  char const* name;
  double (*of)(std::vector<double>);
};
[[nodiscard]] Typical typical(Config const& config);

/// Scores that have a normalised one in this result.
[[nodiscard]] std::vector<std::string> normalised_scores(Config const& config, Layout const& layout);
/// What a perfect model would reach in rows of these reliabilities; NaN below the floor.
[[nodiscard]] std::vector<double> ceiling_of(Config const& config, std::string const& score,
                                             std::vector<double> const& reliability);
[[nodiscard]] std::string without_tabs(std::string text);

/// What is said of a layer.
struct LayerValues {
  std::vector<std::vector<double>> scores, normalised;  ///< of each score, (t)
  std::vector<double> choice;                           ///< (t)
  std::vector<std::vector<BootstrapInterval>>
      regions;                         ///< of each score: of the means of all regions; none without draws
  std::vector<std::vector<double>> p;  ///< of the first score, as permutation_stats, spatial_p; each (t)
};

class Summary {
 public:
  explicit Summary(Finish const& f);
  /// Layer after layer.
  void add(LayerValues const& values);
  /// When all layers are there.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string best_layers() const;
  /// partition: a line a share of variance × region; of unique ones the targets that have each p at 0.05 or below.
  [[nodiscard]] std::string shares() const;

 private:
  /// Of a layer in a region.
  struct Cell {
    std::size_t valid = 0;
    double mean = 0, sem = 0;          ///< of the first score
    double normalised = 0, ratio = 0;  ///< of the first score: mean of ratios, ratio of means; NaN without
    std::string before, after;         ///< columns up to `best`, those that follow
  };
  [[nodiscard]] Cell describe(Roi const& region, LayerValues const& values) const;
  [[nodiscard]] std::string rank(std::size_t layer, std::size_t region) const;
  [[nodiscard]] std::vector<double> p_of_best() const;
  [[nodiscard]] std::size_t best_of(Net const& net, std::size_t region) const;

  Finish const& f_;
  double better_;
  std::vector<Net> nets_;
  std::vector<std::int32_t> best_;
  std::vector<std::vector<double>> ceilings_;  ///< those that have a column, (t)
  std::vector<std::vector<double>> divisors_;  ///< of each normalised score, (t)
  std::vector<Roi> regions_;
  std::vector<std::vector<double>> first_;  ///< [layer] first score, (t)
  std::vector<std::vector<Cell>> cells_;    ///< [layer][region]
};

}  // namespace striate::encode
