#pragma once
/// A layer cut along one of its axes: over all units at once, over channels at each position, or over positions in each
/// channel (DNNBrain's -axis: none, chn, row_col). What replaces the axis has `count` values.
#include <cstddef>
#include <string>

#include "striate/math/layer_stage.hpp"

namespace striate {

enum class LayerAxis { whole, channel, position };

/// "whole", "channel", "position". Error(Exit::config) otherwise.
[[nodiscard]] LayerAxis layer_axis(std::string const& name);
[[nodiscard]] char const* name_of(LayerAxis axis);

/// Iteration i takes units first(i), first(i) + step, …, `length` of them. Channels are the first axis of a layer, in
/// "token feature" the second.
class AxisCut {
 public:
  AxisCut(LayerShape in, LayerAxis axis);
  std::size_t iterations = 1, length = 0, step = 1;
  [[nodiscard]] std::size_t first(std::size_t i) const { return i * stride_; }
  /// Shape with `count` values in place of the axis: {count, 1, 1}, {count, rows, columns}, {channels, count, 1}.
  [[nodiscard]] LayerShape output(std::size_t count) const;
  /// Unit of the output that value k of iteration i becomes.
  [[nodiscard]] std::size_t place(std::size_t i, std::size_t k, std::size_t count) const;
  [[nodiscard]] LayerAxis axis() const { return axis_; }
  [[nodiscard]] LayerShape const& input() const { return in_; }

 private:
  LayerShape in_;
  LayerAxis axis_;
  std::size_t stride_ = 0;
  bool last_ = false;  ///< the cut axis is the last one
};

}  // namespace striate
