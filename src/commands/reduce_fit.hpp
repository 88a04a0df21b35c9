#pragma once
/// Fits a reduction layer by layer. A layer that was fitted is on disk, so that a killed job goes on behind it.
#include "reduce_inputs.hpp"
#include "striate/commands/command.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/reduction_file.hpp"

namespace striate::reduce {

/// `components` of a layer, with `auto` resolved.
[[nodiscard]] Components components_of(Config const& config, Inputs const& inputs);
/// Rows of a step of incremental PCA.
[[nodiscard]] std::size_t batch_of(Config const& config);

/// Bytes that the fit of a layer takes on a node, beside its panels; of a rank; of each of its threads, of which at
/// most `fits` have work; the least that a panel takes; flops.
struct FitCost {
  double node = 0, rank = 0, thread = 0, fits = 1, panel = 0, flops = 0, passes = 0;
};
[[nodiscard]] FitCost cost_of(Config const& config, Inputs const& inputs, InputLayer const& layer);

/// Collective. False where a stop signal came. `bytes`: of a panel.
class Fit {
 public:
  Fit(Context& context, Config const& config, Inputs const& inputs, std::filesystem::path model,
      nlohmann::ordered_json identity, double bytes);
  /// Makes the model's file, whatever of it is there already.
  bool make();

 private:
  [[nodiscard]] std::filesystem::path part(std::size_t layer) const;
  void remove_parts() const;
  [[nodiscard]] bool there(std::filesystem::path const& file) const;
  [[nodiscard]] SavedReduction fit(InputLayer const& layer) const;
  void fit_summary(ActReader const& store, InputLayer const& layer, SavedReduction& out) const;
  void fit_axis(ActReader const& store, InputLayer const& layer, SavedReduction& out) const;
  void write(std::filesystem::path const& file, std::vector<SavedReduction> const& layers) const;

  Context& context_;
  Config const& config_;
  Inputs const& inputs_;
  std::filesystem::path model_;
  nlohmann::ordered_json identity_;
  double bytes_;
};

}  // namespace striate::reduce
