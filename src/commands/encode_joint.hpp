#pragma once
/// Models that join all layers into one, as bands (banded_ridge): the layers become Inputs::bands, and `joint` the only
/// layer of the results.
#include <memory>
#include <string>
#include <vector>

#include "encode_data.hpp"
#include "encode_inputs.hpp"

namespace striate::encode {

inline constexpr char const* joint_name = "joint";

/// Whether the model of the config joins the layers.
[[nodiscard]] bool joins(Config const& config);
/// Throws Error(Exit::config) for what joint models do not take.
void check_joint(Config const& config);
/// Moves inputs.layers to inputs.bands where the model or the command joins them.
void join_layers(Config const& config, Inputs& inputs);

/// How a layer's features are prepared; of `joint`, whether any band is standardised.
[[nodiscard]] Transform transform_of(Config const& config, Inputs const& inputs, LayerInput const& layer);
/// Columns of the bands in the joint features; none for other models.
[[nodiscard]] std::vector<Band> bands_of(Config const& config, Inputs const& inputs);
/// What the model is made with, names of the bands included.
[[nodiscard]] ModelOptions model_options(Config const& config, Inputs const& inputs);

/// Layers side by side.
class JointSource final : public NodeSource {
 public:
  explicit JointSource(std::vector<std::unique_ptr<NodeSource>> parts);
  [[nodiscard]] std::size_t rows() const override { return parts_[0]->rows(); }
  [[nodiscard]] std::size_t cols() const override { return first_.back(); }
  void read(std::size_t first, std::size_t count, float* out) const override;
  void read_alone(std::size_t first, std::size_t count, float* out) const override;

 private:
  template <class F>
  void each(std::size_t first, std::size_t count, F const& f) const;
  std::vector<std::unique_ptr<NodeSource>> parts_;
  std::vector<std::size_t> first_;  ///< columns where the parts begin, and the end
};

/// The features of a layer of the results, `joint` included. `stores`: of Config::features. `room`: as LayerSource.
/// Collective.
[[nodiscard]] std::unique_ptr<NodeSource> open_source(Comm const& comm, Inputs const& inputs, LayerInput const& layer,
                                                      std::vector<std::unique_ptr<ActReader>> const& stores,
                                                      double room);

}  // namespace striate::encode
