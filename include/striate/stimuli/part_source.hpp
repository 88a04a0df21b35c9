#pragma once
/// Some of a source's stimuli.
#include <cstdint>
#include <memory>
#include <vector>

#include "striate/stimuli/source.hpp"

namespace striate {

/// Places [first, first + count) of `whole`. Where `unneeded` (count, or empty) is 1 a stimulus is neither looked at nor
/// decoded: its values are NaN. It is described as the whole is.
[[nodiscard]] std::shared_ptr<StimulusSource> part_source(std::shared_ptr<StimulusSource const> whole,
                                                          std::size_t first, std::size_t count,
                                                          std::vector<std::uint8_t> unneeded = {});

}  // namespace striate
