#pragma once
/// `features:` of commands that read one store whole: reduce, convolve.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/stimuli/stim_table.hpp"
#include "striate/store/act_store.hpp"

namespace striate {

struct StoreSource {
  std::filesystem::path store;
  StimuliConfig stimuli;
  std::vector<std::string> layers{"all"};
};
/// `layers_doc`, `stimuli_doc`: what the command does with them.
void describe_store(Schema& s, StoreSource& f, char const* layers_doc, char const* stimuli_doc);

/// Opens the store. Throws Error naming the key.
[[nodiscard]] ActReader open_store(StoreSource const& source);
/// (n) its own ids, else those of `stimuli`. Throws Error(Exit::config | Exit::data).
[[nodiscard]] std::vector<std::string> ids_of(StoreSource const& source, ActReader const& store);
/// `layers`, `all` spelt out.
[[nodiscard]] std::vector<std::string> layer_names(StoreSource const& source, ActReader const& store);

/// Root attributes that go on to a store that is made of this one; those that it has.
[[nodiscard]] std::map<std::string, std::string> origin_of(ActReader const& store);

/// Rows of a batch of a store that is made of others, from shapes and the config alone (batches must be the same on
/// every machine): at most `largest`, 16 where rows are long or few, fewer where 16 are too many bytes.
[[nodiscard]] std::size_t rows_of_batch(double row_bytes, std::size_t rows, std::size_t largest);

}  // namespace striate
