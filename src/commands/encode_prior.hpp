#pragma once
/// A prior on ridge's weights (model.prior): penalty α wᵀΣ⁻¹w. With Σ = L Lᵀ it is plain ridge on X L, whose weights w'
/// are those of the features after w = L w'.
#include <memory>
#include <string>
#include <vector>

#include "encode_data.hpp"
#include "striate/math/team.hpp"

namespace striate::encode {

/// Finds and checks the prior of each layer: shape, values, symmetry; of small ones that they are positive
/// semi-definite, too. First rank. Throws Error(Exit::data | Exit::no_input | Exit::config), naming model.prior.
void find_priors(Config const& config, Inputs& inputs);

/// Bytes of a node while a layer's features are multiplied, and what of them stays.
[[nodiscard]] double prior_bytes(Inputs const& inputs, std::size_t layer);

/// Of the root, its check, and the features times it.
[[nodiscard]] double prior_flops(Inputs const& inputs, std::size_t layer);

/// A root L of a covariance of p features: p × rank, column-major. Covariances of rank below p have fewer columns.
struct PriorRoot {
  std::size_t rank = 0;
  std::vector<double> l;
};
/// `covariance`: p × p, symmetric. Throws Error(Exit::data) where it is not positive semi-definite to the rounding of
/// float32.
[[nodiscard]] PriorRoot root_of(std::vector<double> const& covariance, std::size_t p);

/// Features times the deviations that variances say, column by column as they are read.
[[nodiscard]] std::unique_ptr<NodeSource> make_scaled(std::unique_ptr<NodeSource> source, std::vector<double> scale);
/// Features times `root` (the first rank's), computed once and held once a node. Collective.
[[nodiscard]] std::unique_ptr<NodeSource> make_mixed(Comm const& comm, Team& team, NodeSource const& source,
                                                     PriorRoot const& root, bool coefficients);

/// The features of a layer as open_source gives them, times the root of its prior. `coefficients`: weights will be
/// taken back to the features. Collective.
[[nodiscard]] std::unique_ptr<NodeSource> open_with_prior(Comm const& comm, Team& team, Inputs const& inputs,
                                                          std::size_t layer,
                                                          std::vector<std::unique_ptr<ActReader>> const& stores,
                                                          double room, bool coefficients);

}  // namespace striate::encode
