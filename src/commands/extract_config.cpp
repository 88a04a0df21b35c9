#include "extract_config.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdio>

#include "striate/base/error.hpp"

#include "striate/stimuli/dmask.hpp"

namespace striate {

LayerIndices ConfigType<LayerIndices>::read(YAML::Node const& node, ConfigPlace const& place) {
  if (!node.IsMap()) config_error(place, "needs a mapping of layers to numbers from 1, e.g. {conv5: [1, 5, 8-12]}");
  LayerIndices out;
  for (auto const& entry : node) {
    ConfigPlace here = place;
    here.key += "." + entry.first.Scalar();
    if (entry.first.Mark().line >= 0) here.line = entry.first.Mark().line + 1;
    auto const& numbers = entry.second;
    std::vector<std::size_t> list;
    auto const add = [&](YAML::Node const& number) {
      if (!number.IsScalar()) config_error(here, "needs numbers from 1, e.g. [1, 5, 8-12]");
      if (std::string const wrong = read_indices(number.Scalar(), list); !wrong.empty()) config_error(here, wrong);
    };
    if (numbers.IsSequence())
      for (auto const& number : numbers) add(number);
    else
      add(numbers);
    if (list.empty()) config_error(here, "is an empty list; leave the layer out to keep all of it");
    for (auto const& [layer, before] : out.layers)
      if (layer == entry.first.Scalar()) config_error(here, "stands here twice");
    out.layers.emplace_back(entry.first.Scalar(), std::move(list));
  }
  return out;
}

nlohmann::json ConfigType<LayerIndices>::write(LayerIndices const& indices) {
  auto all = nlohmann::json::object();
  for (auto const& [layer, list] : indices.layers) {
    auto& numbers = all[layer] = nlohmann::json::array();
    for (std::size_t const index : list) numbers.push_back(index + 1);
  }
  return all;
}

void describe(Schema& s, ProjectConfig& c) {
  s("components", c.components,
    {.doc = "numbers kept of each layer; layers of no more units stay as they are",
     .min = 1,
     .max = 1 << 20,
     .required = true,
     .example = "1024"});
  s("kind", c.kind, {.doc = "entries of the matrix: normal, or mostly 0", .choices = {"gaussian", "sparse"}});
  s("density", c.density,
    {.doc = "of sparse: share of entries that are not 0; default: 1/√units", .min = 1e-9, .max = 1});
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
  s("preprocessing", c.preprocessing,
    {.doc =
         "keys of the card's `input` and `preprocessing` to change for this job; `compat: dnnbrain` squashes pictures "
         "and normalises as DNNBrain does; `transform_input: false` leaves GoogLeNet's and Inception's conversion out",
     .example = "{resize: [224, 224], crop: none}"});
  s("self_test", c.self_test,
    {.doc = "before computing, compare what the network gives for a known input with the numbers in the card, where it "
            "has some for these weights",
     .identity = false});
  s("layers", c.layers,
    {.doc = "layers to keep: names of the card, module paths, patterns (layer3*), `preset:NAME`, `all` of the card; "
            "default: those that `mask`, `channels` and `units` name, else all",
     .example = "[conv1, conv5, fc1]"});
  s("mask", c.mask,
    {.doc = "units to keep of the layers that it names: DNNBrain's .dmask.csv, or lists of units (docs/extraction.md)",
     .identity = false,
     .example = "units.dmask.csv"});
  s("channels", c.channels,
    {.doc = "channels to keep, by layer, from 1; of fully connected layers and tokens: features"});
  s("units", c.units, {.doc = "units to keep, by layer: places in it in C order, from 1"});
  s("pool", c.pool,
    {.doc = "summary of each feature map over space, behind the mask, before storing",
     .choices = {"none", "max", "mean", "median", "l1", "l2"}});
  s("pool_over", c.pool_over,
    {.doc = "of video layers: pool each frame over space, or over time and space at once",
     .choices = {"space", "all"}});
  s("tokens", c.tokens,
    {.doc = "what is kept of token layers: all, the class token (the first), the mean of all, the mean of all but the "
            "first, or the first and that mean",
     .choices = {"all", "cls", "mean", "patch_mean", "cls+patch_mean"}});
  s("compat", c.compat,
    {.doc = "dnnbrain: pool l1 and l2 as DNNBrain does, by norms of the map as a matrix (greatest column sum, greatest "
            "singular value), and of fully connected layers too",
     .choices = {"none", "dnnbrain"}});
  s("project", c.project,
    {.doc = "random projection of each layer, behind all of the above; the matrix is a function of `seed`"});
  s("pca", c.pca,
    {.doc = "a reduction that `striate reduce` saved (.pca.h5, .proj.h5), applied to every layer, last",
     .identity = false,
     .example = "act.pca.h5"});
  s("dtype", c.dtype, {.doc = "type of the stored values", .choices = {"float32", "float16"}});
  s("batch", c.batch, {.doc = "stimuli in one forward pass; auto depends on shapes alone, never on the machine"});
  s("device", c.device,
    {.doc = "where the network runs; auto: the GPU of this rank's place on its node, where there is one",
     .choices = {"auto", "cpu", "cuda"}});
  s("autocast", c.autocast,
    {.doc = "let LibTorch compute products and convolutions in half precision; on the CPU bf16 alone",
     .choices = {"none", "bf16", "fp16"}});
  s("on_bad_stimulus", c.on_bad_stimulus,
    {.doc = "a missing or corrupt picture: stop before computing, or skip (its row is NaN, and a warning lists it; "
            "encode and simulate then want it left out)",
     .choices = {"stop", "skip"}});
  s("on_duplicate", c.on_duplicate,
    {.doc = "a stimulus that stands twice in the list: stop, or keep it once, in order of first appearance",
     .choices = {"stop", "once"}});
  s("identify", c.identify,
    {.doc = "what a stimulus is known by: its name, or the sha256 of its file beside it (kept in the store; a file that "
            "changed is refused on resume)",
     .choices = {"name", "sha256"}});
  s("reuse", c.reuse,
    {.doc = "finished store of the same network, layers and preprocessing: stimuli that it holds are copied, the others "
            "computed",
     .identity = false,
     .example = "old.act.h5"});
  s("part", c.part,
    {.doc = "the share of this job, of an array of jobs: batches that follow each other; output x.act.h5 becomes "
            "x.part-3-of-10.act.h5, and convert merges the parts", .example = "3/10"});
  s("pack", c.pack,
    {.doc = "closing step: compress layers without loss, as every HDF5 reads it (shuffle, deflate)",
     .choices = {"none", "gzip"},
     .identity = false});
  s("io", c.io,
    {.doc = "how ranks write their batches: independent, through the system's page cache; direct, past it (O_DIRECT); "
            "auto: direct on ext4 and XFS",
     .choices = {"auto", "independent", "direct"},
     .identity = false});
  s("memory", c.memory,
    {.doc = "memory of a rank; default: its share of the job's", .unit = "GiB", .min = 0.1, .identity = false});
  s("seed", c.seed, {.doc = "of `project`; nothing else in extract is random", .min = 0, .identity = false});
  s("output", c.output, {.doc = "activation store to write", .required = true, .identity = false, .example = "act.h5"});
}

}  // namespace striate
