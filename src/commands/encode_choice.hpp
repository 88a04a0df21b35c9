#pragma once
/// One alpha for all targets of a layer and fold (model.alpha_per_target: false): a pass over the tiles leaves sums of
/// inner scores, from which the alpha follows that the pass of scores then uses.
#include <optional>

#include "encode_tiles.hpp"

namespace striate::encode {

/// Whether targets share their alpha, and there are several to choose among.
[[nodiscard]] bool shares_alpha(Config const& config, Inputs const& inputs);
/// Dataset of the sums: a row a pass and tile, two words (low, high) of a 128-bit integer an alpha.
[[nodiscard]] inline std::string choice_name(std::string const& layer) { return "/.striate/choice/" + layer; }
[[nodiscard]] std::vector<ResultDataset> choice_working(Config const& config, Inputs const& inputs,
                                                        Layout const& layout);

/// Sums of inner scores over the targets of a tile, per alpha; exact, so that they do not depend on how targets are
/// cut.
class ChoiceTiles final : public Tiles {
 public:
  ChoiceTiles(Shared const& shared, TargetBlock const& y, FittedFold const& fold, std::size_t layer, std::size_t pass,
              std::function<void(std::size_t)> said);

 private:
  void compute(std::size_t first, MatrixView<float const> y, Made& made, Workspace& work) override;
  void write(std::vector<Ready> const& tiles) override;
  FittedFold const& fold_;
  std::string name_;
  std::size_t pass_;
};

/// Of the alphas of fold.report() the one of the highest sum over all tiles; a tie goes to the larger. Collective.
[[nodiscard]] double shared_alpha(Comm const& comm, Shared const& shared, FittedFold const& fold, std::size_t layer,
                                  std::size_t pass);

}  // namespace striate::encode
