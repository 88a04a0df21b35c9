#pragma once
/// How every row of every layer of the output comes from the inputs. The same on all ranks.
#include <memory>
#include <string>
#include <vector>

#include "convert_source.hpp"
#include "striate/math/layer_stage.hpp"
#include "striate/store/act_store.hpp"

namespace striate::convert {

/// A row of a source.
struct Place {
  std::uint32_t source = 0;
  std::size_t row = 0;
};

/// What is read for a layer of the output: its rows lie where `rows` says, in layer `layers[source]` of each source.
struct Operand {
  std::size_t rows = 0;             ///< in Recipe::rows
  std::vector<std::size_t> layers;  ///< by source; unused where a source gives no row
};

struct OutputLayer {
  LayerSpec spec;
  std::size_t units_read = 0;                             ///< of an operand
  std::vector<Operand> operands;                          ///< one; two of the arithmetic of two stores
  std::vector<std::shared_ptr<LayerStage const>> stages;  ///< after the arithmetic, in order
};

struct Recipe {
  std::vector<std::unique_ptr<Source>> sources;
  std::vector<std::vector<Place>> rows;      ///< lists of (n)
  std::vector<std::string> ids;              ///< (n)
  std::vector<std::uint8_t> skipped;         ///< (n) of Skipped, or empty
  std::vector<std::string> stimulus_sha256;  ///< (n), or empty
  std::vector<OutputLayer> layers;
  std::string arithmetic;        ///< "" | add | subtract | multiply | divide
  std::optional<double> number;  ///< its second operand, where it is no store
  std::size_t batch = 1;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> fingerprints;  ///< of the sources; on the first rank
};

/// Opens the inputs and finds out. Error(Exit::config | Exit::data | Exit::no_input).
[[nodiscard]] Recipe make_recipe(Config const& config);

/// The operand's rows [first, first + count) of the output. Main thread.
void read_operand(Recipe const& recipe, OutputLayer const& layer, std::size_t operand, std::size_t first,
                  std::size_t count, std::vector<float>& out);
/// Arithmetic and stages. Any thread. Returns the number of values that were divided by zero.
std::size_t apply(Recipe const& recipe, OutputLayer const& layer, std::vector<std::vector<float>>& operands,
                  std::size_t rows, std::vector<float>& out);

/// Bytes of one row at the widest: all layers as read, worked on and encoded.
[[nodiscard]] double bytes_of_row(Recipe const& recipe);

}  // namespace striate::convert
