#include "batch_size.hpp"

#include <yaml-cpp/yaml.h>

namespace striate {

BatchSize ConfigType<BatchSize>::read(YAML::Node const& node, ConfigPlace const& place) {
  if (node.IsScalar() && node.Scalar() == "auto") return {};
  auto const stimuli = ConfigType<std::int64_t>::read(node, place);
  if (stimuli < 1 || stimuli > 65536) config_error(place, "needs `auto` or 1 to 65536 stimuli");
  return {stimuli};
}

nlohmann::json ConfigType<BatchSize>::write(BatchSize const& batch) {
  return batch.stimuli == 0 ? nlohmann::json("auto") : nlohmann::json(batch.stimuli);
}

}  // namespace striate
