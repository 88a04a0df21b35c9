#pragma once
/// What a batch of a layer tells of its health: counts, extremes, each stimulus's top channels. Pure; one pass.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace striate {

/// Unit (o, c, i) of a layer is (o · channels + c) · inner + i: maps have outer 1, tokens inner 1.
struct ChannelLayout {
  std::size_t outer = 1, channels = 1, inner = 1;
  [[nodiscard]] std::size_t units() const { return outer * channels * inner; }
};
/// `axes` as in a store; "" counts the first axis as channels.
[[nodiscard]] ChannelLayout channel_layout(std::vector<std::size_t> const& shape, std::string const& axes);

struct BlockReport {
  static constexpr std::size_t top = 5;  ///< channels kept of each stimulus by their mean; one more by its maximum
  static constexpr std::size_t columns = top + 1;
  enum Count { zeros, nans, infinities, empty_rows, least, most, counts };

  /// Values that are 0, NaN, infinite; rows of NaN alone (skipped stimuli, not counted among the NaN); extremes of the
  /// others (+∞ and −∞ where there are none).
  std::array<double, counts> count{};
  /// (rows × columns): the channels of the greatest means over space, descending, then the one of the greatest value;
  /// equals by index. −1 and NaN where there are fewer, or nothing but NaN.
  std::vector<std::int32_t> channel;
  std::vector<float> value;
};

/// Takes the rows of a batch one by one, each while it is at hand for other sums. Sums of a channel are made in float32
/// over 256 values, then in float64.
class BlockReporter {
 public:
  BlockReporter(ChannelLayout const& layout, std::size_t rows);
  void add(float const* row);  ///< layout.units() values
  [[nodiscard]] BlockReport take() { return std::move(out_); }

 private:
  struct Part;
  void scan_maps(float const* x, Part& whole);
  void scan_tokens(float const* x, Part& whole);
  void count_strange(float const* x);

  ChannelLayout layout_;
  std::size_t row_ = 0;
  std::vector<float> mean_, most_;  ///< (channels) of the row
  std::vector<double> sums_;
  BlockReport out_;
};

/// Joins the counts of another batch; exact in any order.
void merge_counts(std::array<double, BlockReport::counts>& all, std::array<double, BlockReport::counts> const& more);

}  // namespace striate
