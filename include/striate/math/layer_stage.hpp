#pragma once
/// What happens to a layer's output between the network and the store: selection, pooling, projection …, one stage
/// after the other. Pure; a stage is made once and applied to batches on any thread.
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace striate {

/// Shape of one stimulus in a layer, as stored, and the names of its axes (docs/formats.md): {c, h, w} "channel row
/// column", {f, 1, 1} "feature row column", {tokens, width} "token feature", {c, t, h, w} "channel frame row column".
struct LayerShape {
  std::vector<std::size_t> shape;
  std::string axes;
  [[nodiscard]] std::size_t units() const {
    std::size_t product = 1;
    for (std::size_t const extent : shape) product *= extent;
    return product;
  }
};

class LayerStage {
 public:
  virtual ~LayerStage() = default;
  [[nodiscard]] virtual LayerShape output() const = 0;
  /// `in`: rows × units of the stage's input, `out`: rows × output().units(); row-major, not overlapping. Thread-safe,
  /// uses the calling thread alone. A row's bits do not depend on the other rows, nor on their number.
  virtual void apply(float const* in, std::size_t rows, float* out) const = 0;
  /// Bytes of work memory that one call takes for a batch of `rows`.
  [[nodiscard]] virtual double work_bytes(std::size_t rows) const {
    (void)rows;
    return 0;
  }
};

}  // namespace striate
