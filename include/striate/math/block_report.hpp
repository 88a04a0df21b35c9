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

/// Takes the values of a batch piece by piece, each while it is at hand for other sums. Sums of a channel are made in
/// float32 over at most 256 values, then in float64.
class BlockReporter {
 public:
  BlockReporter(ChannelLayout const& layout, std::size_t rows);
  /// The next `count` units of a row; rows in any order.
  void add(std::size_t row, float const* values, std::size_t count);
  /// When every row has all its units.
  [[nodiscard]] BlockReport take();

 private:
  struct Row {
    std::size_t at = 0;  ///< units so far
    std::size_t nans = 0, infinities = 0, by_mean = 0, by_most = 0;  ///< of the lists: how many are in
    double sum = 0;                                                  ///< of the channel so far
    float most = 0;
  };
  struct Part;
  void scan(float const* values, std::size_t count, Row& row, Part& part);
  void rank(std::size_t row, std::size_t channel, float mean, float most);
  void add_map(std::size_t row, float const* values, std::size_t count, std::size_t channel);

  ChannelLayout layout_;
  std::vector<Row> rows_;
  std::vector<double> sums_;  ///< tokens: (rows × channels) so far
  std::vector<float> most_;
  BlockReport out_;
};

/// Joins the counts of another batch; exact in any order.
void merge_counts(std::array<double, BlockReport::counts>& all, std::array<double, BlockReport::counts> const& more);

}  // namespace striate
