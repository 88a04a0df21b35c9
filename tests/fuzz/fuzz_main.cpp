// libFuzzer's entry: one program a reader (FUZZ_TARGET). cmake -DSTRIATE_FUZZ=ON with clang; how to run: README.md.
#include <cstdlib>
#include <string>

#include "targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t bytes) {
  static auto const run = [] {
    for (auto const& target : striate::fuzz::targets())
      if (std::string(target.name) == FUZZ_TARGET) return target.run;
    std::abort();
  }();
  run(data, bytes);
  return 0;
}
