#pragma once
/// Readers of files that users bring, given any bytes. An Error is the right answer to bad ones; another exception, a
/// crash or an endless loop is a bug. The same functions under libFuzzer (fuzz_main.cpp) and over the kept corpus
/// (tests/unit/fuzz_corpus.cpp).
#include <cstddef>
#include <cstdint>
#include <vector>

namespace striate::fuzz {

struct Target {
  char const* name;  ///< also its folder of corpus/
  void (*run)(std::uint8_t const* data, std::size_t bytes);
};
[[nodiscard]] std::vector<Target> const& targets();

}  // namespace striate::fuzz
