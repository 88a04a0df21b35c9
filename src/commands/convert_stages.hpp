#pragma once
/// What convert does to units: arithmetic, selection by a mask, pooling.
#include <optional>
#include <string>
#include <vector>

#include "convert_recipe.hpp"

namespace striate::convert {

/// operands[0] becomes operands[0] ∘ operands[1], or ∘ number. In float64, rounded once to float32. Returns the number
/// of divisors that are 0.
std::size_t calculate(std::string const& operation, std::vector<std::vector<float>>& operands,
                      std::optional<double> number);

/// Appends mask and pool of the config to the layers, whose specs then say what comes out. With a mask, layers that it
/// does not name are left out. Error(Exit::data).
void add_stages(Config const& config, std::vector<OutputLayer>& layers);

}  // namespace striate::convert
