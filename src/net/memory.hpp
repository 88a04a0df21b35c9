#pragma once
/// Memory of tensors on the CPU, kept from pass to pass. glibc gives every large tensor back to the kernel and takes it
/// anew, page by page: with that a forward pass takes three to six times as long.
#include <cstdint>

namespace striate::net {

/// From here on LibTorch's CPU tensors come from free lists by size class. Thread-safe; idempotent. What is kept and
/// not in use never exceeds what was in use at the most.
void keep_tensor_memory();

[[nodiscard]] std::int64_t tensor_bytes_in_use();
[[nodiscard]] std::int64_t tensor_bytes_kept();  ///< free, but not given back
[[nodiscard]] std::int64_t fresh_blocks();       ///< taken from the system so far
/// The most in use since the last call.
[[nodiscard]] std::int64_t take_peak();
/// Tensors that would together be larger than this fail as if there were no memory; 0: no limit.
void limit_memory(std::int64_t bytes);
/// Gives back what is not in use, and forgets earlier peaks.
void release_kept_memory();

}  // namespace striate::net
