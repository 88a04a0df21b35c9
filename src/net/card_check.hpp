#pragma once
/// `check:` of a network card: one block or a list of them.
#include <yaml-cpp/yaml.h>

#include "striate/base/config.hpp"
#include "striate/net/card.hpp"

namespace striate::net {

/// Throws Error(Exit::config) at `place`.
[[nodiscard]] std::vector<CardCheck> read_checks(YAML::Node const& node, ConfigPlace const& place);

}  // namespace striate::net
