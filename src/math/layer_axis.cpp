#include "striate/math/layer_axis.hpp"

#include <utility>

#include "striate/base/error.hpp"

namespace striate {

LayerAxis layer_axis(std::string const& name) {
  for (auto const axis : {LayerAxis::whole, LayerAxis::channel, LayerAxis::position})
    if (name == name_of(axis)) return axis;
  fail(Exit::config, "axis `{}` is none of whole, channel, position", name);
}

char const* name_of(LayerAxis axis) {
  return axis == LayerAxis::whole ? "whole" : axis == LayerAxis::channel ? "channel" : "position";
}

AxisCut::AxisCut(LayerShape in, LayerAxis axis) : in_(std::move(in)), axis_(axis) {
  std::size_t const units = in_.units();
  length = units;
  if (axis == LayerAxis::whole) return;
  if (in_.shape.empty()) fail(Exit::config, "axis: a layer of a single unit has no axes; use axis: whole");
  bool const tokens = in_.axes == "token feature" && in_.shape.size() == 2;
  std::size_t const leading = in_.shape[0], rest = leading == 0 ? 0 : units / leading;
  last_ = tokens == (axis == LayerAxis::channel);
  length = last_ ? rest : leading;
  iterations = last_ ? leading : rest;
  step = last_ ? 1 : rest;
  stride_ = last_ ? rest : 1;
}

LayerShape AxisCut::output(std::size_t count) const {
  if (axis_ == LayerAxis::whole) return {{count, 1, 1}, "feature row column"};
  LayerShape out = in_;
  if (!last_) {
    out.shape[0] = count;
    return out;
  }
  if (out.shape.size() == 1) return {{in_.shape[0], count}, "channel row"};
  for (std::size_t a = 1; a < out.shape.size(); ++a) out.shape[a] = a == 1 ? count : 1;
  return out;
}

std::size_t AxisCut::place(std::size_t i, std::size_t k, std::size_t count) const {
  return last_ || axis_ == LayerAxis::whole ? i * count + k : k * iterations + i;
}

}  // namespace striate
