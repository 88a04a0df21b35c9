#pragma once
/// The numbers of `simulate`: planted signals, noise and their ceilings. Serial but for this rank's threads.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "striate/math/team.hpp"
#include "striate/store/act_store.hpp"

namespace striate::simulate {

/// Signals of targets at flat indices `places` from one layer: signal[j * n + i], mean 0 and variance 1 (ddof 0) over
/// the n rows of the store. Target j is Z w_j with Z the layer's units standardised over rows (constant units 0) and
/// w_j normal numbers of Philox(seed, purpose and layer, place), so that it depends on no other target, nor on threads.
/// Streams over units: memory is one panel of 64 MiB and n doubles a target. `go_on` is asked before each panel;
/// false ends with an empty result. Throws Error(Exit::data) for rows that hold NaN and for a layer that is constant.
std::vector<double> planted_signals(ActReader const& store, std::string const& layer,
                                    std::vector<std::uint64_t> const& places, std::uint64_t seed, Team& team,
                                    std::function<bool(std::size_t unit)> const& go_on);

/// One target's measurements: sqrt(snr) · signal + unit noise, presentation after presentation: out[r * n + i].
void add_noise(double const* signal, std::size_t n, std::size_t repeats, double snr, std::uint64_t seed,
               std::uint64_t place, float* out);

/// Highest expected correlation of any model with the mean of `repeats` presentations: sqrt(snr / (snr + 1/repeats)).
double ceiling_of(double snr, std::size_t repeats);
/// The snr of one presentation that gives this ceiling; ceiling in [0, 1).
double snr_of(double ceiling, std::size_t repeats);

/// A grid that holds `counts[r]` voxels of region r as a box each, side by side along x with gaps.
struct Boxes {
  std::array<std::uint64_t, 3> shape{};
  std::vector<std::vector<std::uint64_t>> places;  ///< of each region, ascending flat indices
};
Boxes boxes_of(std::vector<std::size_t> const& counts);

}  // namespace striate::simulate
