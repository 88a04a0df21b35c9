#pragma once
/// The datasets of a store that its layer report is made from (layout in docs/formats.md).
#include <vector>

#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"

namespace striate {

class ActReport {
 public:
  /// Collective.
  static void create(h5::File& file, ActSpec const& spec, std::size_t batches, bool keeps_bits);
  void open(h5::File const& file, ActSpec const& spec, bool keeps_bits);
  /// Independent, as all below.
  void write(ActBlock const& block, std::size_t first_row, std::size_t rows);
  /// A bit a unit of [first, first + count), above 0 in batch `batch`; joined to `above`. `first` a multiple of 8.
  void join_above(std::size_t layer, std::size_t batch, std::size_t first, std::vector<std::uint8_t>& above) const;
  void write_above(std::size_t layer, std::size_t first, std::vector<std::uint8_t> const& above);

 private:
  h5::Dataset counts_, channel_, value_;
  std::vector<h5::Dataset> bits_, above_;  ///< by layer; bits where moments of batches are kept
};

}  // namespace striate
