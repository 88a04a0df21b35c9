#include "extract_config.hpp"

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

void describe(Schema& s, ExtractConfig& c) {
  s("stimuli", c.stimuli,
    {.doc = "what the network is shown: a .stim.csv of pictures, videos, sounds or arrays, {folder: DIR} of them (a "
            "sub-folder's name is the label), {hdf5: \"f.h5:/data\"} or {npy: f.npy}",
     .required = true,
     .example = "images.stim.csv"});
  s("network", c.network,
    {.doc = "card of the network: a name or a path to a .yaml", .required = true, .example = "alexnet"});
  s("weights", c.weights,
    {.doc = "TorchScript file (tools/export_network.py makes it); default: the card's, beside the config or the card",
     .example = "alexnet.ts.pt"});
  s("layers", c.layers,
    {.doc = "layers to keep: names of the card, module paths, `preset:NAME`, `all` of the card",
     .example = "[conv1, conv5, fc1]"});
  s("pool", c.pool,
    {.doc = "summary of each feature map over space, before storing",
     .choices = {"none", "max", "mean", "median", "l1", "l2"}});
  s("dtype", c.dtype, {.doc = "type of the stored values", .choices = {"float32", "float16"}});
  s("batch", c.batch, {.doc = "stimuli in one forward pass; auto depends on shapes alone, never on the machine"});
  s("device", c.device,
    {.doc = "where the network runs; auto: the GPU of this rank's place on its node, where there is one",
     .choices = {"auto", "cpu", "cuda"}});
  s("on_bad_stimulus", c.on_bad_stimulus,
    {.doc = "a missing or corrupt picture: stop before computing, or skip (its row is NaN, and a warning lists it; "
            "encode and simulate then want it left out)",
     .choices = {"stop", "skip"}});
  s("on_duplicate", c.on_duplicate,
    {.doc = "a stimulus that stands twice in the list: stop, or keep it once, in order of first appearance",
     .choices = {"stop", "once"}});
  s("io", c.io, {.doc = "how ranks write: each its own chunks", .choices = {"independent"}, .identity = false});
  s("memory", c.memory,
    {.doc = "memory of a rank; default: its share of the job's", .unit = "GiB", .min = 0.1, .identity = false});
  s("seed", c.seed, {.doc = "accepted in every config; nothing in extract is random", .min = 0, .identity = false});
  s("output", c.output, {.doc = "activation store to write", .required = true, .identity = false, .example = "act.h5"});
}

}  // namespace striate
