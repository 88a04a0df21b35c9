#include "store_source.hpp"

#include "striate/base/error.hpp"

namespace striate {

void describe_store(Schema& s, StoreSource& f, char const* layers_doc, char const* stimuli_doc) {
  s("store", f.store,
    {.doc = "activation store, DNNBrain's file, or \"f.h5:/dataset\"",
     .required = true,
     .identity = false,
     .example = "act.h5"});
  s("stimuli", f.stimuli, {.doc = stimuli_doc, .identity = false});
  s("layers", f.layers, {.doc = layers_doc, .example = "[conv1, conv5]"});
}

ActReader open_store(StoreSource const& source) try {
  return ActReader(source.store.string());
} catch (Error const& error) {
  throw Error(error.code(), std::string("features.store: ") + error.what());
}

std::vector<std::string> ids_of(StoreSource const& source, ActReader const& store) {
  auto ids = store.ids();
  if (!ids.empty()) return ids;
  std::string const name = source.store.filename().string();
  if (source.stimuli.empty())
    fail(Exit::config, "features.stimuli: {} carries no stimulus ids; name the .stim.csv of its rows", name);
  ids = load_stimuli(source.stimuli).ids();
  if (ids.size() != store.rows())
    fail(Exit::data, "features.stimuli: {} has {} rows but {} has {}; one row per stimulus of the store is needed",
         source.stimuli.path.filename().string(), ids.size(), name, store.rows());
  return ids;
}

std::vector<std::string> layer_names(StoreSource const& source, ActReader const& store) {
  if (source.layers != std::vector<std::string>{"all"}) return source.layers;
  std::vector<std::string> names;
  for (auto const& layer : store.layers()) names.push_back(layer.name);
  return names;
}

std::map<std::string, std::string> origin_of(ActReader const& store) {
  std::map<std::string, std::string> origin;
  for (auto const* name : {"network", "weights_sha256", "preprocessing", "stimuli_sha256", "pool"})
    if (auto text = store.attribute(name); !text.empty()) origin[name] = std::move(text);
  return origin;
}

std::size_t rows_of_batch(double row_bytes, std::size_t rows, std::size_t largest) {
  // From 16 rows on a store keeps the moments of every batch.
  constexpr std::size_t good = 16;
  constexpr double wanted = 64 << 20, allowed = 512 << 20;  // bytes before a batch is written
  std::size_t batch = largest;
  auto const bytes = [&] { return static_cast<double>(batch) * row_bytes; };
  while (batch > good && (bytes() > wanted || batch * 16 > rows)) batch /= 2;
  while (batch > 1 && bytes() > allowed) batch /= 2;
  return batch;
}

}  // namespace striate
