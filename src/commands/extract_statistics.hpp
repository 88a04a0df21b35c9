#pragma once
/// Mean and standard deviation of what the network is shown, over the first stimuli: a forgotten normalisation shows.
#include <string>
#include <vector>

#include "striate/net/card.hpp"
#include "striate/par/comm.hpp"
#include "striate/stimuli/loader.hpp"

namespace striate {

class InputStatistics {
 public:
  static constexpr std::size_t most = 256;         ///< stimuli that are looked at
  static constexpr std::size_t text_length = 512;  ///< of the attribute, which is made before its numbers are known

  InputStatistics(Card const& card, std::size_t stimuli);
  /// Any thread, each batch once. `first`: place of its first row.
  void add(std::size_t first, LoadedBatch const& batch);
  /// What was added on any rank; stimuli that were computed before a resume are decoded again, those whose rows come
  /// from an earlier store (reuse:) are left out. Says it in the log, with
  /// a warning where a card that normalises gives numbers that no network was trained with. Returns JSON, padded with
  /// blanks: {"stimuli": 256, "mean": [by channel], "sd": […]}. Collective.
  [[nodiscard]] std::string finish(Comm const& comm, StimulusSource const& source);

 private:
  void add_row(std::size_t place, float const* values);
  [[nodiscard]] double* sums(std::size_t place) { return sums_.data() + place * channels_ * 2; }

  std::size_t channels_ = 1, outer_ = 1, inner_ = 1;  ///< a stimulus is outer × channels × inner
  bool normalises_ = false;
  std::vector<double> sums_;  ///< by stimulus and channel: sum, sum of squares; −∞: not seen
};

}  // namespace striate
